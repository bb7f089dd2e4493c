// SPDX-License-Identifier: BSD-3-Clause
// Parity in groups of ranks: stores are destroyed, and members damaged, between one session and the
// next.
#include <signal.h>
#include <sys/resource.h>

#include "checkpoint_lost_stores.hpp"
#include "ssi/base/random.hpp"

namespace ssi::test {
namespace {

class ParityRanks : public LostStores {
protected:
    static constexpr CheckpointLevel level = CheckpointLevel::parity;

    // What is wrong with a version, in all stores together.
    std::vector<std::string> faults(ckpt::VersionNumber version) {
        std::vector<std::unique_ptr<io::Disk>> disks;
        std::vector<std::unique_ptr<ckpt::Store>> owned;
        std::vector<ckpt::Store*> stores;
        for (int rank = 0; rank < world_size(); ++rank) {
            if (!stdfs::exists(fmt::format("{}/{}", directory_, rank))) continue;
            disks.push_back(good(io::make_libaio_disk(fmt::format("{}/{}", directory_, rank))));
            owned.push_back(good(ckpt::Store::open({.disk = disks.back().get()})));
            stores.push_back(owned.back().get());
        }
        return good(ckpt::verify_version(stores, version)).faults;
    }
    void expect_whole(std::initializer_list<ckpt::VersionNumber> versions) {
        MPI_Barrier(MPI_COMM_WORLD);
        for (const auto version : versions)
            if (world_rank() == 0) {
                EXPECT_EQ(faults(version), std::vector<std::string>()) << "version " << version;
            }
        MPI_Barrier(MPI_COMM_WORLD);
    }
    // Large members of several files, of different lengths.
    void save_large() {
        session_of(world_size(), [&](Session& s) {
            auto large = large_of(s.rank());
            Checkpoint checkpoint(s, each());
            checkpoint.protect_span("large", large);
            good(checkpoint.take("", {.number = 1, .level = level}));
        });
    }
    static std::vector<std::byte> large_of(int rank) {
        std::vector<std::byte> large((17u << 20) + static_cast<unsigned>(rank) * 5'000'000u);
        Random random(static_cast<std::uint64_t>(rank) + 1);
        for (std::byte& byte : large) byte = static_cast<std::byte>(random.next());
        return large;
    }
    std::map<std::string, std::string> all_files(int rank) {
        std::map<std::string, std::string> files;
        for (const auto& entry :
             stdfs::recursive_directory_iterator(fmt::format("{}/{}/v1", directory_, rank))) {
            if (!entry.is_regular_file()) continue;
            std::ifstream in(entry.path(), std::ios::binary);
            std::ostringstream text;
            text << in.rdbuf();
            files[entry.path()] = std::move(text).str();
        }
        return files;
    }
    // Ranks go into groups of at most this many.
    static void groups_of(int most) {
        ::setenv("SSI_CHECKPOINT_GROUP", std::to_string(most).c_str(), 1);
    }
    void TearDown() override {
        ::unsetenv("SSI_CHECKPOINT_GROUP");
        LostStores::TearDown();
    }
};

TEST_F(ParityRanks, the_loss_of_any_one_store_is_made_good) {
    save(level);
    expect_no_channels(level);
    expect_whole({1, 2, 3});
    for (int lost = 0; lost < world_size(); ++lost) {
        destroy(lost);
        go_on(world_size(), 3, 3);   // its members of three versions
        if (HasFatalFailure()) return;
        expect_whole({1, 2, 3});
    }
    go_on(world_size(), 3, 0);
}

TEST_F(ParityRanks, what_is_rebuilt_is_the_same_files_byte_for_byte) {
    save_large();
    std::vector<std::map<std::string, std::string>> before;
    if (world_rank() == 0)
        for (int rank = 0; rank < world_size(); ++rank) before.push_back(all_files(rank));
    for (int lost = 0; lost < world_size(); ++lost) {
        destroy(lost);
        session_of(world_size(), [&](Session& s) {
            std::vector<std::byte> large(large_of(s.rank()).size());
            Checkpoint checkpoint(s, each());
            checkpoint.protect_span("large", large);
            const auto from = good(checkpoint.restart());
            ASSERT_TRUE(from);
            EXPECT_EQ(from->rebuilt_members, 1u);
            EXPECT_TRUE(large == large_of(s.rank()));
        });
        if (world_rank() != 0) continue;
        EXPECT_GE(before[static_cast<std::size_t>(lost)].size(), 6u);
        EXPECT_TRUE(all_files(lost) == before[static_cast<std::size_t>(lost)]) << lost;
    }
}

TEST_F(ParityRanks, fewer_ranks_go_on_without_the_lost_one) {
    for (int ranks = 1; ranks < world_size(); ++ranks) {
        save(level);
        destroy(world_size() - 1);
        go_on(ranks, 3, 3);
        if (HasFatalFailure()) return;
        MPI_Barrier(MPI_COMM_WORLD);
        if (world_rank() == 0)
            for (int rank = 0; rank < world_size(); ++rank)
                stdfs::remove_all(fmt::format("{}/{}", directory_, rank));
        MPI_Barrier(MPI_COMM_WORLD);
    }
}

TEST_F(ParityRanks, each_group_may_lose_one) {
    if (world_size() < 4) GTEST_SKIP() << "fewer than four ranks are one group of at least two";
    groups_of(2);
    save(level);
    destroy(0);
    destroy(1);   // 0 and 2 are a group, 1 and 3
    go_on(world_size(), 3, 6);
    expect_whole({1, 2, 3});
}

TEST_F(ParityRanks, with_two_of_a_group_lost_an_older_level_is_gone_back_to) {
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, each());
        checkpoint.protect(set);
        fill(s, set, 1);
        good(checkpoint.take("", {.number = 1, .level = CheckpointLevel::partner}));
        fill(s, set, 2);
        good(checkpoint.take("", {.number = 2, .level = level}));
    });
    MPI_Barrier(MPI_COMM_WORLD);
    if (world_rank() == 0)
        for (int rank : {0, 1}) stdfs::remove_all(fmt::format("{}/{}/v2", directory_, rank));
    MPI_Barrier(MPI_COMM_WORLD);
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, each());
        checkpoint.protect(set);
        const auto from = checkpoint.restart();
        if (world_size() == 2) {     // nothing is left that tells of version 2
            ASSERT_TRUE(from && *from);
            EXPECT_EQ((*from)->number, 1u);
            return;
        }
        ASSERT_TRUE(from && *from);
        EXPECT_EQ((*from)->number, 1u);
        check(s, set, 1);
        if (s.rank() != 0) return;
        ASSERT_EQ((*from)->passed_over.size(), 1u);
        const std::string group = world_size() == 3 ? "(0, 1, 2)" : "(0, 1, 2, 3)";
        EXPECT_EQ((*from)->passed_over[0],
                  fmt::format("version 2: no rank sees member 0 of {}, nor member 1 of its group "
                              "{}", world_size(), group));
    });
}

