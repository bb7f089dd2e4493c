// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/faulty_disk.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "pages.hpp"
#include "ssi/io/memory_disk.hpp"

namespace ssi::io {
namespace {

constexpr unsigned always = 10'000;

class Faults : public testing::Test {
protected:
    // A file of two blocks with tag 1.
    void SetUp() override {
        file_ = open_file(*disk_, "a", OpenMode::create);
        Pages pages(2, 1);
        ASSERT_FINE(write(*disk_, *file_, pages.span(), 0));
        ASSERT_FINE(sync(*disk_, *file_));
    }
    Pages content() {
        disk_->set_plan({});
        Pages pages(2);
        EXPECT_EQ(*read(*disk_, *file_, pages.span(), 0), pages.size());
        return pages;
    }
    std::unique_ptr<MemoryDisk> below_ = make_memory_disk();
    std::unique_ptr<FaultyDisk> disk_ = make_faulty_disk(*below_);
    std::unique_ptr<DiskFile> file_;
};

// Every operation of this run, in order.
Result<void> run(Disk& disk) {
    Pages pages(2, 2);
    SSI_TRY(disk.make_directory("d"));
    auto file = disk.open("d/new", OpenMode::create);
    if (!file) return tl::unexpected<Failure>(file.error());
    SSI_TRY((*file)->allocate(0, 2 * block_bytes));
    SSI_TRY(write(disk, **file, pages.span(), 0));
    SSI_TRY(sync(disk, **file));
    if (auto got = read(disk, **file, pages.span(), 0); !got)
        return tl::unexpected<Failure>(got.error());
    SSI_TRY((*file)->punch(0, block_bytes));
    SSI_TRY((*file)->truncate(0));
    SSI_TRY(disk.rename("d/new", "d/old"));
    SSI_TRY(disk.sync_directory("d"));
    if (auto names = disk.list("d"); !names) return tl::unexpected<Failure>(names.error());
    return disk.remove("d/old");
}

TEST_F(Faults, fail_one_operation_after_the_other) {
    std::uint64_t failures = 0;
    for (std::uint64_t i = 1;; ++i) {
        disk_->set_plan({.fail_at = i});
        const auto result = run(*disk_);
        EXPECT_EQ(disk_->faults(), result ? 0u : 1u);
        if (result) break;
        EXPECT_EQ(result.error().code, Errc::io);
        EXPECT_EQ(result.error().sys_errno, EIO);
        EXPECT_EQ(disk_->operations(), i);
        ++failures;
    }
    EXPECT_EQ(failures, 12u);
}

TEST_F(Faults, a_dead_disk_stays_dead) {
    disk_->set_plan({.fail_at = 2, .fail_after = true, .sys_errno = ENODEV});
    Pages pages(1);
    EXPECT_FINE(read(*disk_, *file_, pages.span(), 0));
    for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(read(*disk_, *file_, pages.span(), 0).error().sys_errno, ENODEV);
        EXPECT_EQ(disk_->sync_directory("").error().sys_errno, ENODEV);
    }
}

TEST_F(Faults, errors_leave_the_file_as_it_was) {
    Pages pages(2, 2);
    disk_->set_plan({.read_errors = always, .write_errors = always, .sync_errors = always});
    EXPECT_EQ(write(*disk_, *file_, pages.span(), 0).error().sys_errno, EIO);
    EXPECT_EQ(read(*disk_, *file_, pages.span(), 0).error().sys_errno, EIO);
    EXPECT_EQ(sync(*disk_, *file_).error().sys_errno, EIO);
    EXPECT_EQ(content(), Pages(2, 1));
}

TEST_F(Faults, short_transfers_move_a_part_and_tell) {
    bool some = false;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        for (const int error : {EIO, ENOSPC}) {
            Pages pages(2, 2);
            FaultPlan plan{.seed = seed};
            (error == EIO ? plan.short_transfers : plan.no_room) = always;
            disk_->set_plan(plan);
            const DiskPiece pieces[] = {{pages.data(), block_bytes},
                                        {pages.data() + block_bytes, block_bytes}};
            DiskRequest one;
            one.kind = DiskRequest::Kind::write;
            one.file = file_.get();
            one.pieces = pieces;
            one.length = 2 * block_bytes;
            DiskRequest* const batch[] = {&one};
            disk_->submit(batch);
            disk_->wait(one);
            EXPECT_EQ(one.sys_errno, error);
            EXPECT_LT(one.moved, 2 * block_bytes);
            EXPECT_EQ(content().tag_of_sector(0), one.moved > 0 ? 2u : 1u);
            EXPECT_EQ(content().tag_of_sector(8), 1u);
            some = some || one.moved > 0;
            Pages first(2, 1);
            ASSERT_FINE(write(*disk_, *file_, first.span(), 0));
        }
    }
    EXPECT_TRUE(some);
    disk_->set_plan({.short_transfers = always});
    Pages pages(2);
    EXPECT_EQ(read(*disk_, *file_, pages.span(), 0).error().sys_errno, EIO);
}

