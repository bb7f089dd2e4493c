// SPDX-License-Identifier: BSD-3-Clause
#include "partners.hpp"

#include "rebuild.hpp"
#include "support.hpp"

namespace ssi::ckpt::test {
namespace {

using Ranks = std::vector<int>;

TEST(Partners, they_are_on_another_host) {
    const std::vector<Seat> seats{{1, 0}, {1, 1}, {2, 2}, {2, 3}, {3, 4}};
    const auto all = good(partners(seats, false));
    for (std::size_t rank = 0; rank < seats.size(); ++rank)
        EXPECT_NE(seats[rank].host, seats[static_cast<std::size_t>(all[rank])].host) << rank;
    EXPECT_EQ(all, (Ranks{2, 3, 4, 4, 0}));
    // With several hosts it makes no difference that one host would do.
    EXPECT_EQ(good(partners(seats, true)), all);
}

TEST(Partners, on_one_host_they_have_another_store_if_that_is_allowed) {
    const std::vector<Seat> seats{{1, 0}, {1, 1}, {1, 2}};
    const auto refused = partners(seats, false);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unsupported);
    EXPECT_NE(refused.error().text.find("allow_same_host"), std::string::npos);
    EXPECT_EQ(good(partners(seats, true)), (Ranks{1, 2, 0}));
}

TEST(Partners, one_store_has_no_room_for_two_copies) {
    const std::vector<Seat> seats{{1, 0}, {2, 0}};
    const auto refused = partners(seats, true);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text.find("%n"), std::string::npos);
}

struct MissingCopies : testing::Test {
    std::vector<Rebuild> missing() { return missing_copies({&choice, 1}, seats, true); }
    std::vector<Seat> seats{{1, 0}, {1, 1}, {1, 2}};
    Choice choice{.version = 7, .dataset = {1, 7}, .level = 2, .manifest_at = 2,
                  .holders = {{0, 1}, {1, 2}, {2, 0}}, .readers = {0, 1, 2}, .why_not = ""};
};

TEST_F(MissingCopies, nothing_is_made_of_what_is_there_twice_or_never_was) {
    EXPECT_TRUE(missing().empty());
    choice.holders = {{0}, {1}, {2}};
    choice.level = 1;
    EXPECT_TRUE(missing().empty());
    choice.level = 2;
    choice.why_not = "no rank sees member 1";
    EXPECT_TRUE(missing().empty());
}

TEST_F(MissingCopies, the_member_s_own_rank_comes_first) {
    // The store of rank 1 is gone.
    choice.holders = {{0}, {2}, {2, 0}};
    choice.readers = {0, 2, 2};
    const auto wanted = missing();
    ASSERT_EQ(wanted.size(), 2u);
    EXPECT_EQ(wanted[0].copy.member, 0u);
    EXPECT_EQ(wanted[0].from, 0);
    EXPECT_EQ(wanted[0].to, 1);
    EXPECT_EQ(wanted[1].copy.member, 1u);
    EXPECT_EQ(wanted[1].from, 2);
    EXPECT_EQ(wanted[1].to, 1);
    EXPECT_EQ(wanted[1].manifest_at, 2);
}

}  // namespace
}  // namespace ssi::ckpt::test