TEST_F(ParityRanks, a_damaged_member_is_repaired_where_it_lies) {
    save(level);
    // The first version is what the others refer to.
    for (const char* file : {"v3/m1/0000000000000001.seg", "v1/m1/0000000000000001.seg"}) {
        flip(fmt::format("{}/1/{}", directory_, file));
        if (world_rank() == 0) {
            EXPECT_FALSE(faults(3).empty());
        }
        go_on(world_size(), 3, 1);
        if (HasFatalFailure()) return;
        expect_whole({1, 2, 3});
    }
    flip(fmt::format("{}/0/v3/m0/member", directory_));
    go_on(world_size(), 3, 1);
    expect_whole({1, 2, 3});
}

TEST_F(ParityRanks, damage_of_two_of_a_group_is_passed_over) {
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, each());
        checkpoint.protect(set);
        for (std::uint64_t salt = 1; salt <= 2; ++salt) {
            fill(s, set, salt);
            good(checkpoint.take("", {.number = salt, .level = level}));
        }
    });
    flip(directory_ + "/0/v2/m0/0000000000000001.seg");
    flip(directory_ + "/1/v2/m1/0000000000000001.seg");
    go_on(world_size(), 1, 0);
}

TEST_F(ParityRanks, lost_parity_is_made_again) {
    save(level);
    MPI_Barrier(MPI_COMM_WORLD);
    if (world_rank() == 0) {
        stdfs::remove_all(directory_ + "/0/v3/p0");
        stdfs::resize_file(directory_ + "/1/v3/p1/rows", 4096);
        EXPECT_EQ(faults(3).size(), 2u);
    }
    flip(directory_ + "/0/v2/p0/parity");
    go_on(world_size(), 3, 3);
    expect_whole({1, 2, 3});
}

