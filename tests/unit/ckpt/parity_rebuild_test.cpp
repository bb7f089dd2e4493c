// SPDX-License-Identifier: BSD-3-Clause
// What can be rebuilt by parity, where, and by whom: pure.
#include "parity_rebuild.hpp"

#include "support.hpp"

namespace ssi::ckpt::test {
namespace {

using Members = std::vector<MemberIndex>;

// Four members in groups (0, 2) and (1, 3), each rank with a store of its own.
struct RebuildPlan : testing::Test {
    std::vector<std::vector<SeenVersion>> by_rank;
    std::vector<int> leaders{0, 1, 2, 3};
    std::vector<Seat> seats{{1, 0}, {2, 1}, {3, 2}, {4, 3}};

    void SetUp() override {
        for (MemberIndex rank = 0; rank < 4; ++rank) by_rank.push_back({seen(7, {rank}, {rank})});
    }
    static SeenVersion seen(VersionNumber version, Members present, Members parity) {
        return {version, {1, version}, 3, 4, std::move(present), {}, {1, 2, 1, 2},
                std::move(parity)};
    }
    std::vector<Choice> choose() { return choices(by_rank, leaders); }
    std::vector<ParityRebuild> plan() { return missing_parity(choose(), seats); }
};

TEST_F(RebuildPlan, nothing_is_made_where_nothing_is_lost) {
    EXPECT_TRUE(plan().empty());
    EXPECT_EQ(choose()[0].readers, (std::vector<int>{0, 1, 2, 3}));
}

TEST_F(RebuildPlan, a_lost_store_is_filled_again) {
    by_rank[2].clear();
    const auto choice = choose()[0];
    EXPECT_EQ(choice.why_not, "");
    EXPECT_EQ(choice.readers, (std::vector<int>{0, 1, -1, 3}));
    const ParityRebuild wanted{.dataset = {1, 7}, .version = 7, .member = 2, .make_member = true,
                               .make_parity = true, .to = 2, .manifest_at = 0, .from = {0, 2}};
    EXPECT_EQ(plan(), std::vector<ParityRebuild>{wanted});
}

TEST_F(RebuildPlan, each_group_may_lose_one_and_the_oldest_version_comes_first) {
    for (MemberIndex rank = 2; rank < 4; ++rank) by_rank[rank].push_back(seen(5, {rank}, {rank}));
    by_rank[0].clear();
    by_rank[1].clear();
    const auto all = plan();
    ASSERT_EQ(all.size(), 4u);
    EXPECT_EQ(all[0].version, 5u);
    EXPECT_EQ(all[0].member, 0u);
    EXPECT_EQ(all[1].member, 1u);
    EXPECT_EQ(all[2].version, 7u);
}

TEST_F(RebuildPlan, two_of_a_group_are_too_many) {
    by_rank[0].clear();
    by_rank[2].clear();
    EXPECT_EQ(choose()[0].why_not,
              "no rank sees member 0 of 4, nor member 2 of its group (0, 2)");
    EXPECT_TRUE(plan().empty());
}

TEST_F(RebuildPlan, without_the_other_one_s_parity_a_member_is_lost) {
    by_rank[0].clear();
    by_rank[2] = {seen(7, {2}, {})};
    EXPECT_EQ(choose()[0].why_not,
              "no rank sees member 0 of 4, nor the parity kept with member 2 of its group (0, 2)");
    by_rank[3] = {seen(7, {3}, {3, 2})};
    EXPECT_EQ(choose()[0].why_not,
              "no rank sees member 0 of 4, nor any both member 2 of its group (0, 2) and the "
              "parity kept with it");
}

TEST_F(RebuildPlan, parity_alone_is_made_where_its_member_is) {
    by_rank[3] = {seen(7, {3}, {})};
    const ParityRebuild wanted{.dataset = {1, 7}, .version = 7, .member = 3, .make_member = false,
                               .make_parity = true, .to = 3, .manifest_at = 0, .from = {1, 3}};
    EXPECT_EQ(plan(), std::vector<ParityRebuild>{wanted});
}

TEST_F(RebuildPlan, a_rank_that_has_none_of_the_group_comes_first) {
    // Three ranks go on; the store of member 3 is lost, and rank 0 sees none of its group.
    by_rank.pop_back();
    leaders.pop_back();
    seats.pop_back();
    ASSERT_EQ(plan().size(), 1u);
    EXPECT_EQ(plan()[0].to, 0);
    // Where it was: rank 2 has what was kept of an older version.
    by_rank[2].push_back(seen(5, {2, 3}, {2, 3}));
    by_rank[1].push_back(seen(5, {1}, {1}));
    by_rank[0].push_back(seen(5, {0}, {0}));
    ASSERT_EQ(plan().size(), 1u);
    EXPECT_EQ(plan()[0].to, 2);
}

}  // namespace
}  // namespace ssi::ckpt::test
