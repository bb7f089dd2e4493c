// SPDX-License-Identifier: BSD-3-Clause
// The contract of disk.hpp, on every twin.
#include "ssi/io/disk.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <thread>

#include "pages.hpp"
#include "ssi/base/log.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/disk_queue.hpp"
#include "ssi/io/faulty_disk.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "ssi/io/memory_disk.hpp"
#include "ssi/io/throttled_disk.hpp"
#include "temporary.hpp"

namespace ssi::io {
namespace {

// `below` must outlive the disk.
struct Twin {
    std::shared_ptr<void> below;
    std::unique_ptr<Disk> disk;
};

struct Maker {
    const char* name;
    std::function<Twin()> make;
};

RealClock real_clock;

class EveryDisk : public testing::TestWithParam<Maker> {
protected:
    void SetUp() override {
        twin_ = GetParam().make();
        if (!twin_.disk) GTEST_SKIP() << "not on this file system";
    }
    Disk& disk() { return *twin_.disk; }
    Twin twin_;
};

TEST_P(EveryDisk, reads_what_was_written) {
    auto file = open_file(disk(), "a", OpenMode::create);
    Pages pages(16, 7), back(16);
    ASSERT_FINE(write(disk(), *file, pages.span(), 3 * block_bytes));
    EXPECT_EQ(*file->size(), 19 * block_bytes);
    EXPECT_EQ(*read(disk(), *file, back.span(), 3 * block_bytes), back.size());
    EXPECT_EQ(back, pages);
    EXPECT_EQ(*read(disk(), *file, back.blocks(0, 3), 0), 3 * block_bytes);
    EXPECT_EQ(back.tag_of_sector(0), 0u);
    EXPECT_FINE(sync(disk(), *file));
    Pages others(1, 9);
    ASSERT_FINE(write(disk(), *file, others.span(), 4 * block_bytes, true));
    EXPECT_EQ(*read(disk(), *file, back.blocks(0, 1), 4 * block_bytes), block_bytes);
    EXPECT_EQ(back.tag_of_sector(0), 9u);
}

TEST_P(EveryDisk, tells_where_the_file_ends) {
    auto file = open_file(disk(), "a", OpenMode::create);
    Pages pages(4, 1);
    ASSERT_FINE(write(disk(), *file, pages.blocks(0, 2), 0));
    EXPECT_EQ(*read(disk(), *file, pages.span(), 0), 2 * block_bytes);
    EXPECT_EQ(*read(disk(), *file, pages.span(), block_bytes), block_bytes);
    EXPECT_EQ(*read(disk(), *file, pages.span(), 8 * block_bytes), 0u);
    ASSERT_FINE(file->truncate(block_bytes + 100));
    EXPECT_EQ(*read(disk(), *file, pages.span(), 0), block_bytes + 100);
    ASSERT_FINE(file->truncate(2 * block_bytes));
    Pages back(2, 3);
    EXPECT_EQ(*read(disk(), *file, back.span(), 0), 2 * block_bytes);
    EXPECT_EQ(back.tag_of_sector(0), 1u);
    EXPECT_EQ(back.tag_of_sector(9), 0u) << "what was cut off comes back";
}

TEST_P(EveryDisk, moves_pieces_of_memory) {
    auto file = open_file(disk(), "a", OpenMode::create);
    Pages pages(8, 5), back(8);
    const DiskPiece out[] = {{pages.data() + 4 * block_bytes, 4 * block_bytes},
                             {pages.data(), 4 * block_bytes}};
    const DiskPiece in[] = {{back.data() + 4 * block_bytes, 3 * block_bytes},
                            {back.data() + 7 * block_bytes, block_bytes},
                            {back.data(), 4 * block_bytes}};
    DiskRequest writing, reading;
    writing.kind = DiskRequest::Kind::write;
    reading.kind = DiskRequest::Kind::read;
    writing.file = reading.file = file.get();
    writing.pieces = out;
    reading.pieces = in;
    writing.length = reading.length = 8 * block_bytes;
    for (DiskRequest* one : {&writing, &reading}) {
        disk().submit({&one, 1});
        disk().wait(*one);
        EXPECT_EQ(one->sys_errno, 0);
        EXPECT_EQ(one->moved, 8 * block_bytes);
    }
    EXPECT_EQ(back, pages);
    reading.length = 7 * block_bytes;
    DiskRequest* one = &reading;
    disk().submit({&one, 1});
    disk().wait(reading);
    EXPECT_EQ(reading.sys_errno, EINVAL);
}

TEST_P(EveryDisk, refuses_requests_that_are_not_of_whole_blocks) {
    auto file = open_file(disk(), "a", OpenMode::create);
    Pages pages(4, 1);
    EXPECT_EQ(read(disk(), *file, pages.span(), 512).error().sys_errno, EINVAL);
    EXPECT_EQ(read(disk(), *file, pages.span().subspan(8, block_bytes), 0).error().sys_errno,
              EINVAL);
    const auto refused = write(disk(), *file, pages.span().first(512), 0);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().sys_errno, EINVAL);
    EXPECT_NE(refused.error().text.find("cannot write 512 bytes at 0 of a of "), std::string::npos)
        << refused.error().text;
    EXPECT_EQ(write(disk(), *file, pages.span(), UINT64_MAX - block_bytes + 1).error().sys_errno,
              EFBIG);
    EXPECT_EQ(*file->size(), 0u);
}

TEST_P(EveryDisk, allocates_and_punches) {
    auto file = open_file(disk(), "a", OpenMode::create);
    Pages pages(8, 1), back(8, 2);
    ASSERT_FINE(file->allocate(0, 1 << 20));
    EXPECT_EQ(*file->size(), 1u << 20);
    EXPECT_EQ(*read(disk(), *file, back.span(), 0), back.size());
    EXPECT_EQ(back.tag_of_sector(63), 0u);
    ASSERT_FINE(write(disk(), *file, pages.span(), 0));
    ASSERT_FINE(file->punch(2 * block_bytes, block_bytes));
    EXPECT_EQ(*read(disk(), *file, back.span(), 0), back.size());
    EXPECT_EQ(back.tag_of_sector(15), 1u);
    EXPECT_EQ(back.tag_of_sector(16), 0u);
    EXPECT_EQ(back.tag_of_sector(24), 1u);
    EXPECT_EQ(*file->size(), 1u << 20);
    EXPECT_FALSE(file->punch(100, block_bytes));
}

TEST_P(EveryDisk, keeps_names) {
    ASSERT_FINE(disk().make_directory("d"));
    ASSERT_FINE(disk().make_directory("d"));
    Pages pages(1, 4), back(1);
    {
        auto file = open_file(disk(), "d/b", OpenMode::create_new);
        ASSERT_FINE(write(disk(), *file, pages.span(), 0));
        EXPECT_EQ(file->name(), "d/b");
    }
    open_file(disk(), "d/a", OpenMode::create);
    open_file(disk(), "top", OpenMode::create);
    EXPECT_EQ(*disk().list("d"), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(*disk().list(""), (std::vector<std::string>{"top"}));
    ASSERT_FINE(disk().rename("d/b", "top"));
    EXPECT_EQ(*disk().list("d"), (std::vector<std::string>{"a"}));
    ASSERT_FINE(disk().sync_directory("d"));
    ASSERT_FINE(disk().sync_directory(""));
    auto file = open_file(disk(), "top", OpenMode::read);
    EXPECT_EQ(*read(disk(), *file, back.span(), 0), block_bytes);
    EXPECT_EQ(back.tag_of_sector(7), 4u);
    ASSERT_FINE(disk().remove("top"));
    EXPECT_EQ(*read(disk(), *file, back.span(), 0), block_bytes) << "an open file stays";
    EXPECT_EQ(disk().list("")->size(), 0u);
}

TEST_P(EveryDisk, keeps_folders) {
    ASSERT_FINE(disk().make_directory("b"));
    ASSERT_FINE(disk().make_directory("a"));
    ASSERT_FINE(disk().make_directory("a/in"));
    open_file(disk(), "file", OpenMode::create);
    open_file(disk(), "b/file", OpenMode::create);
    EXPECT_EQ(*disk().list_directories(""), (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(*disk().list_directories("a"), (std::vector<std::string>{"in"}));
    EXPECT_TRUE(disk().list_directories("b")->empty());
    EXPECT_EQ(*disk().list(""), (std::vector<std::string>{"file"}));
    EXPECT_EQ(disk().list_directories("x").error().code, Errc::not_found);
    EXPECT_EQ(disk().remove_directory("a").error().sys_errno, ENOTEMPTY);
    EXPECT_EQ(disk().remove_directory("b").error().sys_errno, ENOTEMPTY);
    EXPECT_EQ(disk().remove_directory("x").error().code, Errc::not_found);
    EXPECT_EQ(disk().remove_directory("file").error().code, Errc::not_found);
    EXPECT_EQ(disk().remove_directory("../a").error().code, Errc::invalid_argument);
    ASSERT_FINE(disk().remove_directory("a/in"));
    ASSERT_FINE(disk().remove_directory("a"));
    EXPECT_EQ(*disk().list_directories(""), (std::vector<std::string>{"b"}));
    // Made again it is empty.
    ASSERT_FINE(disk().remove("b/file"));
    ASSERT_FINE(disk().remove_directory("b"));
    ASSERT_FINE(disk().make_directory("b"));
    EXPECT_TRUE(disk().list("b")->empty());
}

TEST_P(EveryDisk, says_what_is_wrong_with_names) {
    open_file(disk(), "a", OpenMode::create);
    ASSERT_FINE(disk().make_directory("d"));
    EXPECT_EQ(disk().open("b", OpenMode::read).error().code, Errc::not_found);
    EXPECT_EQ(disk().open("b", OpenMode::write).error().code, Errc::not_found);
    EXPECT_EQ(disk().open("x/b", OpenMode::create).error().code, Errc::not_found);
    EXPECT_EQ(disk().open("a", OpenMode::create_new).error().code, Errc::exists);
    EXPECT_EQ(disk().open("d", OpenMode::write).error().code, Errc::io);
    EXPECT_EQ(disk().remove("b").error().code, Errc::not_found);
    EXPECT_EQ(disk().remove("d").error().sys_errno, EISDIR);
    EXPECT_EQ(disk().rename("d", "e").error().sys_errno, EISDIR);
    EXPECT_EQ(disk().rename("a", "d").error().sys_errno, EISDIR);
    EXPECT_EQ(disk().rename("b", "c").error().code, Errc::not_found);
    EXPECT_EQ(disk().list("x").error().code, Errc::not_found);
    EXPECT_EQ(disk().sync_directory("x").error().code, Errc::not_found);
    EXPECT_EQ(disk().make_directory("a").error().code, Errc::exists);
    const auto missing = disk().open("b", OpenMode::read);
    EXPECT_NE(missing.error().text.find("cannot open b of " + disk().name()), std::string::npos)
        << missing.error().text;
    for (const char* bad : {"", ".", "..", "../a", "d/../a", "/a", "d//a", "d/", "./a", "a/.."}) {
        EXPECT_EQ(disk().open(bad, OpenMode::create).error().code, Errc::invalid_argument) << bad;
        EXPECT_EQ(disk().remove(bad).error().code, Errc::invalid_argument) << bad;
        EXPECT_EQ(disk().rename("a", bad).error().code, Errc::invalid_argument) << bad;
        EXPECT_EQ(disk().make_directory(bad).error().code, Errc::invalid_argument) << bad;
    }
    EXPECT_EQ(disk().open(std::string("a\0b", 3), OpenMode::create).error().code,
              Errc::invalid_argument);
    EXPECT_EQ(disk().list("..").error().code, Errc::invalid_argument);
    EXPECT_EQ(disk().open(std::string(300, 'x'), OpenMode::create).error().code, Errc::io)
        << "too long";
}

TEST_P(EveryDisk, refuses_to_change_a_file_opened_for_reading) {
    Pages pages(1, 1);
    open_file(disk(), "a", OpenMode::create);
    auto file = open_file(disk(), "a", OpenMode::read);
    EXPECT_EQ(write(disk(), *file, pages.span(), 0).error().sys_errno, EBADF);
    EXPECT_FALSE(file->truncate(0));
    EXPECT_FALSE(file->allocate(0, block_bytes));
    EXPECT_FALSE(file->punch(0, block_bytes));
    EXPECT_EQ(*read(disk(), *file, pages.span(), 0), 0u);
}

TEST_P(EveryDisk, has_space) {
    const auto space = disk().space();
    ASSERT_FINE(space);
    EXPECT_GT(space->total_bytes, 1u << 20);
    EXPECT_LE(space->free_bytes, space->total_bytes);
}

// Requests that are told of by `done`, some of them reaped by others.
struct Count {
    std::atomic<int> calls{0};
    static void one(DiskRequest& request, void* count) {
        EXPECT_TRUE(request.is_done());
        EXPECT_EQ(request.moved, request.length);
        static_cast<Count*>(count)->calls.fetch_add(1);
    }
};

TEST_P(EveryDisk, calls_done_for_each_request) {
    auto file = open_file(disk(), "a", OpenMode::create);
    constexpr int requests = 200;
    Pages pages(requests, 3), back(requests);
    Count count;
    std::vector<DiskRequest> all(requests);
    for (const auto kind : {DiskRequest::Kind::write, DiskRequest::Kind::read}) {
        Pages& memory = kind == DiskRequest::Kind::write ? pages : back;
        std::vector<DiskRequest*> batch;
        for (int i = 0; i < requests; ++i) {
            DiskRequest& one = all[static_cast<std::size_t>(i)];
            one.kind = kind;
            one.file = file.get();
            one.place = static_cast<std::uint64_t>(i) * block_bytes;
            one.memory = memory.data() + one.place;
            one.length = block_bytes;
            one.done = &Count::one;
            one.context = &count;
            batch.push_back(&one);
        }
        count.calls = 0;
        disk().submit(batch);
        while (count.calls.load() < requests) disk().poll();
    }
    EXPECT_EQ(back, pages);
}

TEST_P(EveryDisk, waits_for_a_request_that_has_a_done_too) {
    auto file = open_file(disk(), "a", OpenMode::create);
    Pages pages(1, 3);
    Count count;
    DiskRequest one;
    one.kind = DiskRequest::Kind::write;
    one.file = file.get();
    one.memory = pages.data();
    one.length = block_bytes;
    one.done = &Count::one;
    one.context = &count;
    DiskRequest* batch[] = {&one};
    for (int i = 1; i <= 10; ++i) {
        disk().submit(batch);
        disk().wait(one);
        EXPECT_TRUE(one.is_done());
        while (count.calls.load() < i) disk().poll();
        EXPECT_EQ(count.calls.load(), i);
    }
}

// Eight tasks, each with its own part of one file; half of them wait, half poll.
TEST_P(EveryDisk, serves_ten_thousand_requests_of_eight_threads) {
    auto file = open_file(disk(), "a", OpenMode::create);
    constexpr std::size_t threads = 8, rounds = 25, depth = 50;
    ASSERT_FINE(file->allocate(0, threads * depth * block_bytes));
    std::atomic<int> wrong{0};
    const auto work = [&](std::size_t me) {
        Pages pages(depth), back(depth);
        std::vector<DiskRequest> requests(depth);
        const std::uint64_t base = me * depth * block_bytes;
        for (std::size_t round = 0; round < rounds; ++round) {
            const bool writes = round % 2 == 0;
            if (writes) pages.fill(me * 100 + round + 1);
            std::vector<DiskRequest*> batch;
            for (std::size_t i = 0; i < depth; ++i) {
                requests[i].kind = writes ? DiskRequest::Kind::write : DiskRequest::Kind::read;
                requests[i].file = file.get();
                requests[i].place = base + i * block_bytes;
                requests[i].memory = (writes ? pages : back).data() + i * block_bytes;
                requests[i].length = block_bytes;
                batch.push_back(&requests[i]);
            }
            disk().submit(batch);
            for (std::size_t i = depth; i-- > 0;) {
                if (me % 2 == 0)
                    disk().wait(requests[i]);
                else
                    while (!requests[i].is_done()) disk().poll();
                if (requests[i].sys_errno != 0 || requests[i].moved != block_bytes) ++wrong;
            }
            if (!writes && !(back == pages)) ++wrong;
        }
    };
    std::vector<std::thread> all;
    for (std::size_t i = 0; i < threads; ++i) all.emplace_back(work, i);
    for (auto& one : all) one.join();
    EXPECT_EQ(wrong.load(), 0);
}

// Many tasks wait for one request each, so that whoever reaps leaves and hands over all the time.
TEST_P(EveryDisk, no_waiter_is_forgotten) {
    auto file = open_file(disk(), "a", OpenMode::create);
    constexpr std::size_t threads = 6;
    ASSERT_FINE(file->allocate(0, threads * block_bytes));
    std::vector<std::thread> all;
    for (std::size_t me = 0; me < threads; ++me)
        all.emplace_back([&, me] {
            Pages pages(1, me + 1);
            Random random(me);
            for (int i = 0; i < 300; ++i) {
                if (random.chance(1, 20)) {
                    EXPECT_FINE(sync(disk(), *file));
                } else {
                    EXPECT_FINE(write(disk(), *file, pages.span(), me * block_bytes));
                }
                if (random.chance(1, 5)) disk().poll();
            }
        });
    for (auto& one : all) one.join();
}

Twin memory(MemoryDiskOptions options) { return {nullptr, make_memory_disk(std::move(options))}; }

Twin libaio(LibaioDiskOptions options) {
    auto directory = std::make_shared<TemporaryDirectory>();
    auto disk = make_libaio_disk(directory->path(), options);
    EXPECT_FINE(disk);
    return {directory, disk ? std::move(*disk) : nullptr};
}

// A wrapper over a disk in memory.
template <class Wrap>
Twin over_memory(Wrap wrap) {
    std::shared_ptr<MemoryDisk> below =
        make_memory_disk({.clock = &real_clock, .least_latency = 0, .most_latency = 50'000});
    return {below, wrap(*below)};
}

INSTANTIATE_TEST_SUITE_P(
    Twins, EveryDisk,
    testing::Values(
        Maker{"memory", [] { return memory({}); }},
        Maker{"memory_with_latency", [] {
                  return memory({.clock = &real_clock, .least_latency = 0, .most_latency = 50'000});
              }},
        Maker{"libaio", [] { return libaio({}); }},
        Maker{"libaio_with_a_short_queue", [] { return libaio({.queue_depth = 1}); }},
        Maker{"libaio_with_an_event_fd", [] { return libaio({.event_fd = true}); }},
        Maker{"libaio_without_dsync", [] { return libaio({.dsync = false}); }},
        Maker{"libaio_through_the_cache", [] { return libaio({.direct = false}); }},
        Maker{"faulty_without_faults", [] {
                  return over_memory([](Disk& below) { return make_faulty_disk(below); });
              }},
        Maker{"faulty_that_is_slow_now_and_then", [] {
                  return over_memory([](Disk& below) {
                      return make_faulty_disk(below, {.plan = {.slow = 1000, .slow_by = 50'000}});
                  });
              }},
        Maker{"queue_of_one_by_elevator", [] {
                  return over_memory([](Disk& below) {
                      return make_disk_queue(below, {.in_flight = 1});
                  });
              }},
        Maker{"queue_of_three_by_age", [] {
                  return over_memory([](Disk& below) {
                      return make_disk_queue(below, {.in_flight = 3, .policy = make_fifo_policy});
                  });
              }},
        Maker{"queue_over_libaio", [] {
                  Twin below = libaio({});
                  std::shared_ptr<Disk> disk = std::move(below.disk);
                  auto both = std::make_shared<std::pair<std::shared_ptr<void>,
                                                         std::shared_ptr<Disk>>>(below.below, disk);
                  return Twin{both, make_disk_queue(*disk, {.in_flight = 4})};
              }},
        Maker{"throttled", [] {
                  return over_memory([](Disk& below) { return make_throttled_disk(below); });
              }},
        Maker{"throttled_libaio", [] {
                  Twin below = libaio({});
                  std::shared_ptr<Disk> disk = std::move(below.disk);
                  auto both = std::make_shared<std::pair<std::shared_ptr<void>,
                                                         std::shared_ptr<Disk>>>(below.below, disk);
                  return Twin{both, make_throttled_disk(*disk)};
              }}),
    [](const auto& maker) { return std::string(maker.param.name); });

}  // namespace
}  // namespace ssi::io
