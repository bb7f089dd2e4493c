// SPDX-License-Identifier: BSD-3-Clause
// Stores with no space left, that can only be read, or that are gone: small file systems of their
// own, in a user and mount namespace that all ranks share.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <random>

#include "checkpoint_ranks.hpp"

namespace ssi::test {
namespace {

constexpr std::uint64_t store_bytes = 128 << 20, most_files = 100;
constexpr std::size_t words = 300'000;   // of each rank's part

// Each rank has a file system of its own for its store.
class SmallStores : public CheckpointRanks, public testing::WithParamInterface<CheckpointLevel> {
protected:
    void SetUp() override {
        CheckpointRanks::SetUp();
        if (world_size() < 2 && GetParam() != CheckpointLevel::local)
            GTEST_SKIP() << "one rank has no other one";
        ::setenv("SSI_CHECKPOINT_ALLOW_SAME_HOST", "1", 1);
        store_ = fmt::format("{}/{}", directory_, world_rank());
        stdfs::create_directory(store_);
        ASSERT_EQ(::mount("tmpfs", store_.c_str(), "tmpfs", 0, "size=128m,nr_inodes=128"), 0)
            << std::strerror(errno) << ": run it under unshare --user --map-root-user --mount";
        MPI_Barrier(MPI_COMM_WORLD);
    }
    void TearDown() override {
        MPI_Barrier(MPI_COMM_WORLD);
        if (!store_.empty()) EXPECT_EQ(::umount2(store_.c_str(), MNT_DETACH), 0);
        ::unsetenv("SSI_CHECKPOINT_ALLOW_SAME_HOST");
        CheckpointRanks::TearDown();
    }
    CheckpointOptions each() const {
        return {.directory = directory_ + "/%n", .application = "test", .keep = 2};
    }
    struct statvfs of_store() const {
        struct statvfs of {};
        EXPECT_EQ(::statvfs(store_.c_str(), &of), 0);
        return of;
    }
    std::uint64_t free_bytes() const { return of_store().f_bavail * of_store().f_frsize; }
    // So much is left of it.
    struct Left {
        std::uint64_t bytes = store_bytes;
        std::uint64_t files = most_files;
    };
    void leave(const Left& left) {
        stdfs::create_directory(ballast());
        const auto make = [&](int number) {
            const int fd = ::open(fmt::format("{}/{}", ballast(), number).c_str(),
                                  O_CREAT | O_RDWR, 0600);
            EXPECT_GE(fd, 0);
            return fd;
        };
        const int fd = make(0);
        if (left.bytes < free_bytes())
            EXPECT_EQ(::posix_fallocate(fd, 0, static_cast<off_t>(free_bytes() - left.bytes)), 0);
        ::close(fd);
        for (int number = 1; of_store().f_favail > left.files; ++number) ::close(make(number));
    }
    void give_back() { stdfs::remove_all(ballast()); }
    std::string ballast() const { return store_ + "/ballast"; }

    // What is saved: words that no run of zeroes makes shorter.
    void change(std::uint64_t seed) {
        std::mt19937_64 random(seed * 64 + static_cast<std::uint64_t>(world_rank()));
        for (std::uint64_t& word : mine_) word = random();
    }
    void protect(Checkpoint& checkpoint) {
        checkpoint.protect_array<std::uint64_t>(
            "words", mine_, words * static_cast<std::size_t>(world_rank()),
            words * static_cast<std::size_t>(world_size()));
    }
    void expect_restart(std::uint64_t seed) {
        session_of(world_size(), [&](Session& s) {
            change(0);
            Checkpoint checkpoint(s, each());
            protect(checkpoint);
            EXPECT_EQ(good(checkpoint.restart())->number, seed);
            const auto got = mine_;
            change(seed);
            EXPECT_EQ(got, mine_);
        });
    }
    void take(Session& s) {
        Checkpoint checkpoint(s, each());
        protect(checkpoint);
        change(++last_);
        good(checkpoint.take("", {.number = last_, .level = GetParam()}));
    }
    // A store that `rank` cannot write to any more fails the take with a text of what to do.
    void expect_failed(Checkpoint& checkpoint, int rank, std::string_view what) {
        change(last_ + 1);
        expect_failure(checkpoint.take("", {.number = last_ + 1, .level = GetParam()}), rank, what);
    }
    void expect_failure(const Result<CheckpointTicket>& failed, int rank, std::string_view what) {
        ASSERT_FALSE(failed);
        EXPECT_EQ(failed.error().code, Errc::io);
        const std::string& text = failed.error().text;
        EXPECT_NE(text.find(fmt::format("{}/{}", directory_, rank)), std::string::npos) << text;
        EXPECT_NE(text.find(what), std::string::npos) << text;
    }
    // Of this rank's store: all that is in the folders of versions.
    std::vector<std::string> versions() const {
        std::vector<std::string> all;
        for (const auto& entry : stdfs::recursive_directory_iterator(store_))
            if (!entry.path().string().starts_with(ballast())) all.push_back(entry.path());
        std::ranges::sort(all);
        return all;
    }
    // As `rank` alone has less space: whether one is taken, when nothing is left of it otherwise.
    bool taken_with(Session& s, int rank, const Left& left);

