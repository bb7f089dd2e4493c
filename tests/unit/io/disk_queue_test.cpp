// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/disk_queue.hpp"

#include <gtest/gtest.h>

#include "pages.hpp"
#include "ssi/io/faulty_disk.hpp"
#include "ssi/io/memory_disk.hpp"

namespace ssi::io {
namespace {

// Requests of one block each at these blocks, of a file of four.
struct Batch {
    Batch(DiskFile& file, Pages& pages, DiskRequest::Kind kind, std::vector<std::size_t> blocks)
        : requests(blocks.size()) {
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            requests[i].kind = kind;
            requests[i].file = &file;
            requests[i].place = blocks[i] * block_bytes;
            requests[i].memory = pages.data() + blocks[i] * block_bytes;
            requests[i].length = block_bytes;
            pointers.push_back(&requests[i]);
        }
    }
    void run(Disk& disk) {
        disk.submit(pointers);
        for (DiskRequest& one : requests) disk.wait(one);
    }
    std::vector<DiskRequest> requests;
    std::vector<DiskRequest*> pointers;
};

std::string order_of(DiskQueuePolicy& policy, Batch& batch) {
    for (DiskRequest* one : batch.pointers) policy.add(*one);
    std::string order;
    for (auto taken = policy.take(); !taken.empty(); taken = policy.take()) {
        for (const DiskRequest* one : taken) order += std::to_string(one->place / block_bytes);
        order += ' ';
    }
    return order;
}

TEST(DiskQueuePolicy, fifo_keeps_the_order) {
    const auto disk = make_memory_disk();
    auto file = open_file(*disk, "a", OpenMode::create);
    Pages pages(8);
    Batch batch(*file, pages, DiskRequest::Kind::read, {3, 1, 2, 0});
    EXPECT_EQ(order_of(*make_fifo_policy(), batch), "3 1 2 0 ");
}

TEST(DiskQueuePolicy, elevator_goes_upwards_and_takes_neighbours_along) {
    const auto disk = make_memory_disk();
    auto file = open_file(*disk, "a", OpenMode::create);
    Pages pages(8);
    Batch batch(*file, pages, DiskRequest::Kind::read, {5, 1, 7, 0, 2, 4});
    EXPECT_EQ(order_of(*make_elevator_policy(), batch), "012 45 7 ");
    EXPECT_EQ(order_of(*make_elevator_policy(2 * block_bytes), batch), "01 2 45 7 ");
    batch.requests[1].kind = DiskRequest::Kind::write;
    EXPECT_EQ(order_of(*make_elevator_policy(), batch), "0 1 2 45 7 ");
    // From where it is: not back to what came in behind it before it has been at the top.
    const auto policy = make_elevator_policy();
    Batch above(*file, pages, DiskRequest::Kind::read, {3, 6}),
        behind(*file, pages, DiskRequest::Kind::read, {1});
    for (DiskRequest* one : above.pointers) policy->add(*one);
    EXPECT_EQ(policy->take()[0]->place, 3 * block_bytes);
    policy->add(behind.requests[0]);
    EXPECT_EQ(policy->take()[0]->place, 6 * block_bytes);
    EXPECT_EQ(policy->take()[0]->place, block_bytes);
}

class Merged : public testing::Test {
protected:
    std::unique_ptr<MemoryDisk> memory_ = make_memory_disk({.capacity_bytes = 6 * block_bytes});
    std::unique_ptr<FaultyDisk> below_ = make_faulty_disk(*memory_);
    std::unique_ptr<Disk> disk_ = make_disk_queue(*below_, {.in_flight = 1});
    std::unique_ptr<DiskFile> file_ = open_file(*disk_, "a", OpenMode::create);
    Pages pages_{8, 1};
};

TEST_F(Merged, neighbours_are_one_request_of_the_disk_below) {
    below_->set_plan({});
    Batch writes(*file_, pages_, DiskRequest::Kind::write, {5, 3, 1, 0, 2, 4});
    writes.run(*disk_);
    // The first went alone, as the disk was idle.
    EXPECT_EQ(below_->operations(), 2u);
    Pages back(8);
    Batch reads(*file_, back, DiskRequest::Kind::read, {0, 1, 2, 3, 4, 5, 6});
    reads.run(*disk_);
    for (const DiskRequest& one : reads.requests) EXPECT_EQ(one.sys_errno, 0);
    EXPECT_EQ(reads.requests[5].moved, block_bytes);
    EXPECT_EQ(reads.requests[6].moved, 0u) << "beyond the end";
    for (std::size_t sector = 0; sector < 48; ++sector)
        EXPECT_EQ(back.tag_of_sector(sector), 1u) << sector;
}

TEST_F(Merged, an_error_is_of_those_that_were_not_moved) {
    Batch writes(*file_, pages_, DiskRequest::Kind::write, {0, 1, 2, 3, 4, 5, 6, 7});
    writes.run(*disk_);
    for (std::size_t i = 0; i < 8; ++i) {
        EXPECT_EQ(writes.requests[i].sys_errno, i < 6 ? 0 : ENOSPC) << i;
        EXPECT_EQ(writes.requests[i].moved, i < 6 ? block_bytes : 0u) << i;
    }
    below_->set_plan({.write_errors = 10'000});
    writes.run(*disk_);
    for (const DiskRequest& one : writes.requests) EXPECT_EQ(one.sys_errno, EIO);
}

// Nobody else waits for the ones before it, and a disk is moved by those who wait.
TEST(DiskQueue, whoever_waits_for_the_last_one_moves_those_before_it) {
    const auto below = make_memory_disk();
    const auto disk = make_disk_queue(*below, {.in_flight = 1, .policy = make_fifo_policy});
    auto file = open_file(*disk, "a", OpenMode::create);
    Pages pages(8);
    Batch writes(*file, pages, DiskRequest::Kind::write, {6, 0, 4, 2});
    disk->submit(writes.pointers);
    disk->wait(writes.requests[3]);
    for (const DiskRequest& one : writes.requests) {
        EXPECT_TRUE(one.is_done());
        EXPECT_EQ(one.moved, block_bytes);
    }
}

}  // namespace
}  // namespace ssi::io
