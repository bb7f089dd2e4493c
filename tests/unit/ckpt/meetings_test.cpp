// SPDX-License-Identifier: BSD-3-Clause
#include "meetings.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "loop_session.hpp"

namespace ssi::ckpt::test {
namespace {

constexpr Nanoseconds ms = 1'000'000;

template <class Body>
void with_meetings(Body&& body) {
    loop_session(3, [&](LoopMember& member) {
        const auto meetings = value_or_throw(Meetings::make(member.node, member.engine));
        EXPECT_TRUE(member.node.barrier());
        value_or_throw(meetings->begin());
        body(member, *meetings);
    });
}

std::string text_of(const Result<void>& failed) { return failed ? "" : failed.error().text; }

TEST(MeetingsTest, all_meet_or_none_however_close_it_is) {
    std::array<std::uint64_t, 2> ends{};   // met, did not
    with_meetings([&](LoopMember& member, Meetings& meetings) {
        node::Node& node = member.node;
        std::mt19937 random(static_cast<unsigned>(node.rank()));
        for (int round = 0; round < 400; ++round) {
            // Some come when the others are about to leave.
            if (node.rank() == 2 && round % 8 != 0)
                node.doors().tasks.sleep_for(5 * ms / 2 + static_cast<Nanoseconds>(random() %
                                                                                   1'500'000));
            const bool again = round % 3 != 0;
            auto met = meetings.meet(3 * ms);
            if (met && again) met = meetings.meet_again(3 * ms);
            EXPECT_TRUE(met || met.error().code == Errc::timed_out);
            std::array<std::uint64_t, 2> all{met.has_value(), !met.has_value()};
            ASSERT_TRUE(node.all_reduce(all, node::ReduceOp::sum));
            ASSERT_TRUE(all[0] == 0 || all[1] == 0)
                << all[0] << " met and " << all[1] << " did not, round " << round;
            if (node.rank() == 0) ++ends[all[0] == 0];
        }
    });
    EXPECT_GT(ends[0], 0u);
    EXPECT_GT(ends[1], 0u);
}

TEST(MeetingsTest, who_is_late_hears_what_the_others_were_told_and_takes_no_later_place) {
    std::array<std::string, 3> first, second;
    with_meetings([&](LoopMember& member, Meetings& meetings) {
        const auto rank = static_cast<std::size_t>(member.node.rank());
        // The others are two attempts further when it comes to the first of them.
        if (rank == 1) member.node.doors().tasks.sleep_for(400 * ms);
        first[rank] = text_of(meetings.meet(50 * ms));
        second[rank] = text_of(meetings.meet(50 * ms));
        EXPECT_TRUE(member.node.barrier());
        EXPECT_TRUE(meetings.meet(10'000 * ms));
        EXPECT_TRUE(meetings.meet_again(10'000 * ms));
    });
    EXPECT_EQ(first[0], "given up after 50 ms (checkpoint.meet_ms): rank 1 has not come");
    for (std::size_t rank = 0; rank < 3; ++rank) {
        EXPECT_EQ(first[rank], first[0]);
        EXPECT_EQ(second[rank], first[0]);
    }
}

TEST(MeetingsTest, what_those_do_that_others_wait_for_is_told) {
    std::array<std::string, 3> texts;
    with_meetings([&](LoopMember& member, Meetings& meetings) {
        const auto rank = static_cast<std::size_t>(member.node.rank());
        EXPECT_TRUE(meetings.meet(10'000 * ms));
        meetings.now(Doing::before);
        if (rank != 0) member.node.doors().tasks.sleep_for(300 * ms);
        texts[rank] = text_of(meetings.meet_again(50 * ms));
        EXPECT_TRUE(member.node.barrier());
    });
    for (const std::string& text : texts)
        EXPECT_EQ(text, "given up after 50 ms (checkpoint.meet_ms): rank 1, 2 is in a callback "
                        "`before`");
}

TEST(MeetingsTest, those_of_a_session_go_on_from_where_others_have_got_to) {
    with_meetings([&](LoopMember& member, Meetings& meetings) {
        // One has missed an attempt of the first ones.
        if (member.node.rank() != 2) EXPECT_FALSE(meetings.meet(10 * ms));
        EXPECT_TRUE(member.node.barrier());
        const auto later = value_or_throw(Meetings::make(member.node, member.engine));
        value_or_throw(later->begin());
        EXPECT_TRUE(later->meet(10'000 * ms));
        EXPECT_TRUE(member.node.barrier());
    });
}

}  // namespace
}  // namespace ssi::ckpt::test