    std::string store_;
    std::uint64_t last_ = 0;             // that was taken
    std::vector<std::uint64_t> mine_ = std::vector<std::uint64_t>(words);
};

bool SmallStores::taken_with(Session& s, int rank, const Left& left) {
    Checkpoint checkpoint(s, each());
    protect(checkpoint);
    change(last_ + 1);
    if (s.rank() == rank) leave(left);
    s.barrier();
    const auto before = versions();
    const auto taken = checkpoint.take("", {.number = last_ + 1, .level = GetParam()});
    if (taken) {
        ++last_;
    } else {
        expect_failure(taken, rank, "no space");
        s.barrier();
        EXPECT_EQ(versions(), before);
    }
    s.barrier();
    if (s.rank() == rank) give_back();
    return taken.has_value();
}

TEST_P(SmallStores, that_are_full_fail_the_take_and_nothing_is_left_of_it) {
    for (const int rank : {0, world_size() - 1}) {
        session_of(world_size(), [&](Session& s) {
            EXPECT_TRUE(taken_with(s, rank, {}));
            EXPECT_FALSE(taken_with(s, rank, {.bytes = 0}));
            // A segment is allocated whole, and cut in the end: how much that is together depends
            // on who is how far.
            for (const std::uint64_t kib : {4, 64, 1024, 8192, 16380, 16384, 16484, 24576, 33000})
                (void)taken_with(s, rank, {.bytes = kib << 10});
        });
        expect_restart(last_);
        session_of(world_size(), [&](Session& s) { EXPECT_TRUE(taken_with(s, rank, {})); });
        expect_restart(last_);
    }
}

// Each file and folder of a version is once the one that cannot be made: segments, the member's
// file, parity, the manifest.
TEST_P(SmallStores, with_no_room_for_another_file_fail_the_take_and_nothing_is_left_of_it) {
    for (const int rank : {0, world_size() - 1}) {
        std::uint64_t files = 0;
        session_of(world_size(), [&](Session& s) {
            EXPECT_TRUE(taken_with(s, rank, {}));
            while (files < most_files && !taken_with(s, rank, {.files = files})) ++files;
        });
        // A folder for the version and one for the member, which has three files; two manifests.
        EXPECT_GE(files, 6u);
        expect_restart(last_);
    }
}

TEST_P(SmallStores, that_can_only_be_read_fail_the_take_and_are_restarted_from) {
    const int rank = world_size() - 1;
    // Another view of it in front.
    const auto cover = [&] {
        MPI_Barrier(MPI_COMM_WORLD);
        const char* const store = store_.c_str();
        if (world_rank() == rank)
            EXPECT_TRUE(::mount(store, store, nullptr, MS_BIND, nullptr) == 0 &&
                        ::mount(nullptr, store, nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY,
                                nullptr) == 0) << std::strerror(errno);
        MPI_Barrier(MPI_COMM_WORLD);
    };
    const auto uncover = [&] {
        MPI_Barrier(MPI_COMM_WORLD);
        if (world_rank() == rank) EXPECT_EQ(::umount2(store_.c_str(), MNT_DETACH), 0);
        MPI_Barrier(MPI_COMM_WORLD);
    };
    session_of(world_size(), [&](Session& s) { take(s); });
    session_of(world_size(), [&](Session& s) {
        Checkpoint checkpoint(s, each());
        protect(checkpoint);
        const auto before = versions();
        cover();
        expect_failed(checkpoint, rank, "read only");
        uncover();
        EXPECT_EQ(versions(), before);
        change(++last_);
        good(checkpoint.take("", {.number = last_, .level = GetParam()}));
    });
    cover();
    expect_restart(last_);
    uncover();
}

TEST_P(SmallStores, that_are_gone_fail_the_take_and_are_used_again_once_they_are_back) {
    const int rank = world_size() - 1;
    session_of(world_size(), [&](Session& s) { take(s); });
    session_of(world_size(), [&](Session& s) {
        Checkpoint checkpoint(s, each());
        protect(checkpoint);
        const std::string away = store_ + ".away";
        if (s.rank() == rank) {
            stdfs::create_directory(away);
            EXPECT_EQ(::mount(store_.c_str(), away.c_str(), nullptr, MS_MOVE, nullptr), 0)
                << std::strerror(errno);
            stdfs::remove(store_);
        }
        s.barrier();
        expect_failed(checkpoint, rank, "is gone");
        s.barrier();
        if (s.rank() == rank) {
            stdfs::create_directory(store_);
            EXPECT_EQ(::mount(away.c_str(), store_.c_str(), nullptr, MS_MOVE, nullptr), 0)
                << std::strerror(errno);
            stdfs::remove(away);
        }
        s.barrier();
        change(++last_);
        good(checkpoint.take("", {.number = last_, .level = GetParam()}));
    });
    expect_restart(last_);
}

std::string name_of(const testing::TestParamInfo<CheckpointLevel>& info) {
    if (info.param == CheckpointLevel::local) return "local";
    return info.param == CheckpointLevel::partner ? "partner" : "parity";
}

INSTANTIATE_TEST_SUITE_P(Levels, SmallStores,
                         testing::Values(CheckpointLevel::local, CheckpointLevel::partner,
                                         CheckpointLevel::parity),
                         name_of);

}  // namespace
}  // namespace ssi::test
