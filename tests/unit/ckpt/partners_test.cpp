// SPDX-License-Identifier: BSD-3-Clause
#include "partners.hpp"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>

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

using Groups = std::vector<Ranks>;

TEST(FailureGroups, a_host_is_in_no_group_twice_and_groups_are_as_equal_as_can_be) {
    Random random(7);
    int refused = 0;
    for (int round = 0; round < 2000; ++round) {
        std::vector<Seat> seats(2 + random.below(20));
        const std::uint64_t hosts = 2 + random.below(9);
        for (std::size_t rank = 0; rank < seats.size(); ++rank)
            seats[rank] = {random.below(hosts), static_cast<int>(rank)};
        std::map<std::uint64_t, std::size_t> of_host;
        std::size_t largest = 0;
        for (const Seat& seat : seats) largest = std::max(largest, ++of_host[seat.host]);
        const std::size_t most = 2 + random.below(8);
        const auto groups = failure_groups(seats, most, false);
        if (2 * largest > seats.size()) {
            ASSERT_FALSE(groups);
            EXPECT_EQ(groups.error().code, Errc::unsupported);
            ++refused;
            continue;
        }
        ASSERT_TRUE(groups);
        std::vector<int> all;
        std::size_t least = seats.size(), longest = 0;
        for (const Ranks& group : *groups) {
            std::set<std::uint64_t> here;
            for (const int rank : group) here.insert(seats[static_cast<std::size_t>(rank)].host);
            EXPECT_EQ(here.size(), group.size());
            EXPECT_TRUE(std::ranges::is_sorted(group));
            all.insert(all.end(), group.begin(), group.end());
            least = std::min(least, group.size());
            longest = std::max(longest, group.size());
        }
        EXPECT_GE(least, 2u);
        EXPECT_LE(longest, least + 1);
        EXPECT_LE(longest, std::max<std::size_t>(most, most == 2 ? 3 : 0));
        std::ranges::sort(all);
        Ranks every(seats.size());
        std::iota(every.begin(), every.end(), 0);
        EXPECT_EQ(all, every);
    }
    EXPECT_GT(refused, 100);
    EXPECT_LT(refused, 1900);
}

TEST(FailureGroups, on_one_host_their_stores_differ_if_that_is_allowed) {
    const std::vector<Seat> seats{{1, 0}, {1, 1}, {1, 2}, {1, 3}};
    EXPECT_EQ(good(failure_groups(seats, 8, true)), (Groups{{0, 1, 2, 3}}));
    EXPECT_EQ(good(failure_groups(seats, 2, true)), (Groups{{0, 2}, {1, 3}}));
    EXPECT_EQ(good(failure_groups(std::span(seats).first(3), 2, true)), (Groups{{0, 1, 2}}));
    const auto refused = failure_groups(seats, 8, false);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text.find("allow_same_host"), std::string::npos);
}

TEST(FailureGroups, nobody_is_left_alone) {
    const std::vector<Seat> seats{{1, 0}, {1, 1}, {1, 2}, {2, 3}};
    const auto refused = failure_groups(seats, 8, false);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::unsupported);
    EXPECT_NE(refused.error().text.find("3 of 4 ranks"), std::string::npos);
}

struct MissingCopies : testing::Test {
    std::vector<Rebuild> missing() { return missing_copies({&choice, 1}, seats, true); }
    std::vector<Seat> seats{{1, 0}, {1, 1}, {1, 2}};
    Choice choice{.version = 7, .dataset = {1, 7}, .level = 2, .manifest_at = 2,
                  .holders = {{0, 1}, {1, 2}, {2, 0}}, .readers = {0, 1, 2}, .why_not = "",
                  .groups = {}, .parity = {}};
};

TEST_F(MissingCopies, nothing_is_made_of_what_is_there_twice_or_never_was) {
    EXPECT_TRUE(missing().empty());
    choice.holders = {{0}, {1}, {2}};
    choice.level = 1;
    EXPECT_TRUE(missing().empty());
    choice.level = 3;
    EXPECT_TRUE(missing().empty());
    choice.level = 2;
    choice.why_not = "no rank sees member 1";
    EXPECT_TRUE(missing().empty());
}

TEST_F(MissingCopies, what_is_damaged_is_replaced_by_the_copy_of_another) {
    const Damaged damaged[] = {{7, 1}, {7, 2}, {7, 5}, {6, 0}};
    const int ranks[] = {1, 0, 0, 0}, leaders[] = {0, 1, 2};
    auto wanted = damaged_copies({&choice, 1}, damaged, ranks, leaders);
    ASSERT_EQ(wanted.size(), 2u);   // there is no member 5, and no version 6
    EXPECT_EQ(wanted[0].copy.member, 1u);
    EXPECT_EQ(std::pair(wanted[0].from, wanted[0].to), std::pair(2, 1));
    EXPECT_EQ(wanted[1].copy.member, 2u);
    EXPECT_EQ(std::pair(wanted[1].from, wanted[1].to), std::pair(2, 0));
    EXPECT_TRUE(wanted[0].damaged && wanted[1].damaged);
    // Where nobody else sees one, the rank may have another one itself.
    choice.holders[1] = {1};
    wanted = damaged_copies({&choice, 1}, std::span(damaged).first(1), ranks, leaders);
    ASSERT_EQ(wanted.size(), 1u);
    EXPECT_EQ(std::pair(wanted[0].from, wanted[0].to), std::pair(1, 1));
    choice.level = 1;
    EXPECT_TRUE(damaged_copies({&choice, 1}, damaged, ranks, leaders).empty());
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
