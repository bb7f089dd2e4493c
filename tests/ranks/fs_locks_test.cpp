// SPDX-License-Identifier: BSD-3-Clause
// Locks of kDFS's files between processes, and beside those of Linux on one.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "mounted.hpp"

namespace ssi {
namespace {

using fs::ByteLock;
using fs::LockKind;
using namespace std::chrono_literals;
constexpr Nanoseconds ms = 1'000'000;

int errno_of(const Result<void>& result) { return result ? 0 : result.error().sys_errno; }

class FsLocks : public test::Mounted {
protected:
    void SetUp() override {
        session_->barrier();
        if (rank() == 0) value_or_throw(open(O_CREAT | O_RDWR).close());
        session_->barrier();
    }
    void TearDown() override { session_->barrier(); }

    static int rank() { return session_->rank(); }
    static int size() { return session_->size(); }
    static fs::File open(int flags = O_RDWR) {
        const auto* test = testing::UnitTest::GetInstance()->current_test_info();
        return value_or_throw(system_->open(std::string("/") + test->name(), flags, 0666));
    }
    // Not atomic by itself: a read, and a write a little later.
    static void count_carelessly(fs::File& file, std::uint64_t offset) {
        std::uint64_t value = 0;
        value_or_throw(file.pread(std::as_writable_bytes(std::span(&value, 1)), offset));
        if (value % 8 == 0) std::this_thread::yield();
        ++value;
        value_or_throw(file.pwrite(std::as_bytes(std::span(&value, 1)), offset));
    }
    static std::uint64_t counted(fs::File& file, std::uint64_t offset) {
        std::uint64_t value = 0;
        value_or_throw(file.pread(std::as_writable_bytes(std::span(&value, 1)), offset));
        return value;
    }
};

TEST_F(FsLocks, guard_what_several_processes_change) {
    constexpr std::uint64_t rounds = 60;
    fs::File file = open();
    for (std::uint64_t i = 0; i < rounds; ++i) {
        const std::uint64_t at = i % 3 * 8;
        value_or_throw(file.lock({.offset = at, .length = 8}));
        count_carelessly(file, at);
        value_or_throw(file.unlock({.offset = at, .length = 8}));
    }
    for (std::uint64_t i = 0; i < rounds; ++i) {
        value_or_throw(file.lock_whole(LockKind::exclusive));
        count_carelessly(file, 24);
        value_or_throw(file.unlock_whole());
    }
    session_->barrier();
    const auto all = static_cast<std::uint64_t>(size());
    EXPECT_EQ(counted(file, 0) + counted(file, 8) + counted(file, 16), rounds * all);
    EXPECT_EQ(counted(file, 24), rounds * all);
    session_->barrier();
    value_or_throw(file.close());
}

TEST_F(FsLocks, hold_threads_of_one_process_apart_by_their_opens) {
    constexpr std::uint64_t rounds = 30;
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([] {
            fs::File file = open();
            for (std::uint64_t i = 0; i < rounds; ++i) {
                value_or_throw(file.lock({.owner = ByteLock::of_this_open}));
                count_carelessly(file, 0);
                value_or_throw(file.unlock({.owner = ByteLock::of_this_open}));
            }
        });
    for (auto& thread : threads) thread.join();
    session_->barrier();
    fs::File file = open();
    EXPECT_EQ(counted(file, 0), rounds * 3 * static_cast<std::uint64_t>(size()));
    session_->barrier();
}

TEST_F(FsLocks, are_told_to_other_processes_and_end_with_the_close) {
    fs::File file = open();
    const auto try_at_15 = [&](LockKind kind) {
        return errno_of(file.try_lock({.kind = kind, .offset = 15, .length = 1}));
    };
    const int owner = size() - 1;
    if (rank() == owner) {
        value_or_throw(file.lock({.kind = LockKind::exclusive, .offset = 10, .length = 20}));
        value_or_throw(file.lock({.kind = LockKind::shared, .offset = 15, .length = 5}));
    }
    session_->barrier();
    if (rank() != owner) {
        const auto found = value_or_throw(file.find_lock({.kind = LockKind::shared}));
        ASSERT_TRUE(found);
        EXPECT_EQ(found->offset, 10u);
        EXPECT_EQ(found->length, 5u);
        EXPECT_EQ(found->node, NodeId(static_cast<std::uint32_t>(owner)));
        EXPECT_NE(found->process, static_cast<std::uint64_t>(::getpid()));
        EXPECT_EQ(try_at_15(LockKind::shared), 0);
        EXPECT_EQ(try_at_15(LockKind::exclusive), EAGAIN);
    }
    session_->barrier();
    if (rank() == owner) value_or_throw(file.close());
    session_->barrier();
    if (rank() == 0 && owner != 0)
        EXPECT_EQ(errno_of(file.try_lock({.offset = 20, .length = 10})), 0);
    session_->barrier();
    value_or_throw(file.close());
}

// The last of them to ask is told, and the others get what they want.
TEST_F(FsLocks, of_processes_that_wait_in_a_circle_are_refused) {
    if (size() == 1) GTEST_SKIP() << "a circle needs two";
    fs::File file = open();
    const auto mine = static_cast<std::uint64_t>(rank());
    const auto next = static_cast<std::uint64_t>((rank() + 1) % size());
    value_or_throw(file.lock({.offset = mine, .length = 1}));
    session_->barrier();
    const auto result = file.lock({.offset = next, .length = 1}, {.timeout = 20'000 * ms});
    const long refused = !result && result.error().sys_errno == EDEADLK;
    EXPECT_TRUE(result || refused) << result.error().to_string();
    value_or_throw(file.unlock({}));
    EXPECT_EQ(session_->all_reduce(refused, Reduce::sum), 1);
    value_or_throw(file.close());
}

// -- beside Linux, on one process

struct Pair {                                   // the same open file twice
    explicit Pair(fs::File f, const std::string& path) : kdfs(std::move(f)) {
        native = ::open(path.c_str(), O_CREAT | O_RDWR, 0600);
    }
    Pair(const Pair&) = delete;
    ~Pair() { ::close(native); }

    struct flock wanted(short type, std::uint64_t offset, std::uint64_t length) const {
        struct flock lock = {};
        lock.l_type = type;
        lock.l_whence = SEEK_SET;
        lock.l_start = static_cast<off_t>(offset);
        lock.l_len = static_cast<off_t>(length);
        return lock;
    }
    // The errno of each.
    std::pair<int, int> set(short type, std::uint64_t offset, std::uint64_t length, bool of_open) {
        struct flock lock = wanted(type, offset, length);
        const int there = ::fcntl(native, of_open ? F_OFD_SETLK : F_SETLK, &lock) ? errno : 0;
        const ByteLock bytes{type == F_RDLCK ? LockKind::shared : LockKind::exclusive, offset,
                             length, of_open ? ByteLock::of_this_open : ByteLock::of_process};
        return {there, errno_of(type == F_UNLCK ? kdfs.unlock(bytes) : kdfs.try_lock(bytes))};
    }
    static std::string text(bool found, bool shared, std::uint64_t offset, std::uint64_t length,
                            bool of_open) {
        if (!found) return "free";
        return std::string(shared ? "shared " : "exclusive ") + std::to_string(offset) + "+" +
               std::to_string(length) + (of_open ? " of an open" : " of the process");
    }
    std::pair<std::string, std::string> get(short type, std::uint64_t offset, std::uint64_t length,
                                            bool of_open) {
        struct flock lock = wanted(type, offset, length);
        EXPECT_EQ(::fcntl(native, of_open ? F_OFD_GETLK : F_GETLK, &lock), 0);
        const auto found = value_or_throw(kdfs.find_lock(
            {type == F_RDLCK ? LockKind::shared : LockKind::exclusive, offset, length,
             of_open ? ByteLock::of_this_open : ByteLock::of_process}));
        return {text(lock.l_type != F_UNLCK, lock.l_type == F_RDLCK,
                     static_cast<std::uint64_t>(lock.l_start),
                     static_cast<std::uint64_t>(lock.l_len), lock.l_pid == -1),
                found ? text(true, found->kind == LockKind::shared, found->offset, found->length,
                             found->process == 0)
                      : "free"};
    }
    fs::File kdfs;
    int native;
};

class FsLocksBesideLinux : public FsLocks {
protected:
    static constexpr std::uint64_t bytes = 24;
    std::unique_ptr<Pair> pair() { return std::make_unique<Pair>(open(), directory_ + "/native"); }
    std::uint64_t below(std::uint64_t end) { return random_() % end; }
    short type() { return static_cast<short>(below(3)); }   // F_RDLCK, F_WRLCK, F_UNLCK
    static std::uint64_t huge() { return INT64_MAX - 5; }
    std::mt19937_64 random_{20'261'126};
};

// What one owner has, piece by piece, as another sees it: where it was split, and joined again.
TEST_F(FsLocksBesideLinux, split_and_join_where_linux_does) {
    if (rank() != 0) return;
    for (const bool of_open : {false, true}) {
        auto owner = pair(), sees = pair();
        for (int i = 0; i < 1500; ++i) {
            const std::uint64_t from = below(20) == 0 ? huge() + below(6) : below(bytes);
            const std::uint64_t most = from >= huge() ? INT64_MAX - from + 1 : bytes;
            const auto [there, here] = owner->set(type(), from, below(most + 1), of_open);
            ASSERT_EQ(there, here);
            if (!of_open && below(30) == 0) pair().reset();   // ends all of the process's
            for (std::uint64_t at = 0; at < bytes + 2; ++at) {
                const auto [linux_has, kdfs_has] = sees->get(F_WRLCK, at, 0, true);
                ASSERT_EQ(linux_has, kdfs_has) << "operation " << i << ", from byte " << at;
                if (linux_has == "free") break;
            }
            const auto last = sees->get(F_WRLCK, huge() + below(6), 1, true);
            ASSERT_EQ(last.first, last.second) << "operation " << i;
        }
    }
}

// Several owners: who gets what, and what is in the way of whom, byte by byte.
TEST_F(FsLocksBesideLinux, refuse_and_grant_what_linux_does) {
    if (rank() != 0) return;
    std::vector<std::unique_ptr<Pair>> opens;
    for (int i = 0; i < 4; ++i) opens.push_back(pair());
    int granted = 0, refused = 0;
    for (int i = 0; i < 3000; ++i) {
        const std::uint64_t who = below(opens.size());
        const bool of_open = below(4) != 0;
        const auto [there, here] =
            opens[who]->set(type(), below(bytes), below(8), of_open);
        ASSERT_EQ(there, here) << "operation " << i;
        ++(there ? refused : granted);
        if (below(40) == 0) opens[who] = pair();
        const std::uint64_t at = below(bytes);
        for (const bool asks_open : {false, true})
            for (const short wanted : {F_RDLCK, F_WRLCK}) {
                const auto [linux_has, kdfs_has] =
                    opens[below(opens.size())]->get(wanted, at, 1, asks_open);
                ASSERT_EQ(linux_has == "free", kdfs_has == "free") << "operation " << i;
            }
    }
    EXPECT_GT(granted, 500);
    EXPECT_GT(refused, 500);
}

TEST_F(FsLocksBesideLinux, refuse_the_same_ranges) {
    if (rank() != 0) return;
    auto one = pair();
    const std::uint64_t numbers[] = {0, 1, INT64_MAX - 1, INT64_MAX};
    for (const std::uint64_t offset : numbers)
        for (const std::uint64_t length : numbers)
            for (const short wanted : {F_WRLCK, F_UNLCK}) {
                const auto [there, here] = one->set(wanted, offset, length, false);
                EXPECT_EQ(there, here) << offset << " " << length;
            }
}

}  // namespace
}  // namespace ssi
