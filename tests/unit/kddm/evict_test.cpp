// SPDX-License-Identifier: BSD-3-Clause
// Eviction: memory stays within the budget of a node or a set, and nothing that counts is lost.
#include <gtest/gtest.h>

#include <chrono>

#include "map_linker.hpp"
#include "ssi/base/random.hpp"

namespace ssi::test {
namespace {

constexpr std::uint32_t object_bytes = 1024;

kddm::SetOptions cached(std::uint64_t budget) {
    kddm::SetOptions o;
    o.object_bytes = object_bytes;
    o.placement = "node:0";
    o.memory_bytes = budget;
    return o;
}

LoopNodes::Options with_budget(std::uint64_t bytes) {
    LoopNodes::Options options = LinkedCluster::quick();
    value_or_throw(options.config.set("kddm.memory_bytes", std::to_string(bytes), "test"));
    return options;
}

TEST(Eviction, drops_copies_and_sends_owned_objects_home) {
    LinkedCluster world(3, with_budget(room_for(450, object_bytes)));
    kddm::SetOptions options = cached(0);
    options.placement = "blocked";
    options.count = 1200;   // 400 at home on each node, so little room is left
    auto sets = world.cluster.open("s", options);
    for (std::uint64_t i = 0; i < 1200; ++i) set_number(*sets[(i + 1) % 3].grab(i), i + 1);
    for (std::uint64_t i = 0; i < 1200; ++i) EXPECT_EQ(number(*sets[(i + 2) % 3].get(i)), i + 1);
    for (auto& set : sets) {
        EXPECT_GT(set.stats().evictions, 100u);
        EXPECT_GT(set.stats().drops, 100u);
        EXPECT_LE(set.stats().objects, 2 * 460u);
    }
}

TEST(Eviction, spares_what_was_used_since_the_last_sweep) {
    LinkedCluster world(2);
    auto sets = world.cluster.open("s", linked(object_bytes, room_for(40, object_bytes), "node:0"));
    int hot_loads = 0;
    for (std::uint64_t i = 100; i < 600; ++i) {
        for (std::uint64_t hot = 0; hot < 4; ++hot) {
            hot_loads += sets[0].find(hot) == kddm::Access::none;
            EXPECT_TRUE(sets[0].get(hot));
        }
        EXPECT_TRUE(sets[0].get(i));
    }
    EXPECT_LT(hot_loads, 40) << "2000 accesses of 4 objects beside 500 of as many";
}

TEST(Eviction, never_takes_what_is_held_and_says_what_to_do_when_all_is) {
    LinkedCluster world(1);
    auto set = world.cluster.open("crowd", linked(object_bytes, room_for(10, object_bytes)))[0];
    std::vector<kddm::RawGuard> held;
    for (std::uint64_t i = 0; i < 10; ++i) {
        auto guard = set.grab(i);
        ASSERT_TRUE(guard) << i << guard.error().to_string();
        set_number(*guard, i + 1);
        held.push_back(std::move(*guard));
    }
    const auto start = std::chrono::steady_clock::now();
    auto refused = set.grab(10);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::out_of_memory);
    for (const char* part : {"crowd", "memory_bytes", "hold fewer guards"})
        EXPECT_NE(refused.error().text.find(part), std::string::npos) << refused.error().text;
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
    for (std::uint64_t i = 0; i < 10; ++i) EXPECT_EQ(number(held[i]), i + 1);
    held.clear();
    EXPECT_TRUE(set.grab(10));
    for (std::uint64_t i = 0; i < 10; ++i) EXPECT_EQ(number(*set.get(i)), i + 1);
}

TEST(Eviction, drops_nothing_that_its_linker_could_not_write) {
    LinkedCluster world(1);
    auto set = world.cluster.open("s", linked(object_bytes, room_for(10, object_bytes)))[0];
    world.linker(0).write_fault = MapLinker::Fault::error;
    std::uint64_t written = 0;
    for (; written < 100; ++written) {
        auto guard = set.grab(written);
        if (!guard) {
            EXPECT_EQ(guard.error().code, Errc::out_of_memory);
            break;
        }
        set_number(*guard, written + 1);
    }
    EXPECT_GE(written, 9u);
    EXPECT_LT(written, 20u);
    world.linker(0).write_fault = MapLinker::Fault::none;
    for (std::uint64_t i = 0; i < written; ++i) EXPECT_EQ(number(*set.get(i)), i + 1);
    EXPECT_TRUE(set.grab(50));
}

TEST(Eviction, refuses_births_that_no_linker_can_make_room_for) {
    LinkedCluster world(2, with_budget(room_for(50, object_bytes)));
    auto sets = world.cluster.open("full", cached(0));
    for (auto& set : sets) {
        Result<void> refused;
        for (std::uint64_t i = 0; i < 200 && refused; ++i)
            if (auto guard = set.get(i); !guard) refused = tl::unexpected(guard.error());
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::out_of_memory);
        EXPECT_NE(refused.error().text.find("kddm.memory_bytes"), std::string::npos)
            << refused.error().text;
    }
    EXPECT_LE(sets[0].stats().objects, 56u);
}

TEST(Eviction, keeps_sums_right_under_threads_on_all_nodes) {
    LinkedCluster world(3);
    auto sets = world.cluster.open("s", linked(object_bytes, room_for(30, object_bytes)));
    constexpr std::uint64_t objects = 200, rounds = 1500;
    std::atomic<std::uint64_t> grabs{0}, adds{0};
    std::vector<std::thread> threads;
    for (std::uint64_t t = 0; t < 6; ++t)
        threads.emplace_back([&, t] {
            Random random(t + 1);
            kddm::RawSet& set = sets[t % 3];
            for (std::uint64_t i = 0; i < rounds; ++i) {
                const std::uint64_t id = random.below(objects);
                if (random.chance(1, 3)) {
                    auto guard = set.grab(id);
                    ASSERT_TRUE(guard) << guard.error().to_string();
                    set_number(*guard, number(*guard) + 1);
                    ++grabs;
                } else if (random.chance(1, 2)) {
                    ASSERT_TRUE(set.fetch_add(id, std::uint64_t{1}, 8));
                    ++adds;
                } else {
                    ASSERT_TRUE(set.get(id));
                }
            }
        });
    for (auto& thread : threads) thread.join();
    std::uint64_t grabbed = 0, added = 0;
    for (std::uint64_t id = 0; id < objects; ++id) {
        auto guard = sets[0].get(id);
        grabbed += number(*guard);
        std::uint64_t sum;
        std::memcpy(&sum, guard->bytes().data() + 8, 8);
        added += sum;
    }
    EXPECT_EQ(grabbed, grabs.load());
    EXPECT_EQ(added, adds.load());
}

}  // namespace
}  // namespace ssi::test
