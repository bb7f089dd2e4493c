// SPDX-License-Identifier: BSD-3-Clause
// Several writes of a log under way at a time: they keep a disk busy that takes its time for each,
// and one that fails is one too many.
#include "log_tools.hpp"
#include "ssi/io/faulty_disk.hpp"
#include "ssi/io/throttled_disk.hpp"
#include "ssi/sys/fiber.hpp"

namespace ssi::io {
namespace {

using namespace test;

constexpr std::uint64_t mib = 1 << 20;

// Appends so much and commits it, in virtual time, where a bandwidth is exact; bytes per second.
// Beside the bandwidth each request takes 2 to 4 ms.
double rate_of(std::uint64_t bytes_per_second, std::uint64_t total_bytes, bool write_behind,
               std::uint64_t segment_bytes = 32 * mib) {
    sys::FiberScheduler scheduler({});
    sys::FiberTasks tasks(scheduler);
    sys::SimClock clock(scheduler);
    const auto below = make_memory_disk(
        {.scheduler = &scheduler, .least_latency = 2'000'000, .most_latency = 4'000'000});
    Nanoseconds took = 0;
    scheduler.spawn(0, [&] {
        const auto disk = make_throttled_disk(
            *below, {.bytes_per_second = bytes_per_second, .tasks = &tasks, .clock = &clock});
        SegmentLogOptions options = options_for(*disk, segment_bytes);
        if (write_behind) options.tasks = &tasks;
        auto opened = open_log(options);
        const std::string page(64 << 10, 'p');
        const Nanoseconds start = scheduler.now();
        for (std::uint64_t i = 0; i < total_bytes / page.size(); ++i)
            ASSERT_TRUE(opened.log->append(std::vector{raw(i, page)}));
        ASSERT_TRUE(opened.log->commit_all());
        took = scheduler.now() - start;
        EXPECT_GT(opened.log->statistics().most_under_way, 3u);
        EXPECT_TRUE(opened.log->close());
        opened.log.reset();
    });
    scheduler.run();
    return static_cast<double>(total_bytes) * 1e9 / static_cast<double>(took);
}

TEST(LogFlight, a_disk_with_latency_is_kept_busy) {
    // 2 MiB take 10 ms at this bandwidth: one by one they would get 0.77 of it.
    EXPECT_GT(rate_of(200 * mib, 64 * mib, true), 0.9 * 200 * mib);
    EXPECT_GT(rate_of(200 * mib, 64 * mib, false), 0.9 * 200 * mib);
}

// Nor does it wait for what a new segment takes: a name, a header, a footer.
TEST(LogFlight, a_disk_is_kept_busy_from_one_segment_to_the_next) {
    const double rate = rate_of(200 * mib, 64 * mib, true, 8 * mib);
    // 0.75; 0.68 when a segment begins only after all writes of the one before.
    EXPECT_GT(rate, 0.72 * 200 * mib) << rate / (200 * mib);
}

// What a log on this disk does: batches in writes of their own, all under way when they are wanted.
struct Outcome {
    std::uint64_t committed = 0;       // batches
    std::optional<Failure> failure;
};

Outcome work(Disk& disk) {
    Outcome out;
    auto options = options_for(disk, 128 << 10);
    options.write_behind_bytes = 1;
    auto opened = open_log(options);
    if (!opened.log) return {0, opened.failure};
    for (int round = 0; round < 4 && !out.failure; ++round) {
        std::vector<LogPlace> places;
        for (std::uint64_t i = 0; i < 10 && !out.failure; ++i) {
            const auto appended = opened.log->append(std::vector{raw(i, std::string(3000, 'v'))});
            if (appended)
                places.push_back(appended->places[0]);
            else
                out.failure = appended.error();
        }
        const Sequence last = opened.log->last();
        if (auto done = opened.log->commit_all(); done)
            out.committed = last;
        else if (!out.failure)
            out.failure = done.error();
        if (!out.failure) continue;
        // What failed, and what was under way with it, is still there to read.
        for (const LogPlace& place : places)
            EXPECT_EQ(value_at(*opened.log, place).size(), 3000u);
    }
    return out;
}

TEST(LogFlight, any_of_several_writes_may_fail_and_nothing_committed_is_lost) {
    for (std::uint64_t at = 1;; ++at) {
        const auto disk = make_memory_disk({.seed = at});
        const auto faulty = make_faulty_disk(*disk);
        faulty->set_plan({.fail_at = at});
        const Outcome outcome = work(*faulty);
        const bool met = faulty->faults() > 0;
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            const auto after = disk->after_power_cut(seed);
            auto again = open_log(options_for(*after, 128 << 10));
            ASSERT_TRUE(again.log) << at << ": " << again.failure_text();
            EXPECT_GE(again.log->last(), outcome.committed) << at;
            ASSERT_EQ(again.found.size(), again.log->last()) << at;
            for (const FoundRecord& found : again.found)
                EXPECT_EQ(value_at(*again.log, found.place).size(), 3000u) << at;
        }
        if (met && outcome.failure) {
            EXPECT_NE(outcome.failure->sys_errno, 0) << at;
        }
        if (!met || testing::Test::HasFailure()) {
            EXPECT_GT(at, 50u);
            break;
        }
    }
}

TEST(LogFlight, a_log_of_which_others_ask_for_durability_gets_there_by_itself) {
    sys::FiberScheduler scheduler({});
    sys::FiberTasks tasks(scheduler);
    const auto disk = make_memory_disk({.scheduler = &scheduler});
    scheduler.spawn(0, [&] {
        SegmentLogOptions options = options_for(*disk);
        options.tasks = &tasks;
        auto opened = open_log(options);
        const auto appended = opened.log->append(std::vector{raw(1, "value")});
        ASSERT_TRUE(appended);
        tasks.sleep_for(1'000'000'000);
        EXPECT_EQ(opened.log->durable(), 0u);
        opened.log->start_commit(appended->batch);
        tasks.sleep_for(1'000'000'000);
        EXPECT_EQ(opened.log->durable(), appended->batch);
        opened.log.reset();
    });
    scheduler.run();
}

}  // namespace
}  // namespace ssi::io