TEST_F(Faults, torn_writes_leave_each_sector_old_or_new) {
    Pages pages(2, 2);
    disk_->set_plan({.torn_writes = always});
    EXPECT_EQ(write(*disk_, *file_, pages.span(), 0).error().sys_errno, EIO);
    const Pages left = content();
    std::size_t fresh = 0;
    for (std::size_t sector = 0; sector < 16; ++sector) {
        const auto tag = left.tag_of_sector(sector);
        EXPECT_TRUE(tag == 1 || tag == 2) << tag;
        fresh += tag - 1;
    }
    EXPECT_GT(fresh, 0u);
    EXPECT_LT(fresh, 16u);
}

std::size_t different_bits(Pages& one, Pages& other) {
    std::size_t bits = 0;
    for (std::size_t i = 0; i < one.size(); ++i)
        bits += static_cast<std::size_t>(
            __builtin_popcount(std::to_integer<unsigned>(one.data()[i] ^ other.data()[i])));
    return bits;
}

TEST_F(Faults, flips_one_bit_silently) {
    Pages pages(2), first(2, 1), second(2, 2);
    disk_->set_plan({.flipped_reads = always});
    EXPECT_EQ(*read(*disk_, *file_, pages.span(), 0), pages.size());
    EXPECT_EQ(different_bits(pages, first), 1u);
    EXPECT_EQ(content(), first);
    disk_->set_plan({.flipped_writes = always});
    EXPECT_FINE(write(*disk_, *file_, second.span(), 0));
    EXPECT_EQ(second, Pages(2, 2)) << "the caller's memory was changed";
    Pages left = content();
    EXPECT_EQ(different_bits(left, second), 1u);
}

TEST_F(Faults, a_stuck_request_is_done_only_when_released) {
    disk_->set_plan({.stuck = always});
    Pages pages(1, 2);
    std::atomic<bool> written{false};
    std::thread writer([&] {
        EXPECT_FINE(write(*disk_, *file_, pages.span(), 0));
        written = true;
    });
    while (disk_->faults() == 0) std::this_thread::yield();
    for (int i = 0; i < 100; ++i) disk_->poll();
    EXPECT_FALSE(written.load());
    EXPECT_EQ(disk_->release_stuck(), 1u);
    writer.join();
    EXPECT_EQ(content().tag_of_sector(0), 2u);
}

TEST_F(Faults, are_the_same_for_the_same_seed) {
    const auto outcome = [&](std::uint64_t seed) {
        disk_->set_plan({.seed = seed, .read_errors = 3000});
        Pages pages(1);
        std::string text;
        for (int i = 0; i < 50; ++i) text += read(*disk_, *file_, pages.span(), 0) ? '.' : '!';
        return text;
    };
    EXPECT_EQ(outcome(1), outcome(1));
    EXPECT_NE(outcome(1), outcome(2));
    EXPECT_NE(outcome(1).find('!'), std::string::npos);
}

}  // namespace
}  // namespace ssi::io
