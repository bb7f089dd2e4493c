// SPDX-License-Identifier: BSD-3-Clause
// Synchronisation and collectives as an application uses them, over real processes and UCX.
#include <gtest/gtest.h>

#include <array>
#include <mutex>
#include <numeric>
#include <shared_mutex>
#include <thread>
#include <vector>

#include "ssi/ssi.hpp"

namespace ssi {
namespace {

Session session() { return Session::from_mpi(nullptr); }

template <class F>
void on_threads(int count, F&& body) {
    std::vector<std::thread> team;
    for (int t = 0; t < count; ++t) team.emplace_back([&body, t] { body(t); });
    for (auto& thread : team) thread.join();
}

TEST(SyncRanks, a_mutex_makes_reading_and_writing_one_step) {
    Session s = session();
    auto counter = s.set<std::int64_t>("counter", {.count = 2});
    constexpr int threads = 3, rounds = 100;
    on_threads(threads, [&](int) {
        Mutex mutex = s.mutex("m");
        SharedMutex shared = s.shared_mutex("s");
        for (int k = 0; k < rounds; ++k) {
            {
                std::lock_guard guard(mutex);
                const std::int64_t before = *counter.get(0);
                *counter.grab(0) = before + 1;
            }
            std::lock_guard guard(shared);
            const std::int64_t before = *counter.get(1);
            *counter.grab(1) = before + 1;
        }
    });
    s.barrier();
    SharedMutex shared = s.shared_mutex("s");
    std::shared_lock guard(shared);
    EXPECT_EQ(*counter.get(0), std::int64_t{threads} * rounds * s.size());
    EXPECT_EQ(*counter.get(1), std::int64_t{threads} * rounds * s.size());
    guard.unlock();
    s.barrier();
}

TEST(SyncRanks, a_named_barrier_counts_the_threads_of_all_ranks) {
    Session s = session();
    auto arrivals = s.set<std::int64_t>("arrivals", {.count = 1});
    constexpr int threads = 3, rounds = 20;
    const auto all = static_cast<std::uint32_t>(threads * s.size());
    on_threads(threads, [&](int) {
        Barrier barrier = s.barrier("b", all);
        for (int k = 1; k <= rounds; ++k) {
            arrivals.fetch_add(0, 1);
            barrier.arrive_and_wait();
            EXPECT_EQ(*arrivals.get(0), std::int64_t{all} * k);
            barrier.arrive_and_wait();
        }
    });
    s.barrier();
}

TEST(SyncRanks, a_condition_passes_a_token_around_the_ranks) {
    Session s = session();
    auto token = s.set<std::int64_t>("token", {.count = 1});
    Mutex mutex = s.mutex("m");
    Condition moved = s.condition("c");
    constexpr int rounds = 20;
    for (int k = 0; k < rounds; ++k) {
        std::unique_lock lock(mutex);
        moved.wait(lock, [&] { return *token.get(0) % s.size() == s.rank(); });
        token.fetch_add(0, 1);
        moved.notify_all();
    }
    s.barrier();
    EXPECT_EQ(*token.get(0), rounds * s.size());
    s.barrier();
}

TEST(SyncRanks, a_channel_carries_every_message_once) {
    Session s = session();
    auto jobs = s.channel<std::int64_t>("jobs", {.capacity = 16});
    auto sum = s.set<std::int64_t>("sum", {.count = 2});
    constexpr int count = 500;
    on_threads(2, [&](int thread) {
        if (thread == 0) {
            for (int k = 1; k <= count; ++k) jobs.send(k);
            if (sum.fetch_add(0, 1) == s.size() - 1) jobs.close();
            return;
        }
        std::int64_t mine = 0;
        while (auto job = jobs.receive()) mine += *job;
        sum.fetch_add(1, mine);
    });
    s.barrier();
    EXPECT_EQ(*sum.get(1), std::int64_t{count} * (count + 1) / 2 * s.size());
    s.barrier();
}

TEST(SyncRanks, collectives_work_on_spans_of_any_type_and_length) {
    Session s = session();
    struct Pair {
        double key;
        std::int32_t rank;
    };
    const int last = s.size() - 1;
    for (const std::size_t length : {1u, 1000u, 300'000u}) {
        std::vector<std::int32_t> values(length);
        std::iota(values.begin(), values.end(), s.rank() == last ? 5 : 0);
        s.broadcast(last, std::span(values));
        EXPECT_EQ(values.front(), 5);
        EXPECT_EQ(values.back(), static_cast<std::int32_t>(length) + 4);
        s.all_reduce(std::span(values), Reduce::sum);
        EXPECT_EQ(values.back(), (static_cast<std::int32_t>(length) + 4) * s.size());
        std::vector<float> mine(length, static_cast<float>(s.rank()));
        s.reduce(last, std::span(mine), Reduce::max);
        const auto most = static_cast<float>(last);
        EXPECT_EQ(mine[length / 2] == most, s.rank() == last);
        const auto all = s.all_gather(std::span<const std::int32_t>(values).first(1));
        EXPECT_EQ(all, std::vector<std::int32_t>(static_cast<std::size_t>(s.size()), values[0]));
    }
    const Pair best = s.all_reduce(
        Pair{1.0 / (1 + s.rank()), s.rank()},
        [](const Pair& a, const Pair& b) { return a.key < b.key ? a : b; });
    EXPECT_EQ(best.rank, last);
    const auto ranks = s.gather(last, std::span<const int>(std::array{s.rank()}));
    EXPECT_EQ(ranks.size(), s.rank() == last ? static_cast<std::size_t>(s.size()) : 0u);
    for (std::size_t i = 0; i < ranks.size(); ++i) EXPECT_EQ(ranks[i], static_cast<int>(i));
    s.barrier();
}

}  // namespace
}  // namespace ssi
