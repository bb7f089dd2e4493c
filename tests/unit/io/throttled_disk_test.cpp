// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/throttled_disk.hpp"

#include <gtest/gtest.h>

#include "pages.hpp"
#include "ssi/io/memory_disk.hpp"
#include "ssi/sys/fiber.hpp"

namespace ssi::io {
namespace {

// In virtual time, where a bandwidth is exact but for the latency of the disk below.
Nanoseconds time_of(std::size_t blocks, ThrottledDiskOptions options) {
    sys::FiberScheduler scheduler({});
    sys::FiberTasks tasks(scheduler);
    sys::SimClock clock(scheduler);
    const auto below =
        make_memory_disk({.scheduler = &scheduler, .least_latency = 0, .most_latency = 10});
    options.tasks = &tasks;
    options.clock = &clock;
    Nanoseconds took = 0;
    scheduler.spawn(0, [&] {
        const auto disk = make_throttled_disk(*below, options);
        auto file = open_file(*disk, "a", OpenMode::create);
        EXPECT_FINE(sync(*disk, *file));
        EXPECT_LT(scheduler.now(), 100) << "a sync moves no bytes";
        Pages pages(1, 1);
        std::vector<DiskRequest> requests(blocks);
        std::vector<DiskRequest*> batch;
        for (std::size_t i = 0; i < blocks; ++i) {
            requests[i].kind = DiskRequest::Kind::write;
            requests[i].file = file.get();
            requests[i].place = i * block_bytes;
            requests[i].memory = pages.data();
            requests[i].length = block_bytes;
            batch.push_back(&requests[i]);
        }
        const Nanoseconds start = scheduler.now();
        disk->submit(batch);
        for (DiskRequest& one : requests) disk->wait(one);
        took = scheduler.now() - start;
    });
    EXPECT_EQ(scheduler.run(), sys::FiberScheduler::Outcome::idle);
    return took;
}

TEST(ThrottledDisk, takes_the_time_of_its_bandwidth) {
    // 4096 bytes at 4,096,000 a second: a millisecond.
    const Nanoseconds took = time_of(100, {.bytes_per_second = 4'096'000});
    EXPECT_GE(took, 100'000'000);
    EXPECT_LE(took, 100'001'000);
}

TEST(ThrottledDisk, tells_for_how_long_it_had_nothing_to_do) {
    sys::FiberScheduler scheduler({});
    sys::FiberTasks tasks(scheduler);
    sys::SimClock clock(scheduler);
    const auto below =
        make_memory_disk({.scheduler = &scheduler, .least_latency = 0, .most_latency = 10});
    scheduler.spawn(0, [&] {
        const auto disk = make_throttled_disk(
            *below, {.bytes_per_second = 4'096'000, .tasks = &tasks, .clock = &clock});
        auto file = open_file(*disk, "a", OpenMode::create);
        Pages pages(1, 1);
        tasks.sleep_for(7'000'000);
        EXPECT_EQ(disk->idle(), 0) << "before the first request";
        for (int i = 0; i < 3; ++i) {
            EXPECT_FINE(write(*disk, *file, pages.span(), 0));
            if (i < 2) tasks.sleep_for(5'000'000);
        }
        EXPECT_GE(disk->idle(), 10'000'000);
        EXPECT_LE(disk->idle(), 10'001'000);
        tasks.sleep_for(5'000'000);
        EXPECT_GE(disk->idle(), 15'000'000);
    });
    EXPECT_EQ(scheduler.run(), sys::FiberScheduler::Outcome::idle);
}

TEST(ThrottledDisk, takes_a_burst_at_once) {
    const Nanoseconds took =
        time_of(100, {.bytes_per_second = 4'096'000, .burst_bytes = 60 * block_bytes});
    EXPECT_GE(took, 40'000'000);
    EXPECT_LE(took, 40'001'000);
}

}  // namespace
}  // namespace ssi::io
