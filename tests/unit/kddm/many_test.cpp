// SPDX-License-Identifier: BSD-3-Clause
// get_many, grab_many, put_many and prefetch over many ids.
#include <atomic>
#include <numeric>

#include "cluster.hpp"
#include "ssi/base/random.hpp"
#include "ssi/kddm/many.hpp"

namespace ssi::test {
namespace {

using kddm::Access;

std::vector<ObjectId> range(std::uint64_t first, std::uint64_t count, std::uint64_t stride = 1) {
    std::vector<ObjectId> ids;
    for (std::uint64_t i = 0; i < count; ++i) ids.emplace_back(first + i * stride);
    return ids;
}

std::uint64_t number_at(const kddm::RawGuards& guards, std::size_t i) { return number(guards[i]); }

TEST(Many, objects_come_in_the_order_of_the_caller) {
    Cluster c(3);
    auto s = c.open("s", counters(100));
    for (std::uint64_t i = 0; i < 100; ++i) set_number(*s[i % 3].grab(i), 1000 + i);
    const std::vector<ObjectId> ids{7, 3, 99, 3, 0, 50, 7};
    for (auto& set : s) {
        auto guards = set.get_many(ids);
        ASSERT_TRUE(guards.has_value()) << guards.error().to_string();
        ASSERT_EQ(guards->size(), ids.size());
        for (std::size_t i = 0; i < ids.size(); ++i) {
            EXPECT_EQ((*guards)[i].id(), ids[i]);
            EXPECT_EQ(number_at(*guards, i), 1000 + ids[i].lo);
        }
        EXPECT_EQ(guards->distinct().size(), 5u);
        EXPECT_TRUE(guards->put());
        EXPECT_TRUE(guards->empty());
    }
}

TEST(Many, what_grab_many_writes_is_seen_everywhere) {
    Cluster c(2);
    auto s = c.open("s", counters(500));
    const auto ids = range(0, 500);
    for (int writer = 0; writer < 2; ++writer) {
        auto guards = s[writer].grab_many(ids);
        ASSERT_TRUE(guards.has_value());
        for (std::size_t i = 0; i < ids.size(); ++i) set_number((*guards)[i], i + 7 * writer + 1);
        ASSERT_TRUE(kddm::RawSet::put_many(*guards));
        for (auto& reader : s) {
            auto read = reader.get_many(ids);
            ASSERT_TRUE(read.has_value());
            for (std::size_t i = 0; i < ids.size(); ++i)
                ASSERT_EQ(number_at(*read, i), i + 7 * writer + 1);
        }
    }
}

TEST(Many, requests_and_answers_are_packed) {
    Cluster c(2);
    auto s = c.open("s", counters(1000, "node:0"));
    for (std::uint64_t i = 0; i < 1000; ++i) set_number(*s[0].grab(i), i);
    const auto sent = [&](int node) {
        c.nodes()[node].publish_stats();
        return c.nodes().stats(node).counter("ssi_node_messages_sent_total").value();
    };
    const auto before = sent(0) + sent(1);
    const auto ids = range(0, 1000);
    auto guards = s[1].get_many(ids);
    ASSERT_TRUE(guards.has_value());
    for (std::size_t i = 0; i < 1000; ++i) ASSERT_EQ(number_at(*guards, i), i);
    EXPECT_LT(sent(0) + sent(1) - before, 60u);
    EXPECT_EQ(s[1].stats().remote_gets, 1000u);
}

TEST(Many, objects_larger_than_a_copied_message_arrive_whole) {
    Cluster c(2);
    kddm::SetOptions o;
    o.object_bytes = 64 << 10;
    o.placement = "node:0";
    auto s = c.open("s", o);
    const auto ids = range(0, 300);   // more than the window of what is asked for ahead
    {
        auto guards = s[0].grab_many(ids);
        ASSERT_TRUE(guards.has_value());
        for (std::size_t i = 0; i < ids.size(); ++i)
            std::memset(guards->writable(i).data(), static_cast<int>(i % 251), o.object_bytes);
    }
    auto guards = s[1].get_many(ids);
    ASSERT_TRUE(guards.has_value());
    for (std::size_t i = 0; i < ids.size(); ++i)
        for (std::size_t at = 0; at < o.object_bytes; at += 4095)
            ASSERT_EQ(std::to_integer<unsigned>(guards->bytes(i)[at]), i % 251);
}

TEST(Many, an_empty_list_is_fine) {
    Cluster c(1);
    auto s = c.open("s", counters(10));
    auto guards = s[0].get_many({});
    ASSERT_TRUE(guards.has_value());
    EXPECT_EQ(guards->size(), 0u);
    EXPECT_TRUE(guards->put());
    EXPECT_TRUE(s[0].grab_many({}).has_value());
    EXPECT_TRUE(s[0].prefetch_many({}));
    EXPECT_TRUE(s[0].prefetch_range(0, 0));
}

TEST(Many, the_first_id_out_of_range_is_named_and_nothing_is_held) {
    Cluster c(2, kddm::Plant::none, patient());
    auto s = c.open("s", counters(10));
    const std::vector<ObjectId> ids{3, 12, 4, 11};
    auto guards = s[1].grab_many(ids);
    ASSERT_FALSE(guards.has_value());
    EXPECT_EQ(guards.error().code, Errc::invalid_argument);
    EXPECT_NE(guards.error().text.find("object 12"), std::string::npos) << guards.error().text;
    EXPECT_TRUE(s[0].try_grab(3).has_value());
    EXPECT_TRUE(s[0].try_grab(4).has_value());
    EXPECT_EQ(s[0].prefetch_many(ids).error().code, Errc::invalid_argument);
    EXPECT_EQ(s[0].prefetch_range(5, 3, 4).error().code, Errc::invalid_argument);
    EXPECT_EQ(s[0].prefetch_range(5, UINT64_MAX, 2).error().code, Errc::invalid_argument);
}

TEST(Many, what_is_held_by_get_is_got_again_and_what_is_smaller_is_refused) {
    Cluster c(2, kddm::Plant::none, patient());
    auto s = c.open("s", counters(20));
    auto held = s[0].get(5);
    auto guards = s[0].get_many(range(5, 3));
    ASSERT_TRUE(guards.has_value());
    EXPECT_TRUE(guards->put());
    auto refused = s[0].get_many(range(4, 3));
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::deadlock);
    EXPECT_TRUE(s[1].try_grab(4).has_value());
    EXPECT_TRUE(held->put());
    EXPECT_TRUE(s[1].grab_many(range(4, 3)).has_value());
}

TEST(ManyDeathTest, grab_many_of_what_the_task_holds_stops_with_the_way_out) {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    EXPECT_DEATH(
        {
            Cluster c(1);
            auto s = c.open("s", counters(20));
            auto held = s[0].get(5);
            (void)s[0].grab_many(range(5, 3));
        },
        "upgrade");
    EXPECT_DEATH(
        {
            Cluster c(1);
            auto s = c.open("s", counters(20));
            auto held = s[0].grab(5);
            (void)s[0].grab_many(range(5, 3));
        },
        "first guard");
}

TEST(Many, prefetched_objects_are_here_and_nobody_holds_them) {
    Cluster c(2);
    auto s = c.open("s", counters(100, "node:0"));
    for (std::uint64_t i = 0; i < 100; ++i) set_number(*s[0].grab(i), i);
    ASSERT_TRUE(s[1].prefetch_range(10, 20, 3));
    ASSERT_TRUE(s[1].prefetch_many(range(70, 5), Access::write));
    const auto here = [&] {
        for (std::uint64_t i = 0; i < 20; ++i)
            if (s[1].find(10 + 3 * i) == Access::none) return false;
        for (std::uint64_t i = 70; i < 75; ++i)
            if (s[1].find(i) != Access::write) return false;
        return true;
    };
    for (int i = 0; i < 20000 && !here(); ++i) c.nodes()[1].doors().tasks.sleep_for(100'000);
    EXPECT_TRUE(here());
    EXPECT_EQ(s[1].find(11), Access::none);
    EXPECT_TRUE(s[0].grab_many(range(10, 60)).has_value());
}

TEST(Many, a_set_with_home_coherence_keeps_nothing) {
    Cluster c(2);
    auto options = counters(50, "node:0");
    options.coherence = kddm::Coherence::home;
    auto s = c.open("s", options);
    const auto ids = range(0, 50);
    for (std::uint64_t round = 1; round <= 3; ++round) {
        {
            auto guards = s[1].grab_many(ids);
            ASSERT_TRUE(guards.has_value());
            for (std::size_t i = 0; i < ids.size(); ++i) {
                EXPECT_EQ(number_at(*guards, i), round - 1);
                set_number((*guards)[i], round);
            }
        }
        ASSERT_TRUE(s[1].sync());
        EXPECT_EQ(s[1].find(7), Access::none);
        EXPECT_EQ(number(*s[0].get(7)), round);
    }
}

// Everybody takes overlapping sets of objects in an order of its own; who holds several moves a
// unit from one to another, so that the sum stays.
TEST(Many, tasks_that_fight_for_the_same_objects_neither_deadlock_nor_lose_a_write) {
    Cluster c(3);
    constexpr std::uint64_t objects = 24, each = 1000;
    auto s = c.open("s", counters(objects));
    for (std::uint64_t i = 0; i < objects; ++i) set_number(*s[0].grab(i), each);
    std::vector<std::thread> threads;
    for (int task = 0; task < 6; ++task)
        threads.emplace_back([&, task] {
            Random random(static_cast<std::uint64_t>(task) + 1);
            auto& set = s[task % 3];
            for (int round = 0; round < 200; ++round) {
                std::vector<ObjectId> ids;
                for (std::uint64_t n = 1 + random.below(8); n > 0; --n)
                    ids.emplace_back(random.below(objects));
                if (random.chance(1, 4)) {
                    auto guards = set.get_many(ids);
                    ASSERT_TRUE(guards.has_value()) << guards.error().to_string();
                    continue;
                }
                auto guards = set.grab_many(ids);
                ASSERT_TRUE(guards.has_value()) << guards.error().to_string();
                if (ids.front() == ids.back()) continue;
                set_number((*guards)[0], number_at(*guards, 0) - 1);
                set_number((*guards)[ids.size() - 1], number_at(*guards, ids.size() - 1) + 1);
            }
        });
    for (auto& thread : threads) thread.join();
    const auto all = range(0, objects);
    auto guards = s[1].get_many(all);
    ASSERT_TRUE(guards.has_value());
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < objects; ++i) sum += number_at(*guards, i);
    EXPECT_EQ(sum, objects * each);
}

}  // namespace
}  // namespace ssi::test
