// SPDX-License-Identifier: BSD-3-Clause
// Locks of open files: whose they are, when they end, and what ends a wait.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "fs_session.hpp"
#include "ssi/io/file.hpp"

namespace ssi::fs {
namespace {

using namespace std::chrono_literals;
constexpr auto shared = LockKind::shared;
constexpr auto exclusive = LockKind::exclusive;
constexpr Nanoseconds ms = 1'000'000;

struct Files {
    PagesShelf shelf;
    FsSession s{shelf, {{"a"}, {"b"}, {}}};
    Files() { write_file(s[0], "/f", "text"); }
    ~Files() { s.close(); }
    File open(std::size_t node, int flags = O_RDWR) {
        auto file = s[node].open("/f", flags);
        EXPECT_TRUE(file) << (file ? "" : file.error().to_string());
        return file ? std::move(*file) : File();
    }
};

TEST(FileLocks, of_processes_end_with_any_close_and_those_of_opens_with_their_own) {
    Files f;
    File first = f.open(0), second = f.open(0), other = f.open(1);
    EXPECT_FINE(first.lock({.offset = 0, .length = 10}));
    EXPECT_FINE(first.lock({.offset = 10, .length = 10, .owner = ByteLock::of_this_open}));
    EXPECT_FINE(first.lock({.offset = 20, .length = 10, .owner = 77}));
    EXPECT_FINE(second.lock({.offset = 0, .length = 10})) << "the process has it already";
    EXPECT_ERRNO(EAGAIN, second.try_lock({.offset = 10, .length = 1,
                                          .owner = ByteLock::of_this_open}));
    EXPECT_ERRNO(EAGAIN, second.try_lock({.offset = 10, .length = 1})) << "another owner's";
    EXPECT_FINE(second.try_lock({.offset = 25, .length = 1, .owner = 77}));
    EXPECT_ERRNO(EAGAIN, other.try_lock({.offset = 25, .length = 1, .owner = 77}))
        << "of another node";
    EXPECT_ERRNO(EAGAIN, other.try_lock({.offset = 0, .length = 10}));
    EXPECT_FINE(f.open(0, O_RDONLY).close());
    EXPECT_FINE(other.try_lock({.offset = 0, .length = 10})) << "as POSIX has it, by any close";
    EXPECT_ERRNO(EAGAIN, other.try_lock({.offset = 25, .length = 1}));
    EXPECT_FINE(second.close());
    EXPECT_ERRNO(EAGAIN, other.try_lock({.offset = 19, .length = 1}));
    EXPECT_FINE(other.try_lock({.offset = 20, .length = 10})) << "a number's, by either's close";
    EXPECT_FINE(first.close());
    EXPECT_FINE(other.try_lock({.kind = exclusive}));
    EXPECT_FINE(other.close());
}

TEST(FileLocks, of_whole_files_belong_to_the_open) {
    Files f;
    File first = f.open(0, O_RDONLY), second = f.open(0, O_RDONLY), other = f.open(2, O_RDONLY);
    EXPECT_FINE(first.lock_whole(exclusive)) << "whatever it is open for";
    EXPECT_ERRNO(EAGAIN, second.try_lock_whole(shared));
    EXPECT_ERRNO(EAGAIN, other.try_lock_whole(shared));
    EXPECT_FINE(other.try_lock({.kind = shared})) << "locks of bytes are others";
    EXPECT_FINE(first.lock_whole(shared));
    EXPECT_FINE(second.try_lock_whole(shared));
    EXPECT_FINE(other.try_lock_whole(shared));
    EXPECT_ERRNO(EAGAIN, second.try_lock_whole(exclusive));
    EXPECT_FINE(first.unlock_whole());
    EXPECT_FINE(other.close());
    EXPECT_FINE(second.try_lock_whole(exclusive));
    EXPECT_FINE(second.close());
    EXPECT_FINE(first.try_lock_whole(exclusive));
    EXPECT_FINE(first.close());
}

TEST(FileLocks, refuse_what_makes_no_sense) {
    Files f;
    File reader = f.open(0, O_RDONLY), writer = f.open(0, O_WRONLY), none;
    EXPECT_ERRNO(EBADF, reader.lock({.kind = exclusive}));
    EXPECT_ERRNO(EBADF, writer.lock({.kind = shared}));
    EXPECT_ERRNO(EBADF, none.lock({}));
    EXPECT_ERRNO(EBADF, none.find_lock({}));
    EXPECT_ERRNO(EINVAL, writer.lock({.offset = UINT64_MAX}));
    EXPECT_ERRNO(EOVERFLOW, writer.lock({.offset = 2, .length = INT64_MAX}));
    EXPECT_FINE(writer.lock({.offset = 1, .length = INT64_MAX}));
    EXPECT_EQ(reader.find_lock({.kind = shared, .owner = 5}).value()->length, 0u)
        << "up to the last offset is to the end";
    EXPECT_ERRNO(EINVAL, writer.lock({.owner = ByteLock::of_this_open - 1}));
    EXPECT_FINE(reader.close());
    EXPECT_FINE(writer.close());
}

TEST(FileLocks, tell_who_is_in_the_way) {
    Files f;
    File mine = f.open(1), other = f.open(2);
    EXPECT_FINE(mine.lock({.kind = shared, .offset = 5, .length = 5}));
    EXPECT_FINE(mine.lock({.offset = 100, .owner = ByteLock::of_this_open}));
    EXPECT_EQ(other.find_lock({.kind = shared, .length = 50}).value(), std::nullopt);
    const auto found = other.find_lock({.length = 50}).value();
    ASSERT_TRUE(found);
    EXPECT_EQ(found->kind, shared);
    EXPECT_EQ(found->offset, 5u);
    EXPECT_EQ(found->length, 5u);
    EXPECT_EQ(found->node, f.s.cluster.nodes()[1].id());
    EXPECT_EQ(found->process, static_cast<std::uint64_t>(::getpid()));
    const auto open = other.find_lock({.kind = shared, .offset = 200, .length = 1}).value();
    ASSERT_TRUE(open);
    EXPECT_EQ(open->offset, 100u);
    EXPECT_EQ(open->length, 0u);
    EXPECT_EQ(open->process, 0u);
    EXPECT_FINE(mine.close());
    EXPECT_EQ(other.find_lock({}).value(), std::nullopt);
    EXPECT_FINE(other.close());
}

TEST(FileLocks, wait_until_granted_timed_out_cancelled_or_closed) {
    Files f;
    File holder = f.open(0), waits = f.open(1);
    EXPECT_FINE(holder.lock({}));
    EXPECT_ERRNO(EAGAIN, waits.try_lock({}));
    const auto late = waits.lock({}, {.timeout = 30 * ms});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::timed_out);
    std::atomic<bool> cancelled{false};
    std::thread first([&] { EXPECT_ERRNO(EINTR, waits.lock({}, {.cancelled = &cancelled})); });
    std::this_thread::sleep_for(30ms);
    cancelled = true;
    first.join();
    EXPECT_FINE(holder.lock_whole(exclusive));
    File closed = f.open(1);
    std::thread second([&] { EXPECT_ERRNO(EBADF, closed.lock({})); });
    std::thread third([&] { EXPECT_ERRNO(EBADF, closed.lock_whole(shared)); });
    std::thread fourth([&] { EXPECT_FINE(waits.lock({})) << "the other open's close is not its"; });
    std::this_thread::sleep_for(50ms);
    EXPECT_FINE(closed.close());
    second.join();
    third.join();
    EXPECT_FINE(holder.unlock({}));
    fourth.join();
    EXPECT_ERRNO(EAGAIN, holder.try_lock({}));
    EXPECT_FINE(waits.close());
    EXPECT_FINE(holder.try_lock({}));
    EXPECT_FINE(holder.close());
}

TEST(FileLocks, of_opens_wait_in_circles_and_of_processes_do_not) {
    Files f;
    File mine = f.open(0), other = f.open(1);
    EXPECT_FINE(mine.lock({.offset = 0, .length = 1}));
    EXPECT_FINE(other.lock({.offset = 1, .length = 1}));
    // Whoever asks last is refused, and lets go; the other gets what he wants.
    std::atomic<int> refused{0};
    const auto ask = [&](File& file, std::uint64_t offset) {
        const auto result = file.lock({.offset = offset, .length = 1});
        if (!result) EXPECT_ERRNO(EDEADLK, result);
        if (!result) ++refused;
        EXPECT_FINE(file.unlock({}));
    };
    std::thread waits([&] { ask(mine, 1); });
    ask(other, 0);
    waits.join();
    EXPECT_EQ(refused, 1);
    const auto open = ByteLock::of_this_open;
    EXPECT_FINE(mine.lock({.offset = 0, .length = 1, .owner = open}));
    EXPECT_FINE(other.lock({.offset = 1, .length = 1, .owner = open}));
    std::thread again([&] {
        EXPECT_FINE(mine.lock({.offset = 1, .length = 1, .owner = open}));
    });
    const auto late = other.lock({.offset = 0, .length = 1, .owner = open}, {.timeout = 100 * ms});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::timed_out) << "as Linux has it";
    EXPECT_FINE(other.close());
    again.join();
    EXPECT_FINE(mine.close());
}

}  // namespace
}  // namespace ssi::fs
