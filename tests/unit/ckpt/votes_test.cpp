// SPDX-License-Identifier: BSD-3-Clause
#include "votes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "loop_session.hpp"

namespace ssi::ckpt::test {
namespace {

template <class Body>
void with_votes(Body&& body) {
    loop_session(3, [&](LoopMember& member) {
        const auto votes = value_or_throw(Votes::make(member.node, member.engine, member.hub));
        EXPECT_TRUE(member.node.barrier());
        body(member.node, *votes);
    });
}

TEST(VotesTest, all_meet_or_none_however_close_it_is) {
    std::array<std::uint64_t, 2> ends{};   // met, did not
    with_votes([&](node::Node& node, Votes& votes) {
        std::mt19937 random(static_cast<unsigned>(node.rank()));
        for (int round = 0; round < 400; ++round) {
            // Some come when the others are about to leave.
            if (node.rank() == 2 && round % 8 != 0)
                node.doors().tasks.sleep_for(2'500'000 + static_cast<Nanoseconds>(random() %
                                                                                   1'500'000));
            const auto met = votes.meet(3'000'000);
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

TEST(VotesTest, all_hear_what_the_first_makes_of_what_each_has_given) {
    with_votes([&](node::Node& node, Votes& votes) {
        for (std::size_t round = 0; round < 50; ++round) {
            const Bytes mine(1 + round % 7, std::byte(node.rank() + 1));
            const auto heard = votes.vote(mine, [&](std::vector<Bytes> given) {
                EXPECT_EQ(node.rank(), 0);
                EXPECT_EQ(given.size(), 3u);
                Bytes all;
                for (const Bytes& one : given) all.insert(all.end(), one.begin(), one.end());
                return all;
            });
            ASSERT_TRUE(heard);
            Bytes wanted;
            for (int rank = 0; rank < 3; ++rank)
                wanted.insert(wanted.end(), 1 + round % 7, std::byte(rank + 1));
            EXPECT_EQ(*heard, wanted);
        }
    });
}

}  // namespace
}  // namespace ssi::ckpt::test
