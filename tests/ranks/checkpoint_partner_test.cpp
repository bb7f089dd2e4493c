// SPDX-License-Identifier: BSD-3-Clause
// Copies at partners: stores are destroyed between one session and the next.
#include "checkpoint_lost_stores.hpp"
#include "ssi/base/random.hpp"

namespace ssi::test {
namespace {

using PartnerRanks = LostStores;

TEST_F(PartnerRanks, the_loss_of_any_one_store_is_made_good) {
    save(CheckpointLevel::partner);
    expect_no_channels(CheckpointLevel::partner);
    for (int lost = 0; lost < world_size(); ++lost) {
        destroy(lost);
        // Of three versions each its own member, and that of whose partner it is.
        go_on(world_size(), 3, 6);
        if (HasFatalFailure()) return;
    }
    go_on(world_size(), 3, 0);
    session_of(1, [&](Session&) {
        for (int rank = 0; rank < world_size(); ++rank)
            EXPECT_TRUE(stdfs::exists(fmt::format("{}/{}/v3/manifest", directory_, rank)));
    });
}

// Of members with several files, which are sent while they are written.
TEST_F(PartnerRanks, a_copy_is_the_same_files_byte_for_byte) {
    session_of(world_size(), [&](Session& s) {
        std::vector<std::byte> large(50u << 20);
        Random random(static_cast<std::uint64_t>(s.rank()) + 1);
        for (std::byte& byte : large) byte = static_cast<std::byte>(random.next());
        Checkpoint checkpoint(s, each());
        checkpoint.protect_span("large", large);
        good(checkpoint.take("", {.level = CheckpointLevel::partner}));
    });
    if (world_rank() != 0) return;
    for (int member = 0; member < world_size(); ++member) {
        std::vector<std::map<std::string, std::string>> found;
        for (int rank = 0; rank < world_size(); ++rank)
            if (const auto folder = fmt::format("{}/{}/v1/m{}", directory_, rank, member);
                stdfs::exists(folder))
                found.push_back(files_in(folder));
        ASSERT_EQ(found.size(), 2u) << "member " << member;
        EXPECT_GE(found[0].size(), 5u);
        EXPECT_TRUE(found[0] == found[1]) << "member " << member;
    }
}

TEST_F(PartnerRanks, what_copies_went_through_is_in_no_later_checkpoint_of_the_session) {
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        {
            Checkpoint checkpoint(s, each());
            checkpoint.protect(set);
            fill(s, set, 1);
            good(checkpoint.take("", {.level = CheckpointLevel::partner}));
        }
        s.barrier();
        {
            Checkpoint checkpoint(s, each());
            checkpoint.protect(set);
            good(checkpoint.take("", {.number = 2}));
        }
        s.barrier();
        if (s.rank() == 0) value_or_throw(s.destroy("state"));
        s.barrier();
        set = open(s);
        Checkpoint checkpoint(s, each());
        checkpoint.protect(set);
        const auto from = good(checkpoint.restart());
        ASSERT_TRUE(from);
        EXPECT_EQ(from->number, 2u);
        check(s, set, 1);
    });
}

TEST_F(PartnerRanks, a_damaged_member_is_made_good_by_its_copy) {
    save(CheckpointLevel::partner);
    const auto of_member = [&](const std::string& folder) {
        return files_in(directory_ + "/" + folder);
    };
    // The first version is what the others refer to.
    for (const std::string folder : {"1/v3/m1", "1/v1/m1", "0/v3/m0"}) {
        const auto whole = of_member(folder);
        flip(fmt::format("{}/{}/0000000000000001.seg", directory_, folder));
        EXPECT_TRUE(of_member(folder) != whole);
        go_on(world_size(), 3, 1);
        if (HasFatalFailure()) return;
        EXPECT_TRUE(of_member(folder) == whole) << folder;
    }
    go_on(world_size(), 3, 0);
    // Also where the manifest is damaged, too: others have it.
    flip(directory_ + "/1/v3/m1/0000000000000001.seg");
    flip(directory_ + "/1/v3/manifest");
    go_on(world_size(), 3, 1);
    if (HasFatalFailure()) return;
    // One rank that sees both.
    const auto whole = of_member("0/v3/m0");
    flip(directory_ + "/0/v3/m0/0000000000000001.seg");
    go_on(1, 3, 1);
    EXPECT_TRUE(of_member("0/v3/m0") == whole);
}

TEST_F(PartnerRanks, with_both_copies_damaged_an_older_version_is_put_back) {
    save(CheckpointLevel::partner);
    for (int rank = 0; rank < world_size(); ++rank)
        if (const auto file = fmt::format("{}/{}/v3/m1/0000000000000001.seg", directory_, rank);
            stdfs::exists(file))
            flip(file);
    go_on(world_size(), 2, 0);
}

TEST_F(PartnerRanks, fewer_ranks_go_on_without_the_lost_one) {
    save(CheckpointLevel::partner);
    destroy(world_size() - 1);
    go_on(world_size() - 1, 3);
}

TEST_F(PartnerRanks, with_both_of_a_pair_lost_an_older_level_is_gone_back_to_or_none) {
    if (world_size() < 3) GTEST_SKIP() << "two ranks are one pair: nothing is left";
    save(CheckpointLevel::partner);
    destroy(0);
    destroy(1);
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, each());
        checkpoint.protect(set);
        const auto from = checkpoint.restart();
        ASSERT_FALSE(from);
        EXPECT_EQ(from.error().code, Errc::io);
        EXPECT_NE(from.error().text.find("version 3: no rank sees member 0"), std::string::npos)
            << from.error().text;
        // Numbers go on, and so does the application.
        fill(s, set, 9);
        EXPECT_EQ(good(checkpoint.take("", {.level = CheckpointLevel::partner})).version(), 4u);
    });
}

TEST_F(PartnerRanks, where_copies_would_not_help_they_are_refused) {
    expect_refused(CheckpointLevel::partner);
}

}  // namespace
}  // namespace ssi::test