TEST_F(ParityRanks, every_byte_of_parity_is_verified) {
    save_large();
    for (const char* file : {"p0/rows", "p0/parity"}) {
        flip(fmt::format("{}/0/v1/{}", directory_, file));
        if (world_rank() == 0) {
            const auto found = faults(1);
            ASSERT_EQ(found.size(), 1u);
            EXPECT_NE(found[0].find(file), std::string::npos) << found[0];
        }
        flip(fmt::format("{}/0/v1/{}", directory_, file));
        expect_whole({1});
    }
}

TEST_F(ParityRanks, levels_take_turns) {
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        CheckpointOptions options = each();
        options.keep = 6;
        Checkpoint checkpoint(s, options);
        checkpoint.protect(set);
        std::uint64_t salt = 0;
        for (const auto one : {level, level, CheckpointLevel::partner, level,
                               CheckpointLevel::local, CheckpointLevel::partner, level}) {
            fill(s, set, ++salt);
            good(checkpoint.take("", {.number = salt, .asynchronous = salt % 2 == 0,
                                      .incremental = true, .level = one}));
        }
    });
    for (int lost = 0; lost < world_size(); ++lost) {
        destroy(lost);
        go_on(world_size(), 7);
        if (HasFatalFailure()) return;
    }
}

TEST_F(ParityRanks, nothing_of_a_version_is_left_once_it_is_removed) {
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        CheckpointOptions options = each();
        options.keep = 1;
        Checkpoint checkpoint(s, options);
        checkpoint.protect(set);
        for (std::uint64_t salt = 1; salt <= 3; ++salt) {
            fill(s, set, salt);
            good(checkpoint.take("", {.number = salt, .level = level}));
        }
    });
    const std::string own = fmt::format("{}/{}", directory_, world_rank());
    EXPECT_FALSE(stdfs::exists(own + "/v1"));
    EXPECT_FALSE(stdfs::exists(own + "/v2"));
    EXPECT_TRUE(stdfs::exists(fmt::format("{}/v3/p{}/parity", own, world_rank())));
    // What was never committed goes when the next session begins.
    stdfs::remove(own + "/v3/manifest");
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, each());
        checkpoint.protect(set);
        EXPECT_FALSE(good(checkpoint.restart()));
    });
    EXPECT_FALSE(stdfs::exists(own + "/v3"));
}

// Files of a rank may be long enough for segments, but not for parity.
class LongestFile {
public:
    explicit LongestFile(rlim_t bytes) {
        before_ = ::signal(SIGXFSZ, SIG_IGN);
        ::getrlimit(RLIMIT_FSIZE, &limit_);
        const rlimit now{bytes, limit_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &now);
    }
    ~LongestFile() {
        ::setrlimit(RLIMIT_FSIZE, &limit_);
        ::signal(SIGXFSZ, before_);
    }

private:
    rlimit limit_{};
    void (*before_)(int) = nullptr;
};

TEST_F(ParityRanks, where_parity_cannot_be_written_nothing_is_left_and_all_go_on) {
    session_of(world_size(), [&](Session& s) {
        auto set = open(s);
        Checkpoint checkpoint(s, each());
        checkpoint.protect(set);
        fill(s, set, 1);
        good(checkpoint.take("", {.number = 1, .level = level}));
        fill(s, set, 2);
        {
            std::optional<LongestFile> limit;
            if (s.rank() == 1) limit.emplace(24u << 20);
            const auto failed = checkpoint.take("", {.number = 2, .level = level});
            ASSERT_FALSE(failed);
            EXPECT_EQ(failed.error().code, Errc::io);
            EXPECT_NE(failed.error().text.find("v2/p1/rows"), std::string::npos)
                << failed.error().text;
        }
        EXPECT_FALSE(stdfs::exists(fmt::format("{}/{}/v2", directory_, s.rank())));
        s.barrier();
        good(checkpoint.take("", {.number = 2, .level = level}));
    });
    go_on(world_size(), 2, 0);
}

TEST_F(ParityRanks, where_parity_would_not_help_it_is_refused) {
    expect_refused(level);
}

}  // namespace
}  // namespace ssi::test
