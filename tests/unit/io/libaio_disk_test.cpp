// SPDX-License-Identifier: BSD-3-Clause
// What only the real disk has: the kernel's limits, short transfers, file descriptors.
#include "ssi/io/libaio_disk.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <fstream>

#include "pages.hpp"
#include "ssi/base/log.hpp"
#include "temporary.hpp"

namespace ssi::io {
namespace {

std::unique_ptr<Disk> disk_in(const TemporaryDirectory& directory, LibaioDiskOptions options = {}) {
    auto disk = make_libaio_disk(directory.path(), options);
    EXPECT_FINE(disk);
    return disk ? std::move(*disk) : nullptr;
}

TEST(LibaioDisk, names_a_directory_that_it_cannot_use) {
    TemporaryDirectory directory;
    const auto missing = make_libaio_disk(directory.path() + "/none");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, Errc::not_found);
    EXPECT_NE(missing.error().text.find("/none as the directory of a disk"), std::string::npos);
    std::ofstream(directory.path() + "/file") << "x";
    EXPECT_FALSE(make_libaio_disk(directory.path() + "/file"));
}

TEST(LibaioDisk, refuses_a_queue_that_the_kernel_has_no_room_for) {
    TemporaryDirectory directory;
    const auto none = make_libaio_disk(directory.path(), {.queue_depth = 0});
    EXPECT_EQ(none.error().code, Errc::invalid_argument);
    const auto huge = make_libaio_disk(directory.path(), {.queue_depth = 1u << 28});
    ASSERT_FALSE(huge);
    EXPECT_EQ(huge.error().code, Errc::out_of_memory);
    EXPECT_NE(huge.error().text.find("fs.aio-max-nr"), std::string::npos) << huge.error().text;
}

// A limit on the size of files makes the kernel move a part first and refuse the rest then.
class FileSizeLimit {
public:
    explicit FileSizeLimit(rlim_t bytes) {
        old_handler_ = std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &old_);
        rlimit limit = old_;
        limit.rlim_cur = bytes;
        setrlimit(RLIMIT_FSIZE, &limit);
    }
    ~FileSizeLimit() {
        setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, old_handler_);
    }

private:
    rlimit old_{};
    void (*old_handler_)(int);
};

TEST(LibaioDisk, reports_a_write_that_the_kernel_cut_short) {
    for (const bool dsync : {true, false}) {
        TemporaryDirectory directory;
        const auto disk = disk_in(directory, {.dsync = dsync});
        auto file = open_file(*disk, "a", OpenMode::create);
        Pages pages(8, 1), back(8);
        const FileSizeLimit limit(5 * block_bytes);
        DiskRequest one;
        one.kind = DiskRequest::Kind::write;
        one.durable = true;
        one.file = file.get();
        one.memory = pages.data();
        one.length = pages.size();
        DiskRequest* const batch[] = {&one};
        disk->submit(batch);
        disk->wait(one);
        EXPECT_EQ(one.sys_errno, EFBIG);
        EXPECT_EQ(one.moved, 5 * block_bytes);
        EXPECT_EQ(*read(*disk, *file, back.span(), 0), 5 * block_bytes);
        EXPECT_EQ(back.tag_of_sector(39), 1u);
    }
}

// The kernel moves at most 2 GiB less a page at once. Out of a hole this takes no disk.
TEST(LibaioDisk, goes_on_where_the_kernel_left_off) {
    TemporaryDirectory directory;
    const auto disk = disk_in(directory);
    auto file = open_file(*disk, "a", OpenMode::create);
    constexpr std::size_t piece_bytes = 4u << 20, pieces_before = 512;
    constexpr std::uint64_t last = piece_bytes * pieces_before;
    Pages scratch(piece_bytes / block_bytes, 9), tail(2, 1), back(2, 9);
    ASSERT_FINE(write(*disk, *file, tail.span(), last));
    std::vector<DiskPiece> pieces(pieces_before, DiskPiece{scratch.data(), piece_bytes});
    pieces.push_back({back.data(), block_bytes});
    pieces.push_back({back.data() + block_bytes, block_bytes});
    DiskRequest one;
    one.file = file.get();
    one.pieces = pieces;
    one.length = last + tail.size();
    DiskRequest* const batch[] = {&one};
    disk->submit(batch);
    disk->wait(one);
    EXPECT_EQ(one.sys_errno, 0);
    EXPECT_EQ(one.moved, one.length);
    EXPECT_EQ(back, tail);
    EXPECT_EQ(scratch.tag_of_sector(0), 0u);
}

TEST(LibaioDisk, event_fd_is_readable_when_something_may_be_reaped) {
    TemporaryDirectory directory;
    EXPECT_EQ(disk_in(directory)->event_fd(), -1);
    const auto disk = disk_in(directory, {.event_fd = true});
    auto file = open_file(*disk, "a", OpenMode::create);
    Pages pages(1, 1);
    DiskRequest one;
    one.kind = DiskRequest::Kind::write;
    one.file = file.get();
    one.memory = pages.data();
    one.length = pages.size();
    DiskRequest* const batch[] = {&one};
    pollfd wanted{disk->event_fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&wanted, 1, 0), 0);
    for (int i = 0; i < 5; ++i) {
        disk->submit(batch);
        ASSERT_EQ(::poll(&wanted, 1, 10'000), 1);
        EXPECT_EQ(disk->poll(), 1u);
        EXPECT_TRUE(one.is_done());
        EXPECT_EQ(::poll(&wanted, 1, 0), 0);
    }
}

TEST(LibaioDisk, closing_waits_for_what_the_kernel_still_has) {
    TemporaryDirectory directory;
    Pages pages(256, 1);
    std::vector<DiskRequest> requests(256);
    auto disk = disk_in(directory, {.queue_depth = 4});
    auto file = open_file(*disk, "a", OpenMode::create);
    std::vector<DiskRequest*> batch;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        requests[i].kind = DiskRequest::Kind::write;
        requests[i].file = file.get();
        requests[i].place = i * block_bytes;
        requests[i].memory = pages.data() + i * block_bytes;
        requests[i].length = block_bytes;
        batch.push_back(&requests[i]);
    }
    disk->submit(batch);
    disk.reset();
    for (const DiskRequest& one : requests) EXPECT_TRUE(one.is_done() && one.sys_errno == 0);
}

TEST(LibaioDisk, makes_files_for_their_user_alone) {
    TemporaryDirectory directory;
    const auto disk = disk_in(directory);
    ASSERT_FINE(disk->make_directory("d"));
    open_file(*disk, "d/a", OpenMode::create);
    struct stat status {};
    ASSERT_EQ(::stat((directory.path() + "/d/a").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0600u);
    ASSERT_EQ(::stat((directory.path() + "/d").c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777, 0700u);
}

TEST(LibaioDisk, refuses_to_allocate_more_than_there_is_before_it_takes_any) {
    TemporaryDirectory directory;
    const auto disk = disk_in(directory);
    auto file = open_file(*disk, "a", OpenMode::create);
    const auto refused = file->allocate(0, disk->space()->total_bytes * 2);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().sys_errno, ENOSPC);
    EXPECT_EQ(*file->size(), 0u);
    struct stat status {};
    ASSERT_EQ(::stat((directory.path() + "/a").c_str(), &status), 0);
    EXPECT_EQ(status.st_blocks, 0) << "it took what there was";
}

}  // namespace
}  // namespace ssi::io
