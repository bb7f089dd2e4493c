// SPDX-License-Identifier: BSD-3-Clause
// Write-behind: what is written in order goes to the logs before somebody syncs it, where files are
// synced.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "fs_pages.hpp"
#include "pages_session.hpp"

namespace ssi::fs {
namespace {

constexpr InodeId inode = make_inode(SlotId(3), 7);
constexpr Layout plain{};
constexpr std::uint64_t mib = 1u << 20;

class Behind : public testing::Test {
protected:
    Behind()
        : session_(shelf_, {{"a"}}, {.cache_bytes = 0, .write_back_ms = 3'600'000}) {}
    void write(std::uint64_t from, std::uint64_t to, std::uint64_t tag = 1) {
        for (std::uint64_t i = from; i < to; ++i)
            EXPECT_FINE(session_[0].write(inode, plain, i * mib, pattern(mib, tag + i), &stream_));
    }
    std::uint64_t logged() {
        return session_.volumes[0]->log(0, io::KeptIn::data)->statistics().log.appended_bytes;
    }
    // Until so much is in the log, or it has had its time.
    bool gets_to(std::uint64_t bytes) {
        for (int i = 0; i < 500; ++i) {
            if (logged() >= bytes) return true;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        return false;
    }
    bool stays(std::uint64_t bytes) {
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
        return logged() == bytes;
    }

    PagesShelf shelf_;
    PagesSession session_;
    Stream stream_;
};

TEST_F(Behind, begins_when_files_are_synced_and_leaves_the_rest_to_the_sync) {
    const std::uint64_t before = logged();
    write(0, 8);
    EXPECT_TRUE(stays(before)) << "nobody has synced anything";
    EXPECT_FINE(session_[0].sync(inode, plain));
    const std::uint64_t first = logged();
    write(8, 16, 2);
    EXPECT_TRUE(gets_to(first + 8 * mib)) << logged() - first;
    const std::uint64_t second = logged();
    EXPECT_FINE(session_[0].sync(inode, plain));
    EXPECT_EQ(logged(), second) << "what was given to the log is clean";
    // Durable by the sync alone, and as it was written.
    auto cut = shelf_.after_power_cut(1);
    PagesShelf left;
    left.disks = std::move(cut);
    PagesSession later(left, {{"a"}});
    EXPECT_EQ(later.read(0, inode, plain, 15 * mib, mib), pattern(mib, 17));
}

TEST_F(Behind, a_sync_of_little_is_no_sign) {
    write(0, 1);
    EXPECT_FINE(session_[0].sync(inode, plain));
    const std::uint64_t before = logged();
    write(1, 9);
    EXPECT_TRUE(stays(before));
}

TEST_F(Behind, ends_when_that_turns_out_to_be_in_vain) {
    write(0, 8);
    EXPECT_FINE(session_[0].sync(inode, plain));
    const std::uint64_t first = logged();
    write(8, 16);
    EXPECT_TRUE(gets_to(first + 8 * mib));
    const std::uint64_t second = logged();
    write(8, 16, 5);                  // the same again, and nobody synced
    EXPECT_TRUE(stays(second));
    EXPECT_FINE(session_[0].sync(inode, plain));
    EXPECT_GE(logged(), second + 8 * mib);
    EXPECT_EQ(session_.read(0, inode, plain, 9 * mib, mib), pattern(mib, 14));
}

}  // namespace
}  // namespace ssi::fs
