// SPDX-License-Identifier: BSD-3-Clause
#include "choice.hpp"

#include <algorithm>

#include "support.hpp"

namespace ssi::ckpt::test {
namespace {

using Members = std::vector<MemberIndex>;
using Readers = std::vector<int>;

SeenVersion seen(VersionNumber version, std::uint32_t members, Members present,
                 std::uint64_t dataset = 1) {
    return {version, {dataset, version}, 1, members, std::move(present), {}, {}, {}};
}

struct ChoiceTest : testing::Test {
    std::vector<Choice> choose() { return choices(by_rank, leaders, global); }
    std::vector<std::vector<SeenVersion>> by_rank;
    std::vector<SeenVersion> global;
    std::vector<int> leaders;
};

TEST_F(ChoiceTest, the_newest_comes_first_and_each_rank_reads_its_own) {
    by_rank = {{seen(3, 2, {0, 1}), seen(5, 2, {0, 1})}, {}};
    leaders = {0, 0};
    const auto all = choose();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].version, 5u);
    EXPECT_EQ(all[0].readers, (Readers{0, 1}));
    EXPECT_EQ(all[0].manifest_at, 0);
    EXPECT_EQ(all[0].why_not, "");
    EXPECT_EQ(all[1].version, 3u);
}

TEST_F(ChoiceTest, more_members_than_ranks_are_dealt_out_evenly) {
    by_rank = {{seen(1, 7, {0, 1, 2, 3, 4, 5, 6})}, {}, {}};
    leaders = {0, 0, 0};
    const auto readers = choose()[0].readers;
    for (int rank = 0; rank < 3; ++rank) {
        const auto count = std::ranges::count(readers, rank);
        EXPECT_GE(count, 2);
        EXPECT_LE(count, 3);
    }
}

TEST_F(ChoiceTest, a_member_is_read_by_who_sees_it_whoever_has_the_manifest) {
    // Rank 1 finished its member, and did not hear of the commit any more.
    by_rank = {{seen(4, 2, {0})}, {seen(4, 0, {1})}};
    leaders = {0, 1};
    auto all = choose();
    EXPECT_EQ(all[0].readers, (Readers{0, 1}));
    EXPECT_EQ(all[0].why_not, "");
    // Another attempt's by the same number.
    by_rank[1] = {seen(4, 0, {1}, 99)};
    EXPECT_EQ(choose()[0].why_not, "no rank sees member 1 of 2");
    by_rank[1].clear();
    EXPECT_EQ(choose()[0].why_not, "no rank sees member 1 of 2");
    // A copy at rank 0.
    by_rank[0] = {seen(4, 2, {0, 1})};
    EXPECT_EQ(choose()[0].readers, (Readers{0, 0}));
}

TEST_F(ChoiceTest, without_a_manifest_there_is_a_reason) {
    by_rank = {{seen(2, 0, {0, 1})}, {seen(2, 0, {})}};
    by_rank[1][0].why = "it is being written";
    leaders = {0, 1};
    EXPECT_EQ(choose()[0].why_not, "it is being written");
}

TEST_F(ChoiceTest, what_ranks_have_not_is_read_from_the_global_store_in_turn) {
    by_rank = {{seen(4, 4, {0})}, {}, {}};
    leaders = {0, 1, 2};
    EXPECT_NE(choose()[0].why_not, "");
    global = {seen(4, 4, {0, 1, 2, 3})};
    auto all = choose();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].why_not, "");
    EXPECT_EQ(all[0].readers, (Readers{0, 1, 2, 0}));
    EXPECT_TRUE(all[0].global);
    EXPECT_FALSE(all[0].only_global);
    // By who has it, where somebody has.
    by_rank[2] = {seen(4, 4, {1, 3})};
    EXPECT_EQ(choose()[0].readers, (Readers{0, 2, 2, 2}));
    // Not all of it is there.
    global = {seen(4, 4, {0, 1, 2})};
    EXPECT_FALSE(choose()[0].global);
    EXPECT_EQ(choose()[0].why_not, "");
}

TEST_F(ChoiceTest, the_newest_is_chosen_wherever_it_is) {
    by_rank = {{seen(3, 1, {0}), seen(4, 0, {})}};
    leaders = {0};
    global = {seen(2, 1, {0}), seen(5, 1, {0})};
    const auto all = choose();
    ASSERT_EQ(all.size(), 4u);
    EXPECT_EQ(all[0].version, 5u);
    EXPECT_EQ(all[0].manifest_at, 0);
    EXPECT_EQ(all[1].why_not, "it has no manifest");
    EXPECT_FALSE(all[2].global);
    EXPECT_EQ(all[3].version, 2u);
}

TEST_F(ChoiceTest, a_manifest_that_ranks_have_lost_is_that_of_the_global_store) {
    by_rank = {{}, {seen(4, 0, {1})}};
    leaders = {0, 1};
    global = {seen(4, 2, {0, 1})};
    const auto all = choose();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].manifest_at, 0);
    EXPECT_EQ(all[0].holders, (std::vector<std::vector<int>>{{}, {1}}));
    EXPECT_EQ(all[0].readers, (Readers{0, 1}));
}

TEST_F(ChoiceTest, another_version_by_the_same_number_is_another_choice) {
    by_rank = {{seen(4, 2, {0}, 7)}, {}};
    leaders = {0, 1};
    global = {seen(4, 2, {0, 1}, 8)};
    const auto all = choose();
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].why_not, "no rank sees member 1 of 2");
    EXPECT_FALSE(all[0].global);
    EXPECT_EQ(all[1].why_not, "");
    EXPECT_TRUE(all[1].only_global);
    EXPECT_EQ(all[1].dataset.high, 8u);
}

TEST_F(ChoiceTest, what_is_seen_travels) {
    std::vector<SeenVersion> versions{seen(3, 2, {0, 1}), seen(9, 0, {})};
    versions[0].groups = {1, 1};
    versions[0].parity = {1};
    versions[1].why = "damaged";
    const auto bytes = encode_seen(versions);
    EXPECT_EQ(good(decode_seen(bytes)), versions);
    EXPECT_TRUE(good(decode_seen({})).empty());
    for (std::size_t length = 1; length < bytes.size(); ++length)
        EXPECT_FALSE(decode_seen(std::span(bytes).first(length))) << length;
}

}  // namespace
}  // namespace ssi::ckpt::test
