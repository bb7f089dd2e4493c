// SPDX-License-Identifier: BSD-3-Clause
// update_many and the buffers behind it.
#include <algorithm>
#include <atomic>

#include "cluster.hpp"
#include "ssi/base/random.hpp"
#include "ssi/kddm/set.hpp"

namespace ssi::test {
namespace {

using kddm::AtomicOp;
using kddm::NumberKind;
using kddm::Update;

kddm::SetOptions tables(std::uint64_t count, std::uint32_t bytes, const char* placement) {
    kddm::SetOptions o;
    o.count = count;
    o.object_bytes = bytes;
    o.placement = placement;
    return o;
}

std::uint64_t word(const kddm::RawGuard& guard, std::size_t i) {
    std::uint64_t value;
    std::memcpy(&value, guard.bytes().data() + i * 8, 8);
    return value;
}

TEST(Updates, every_node_updates_every_word_and_nothing_is_lost) {
    Cluster c(3);
    constexpr std::uint64_t objects = 50, words = 64, rounds = 4000;
    auto s = c.open("s", tables(objects, words * 8, "hashed"));
    std::vector<std::vector<std::uint64_t>> sums(3, std::vector<std::uint64_t>(objects * words));
    c.run([&](int node) {
        Random random(static_cast<std::uint64_t>(node) + 1);
        kddm::Updates<std::uint64_t> updates(s[node], AtomicOp::add);
        for (std::uint64_t i = 0; i < rounds; ++i) {
            const std::uint64_t at = random.below(objects * words), value = random.below(1000);
            updates.add(at / words, value, static_cast<std::uint32_t>(at % words * 8));
            sums[node][at] += value;
        }
        updates.flush();
    });
    for (std::uint64_t i = 0; i < objects; ++i) {
        auto guard = s[1].get(i);
        for (std::uint64_t w = 0; w < words; ++w) {
            const std::size_t at = i * words + w;
            ASSERT_EQ(word(*guard, w), sums[0][at] + sums[1][at] + sums[2][at]);
        }
    }
}

TEST(Updates, a_batch_is_one_message_and_its_answer_another) {
    Cluster c(2);
    auto s = c.open("s", tables(8, 4096, "node:0"));
    for (std::uint64_t i = 0; i < 8; ++i) (void)s[0].grab(i);
    std::vector<Update> updates;
    for (std::uint64_t i = 0; i < 500; ++i)
        updates.push_back({i % 8, 1, static_cast<std::uint32_t>(i / 8 * 8)});
    const auto sent = [&](int node) {
        c.nodes()[node].publish_stats();
        return c.nodes().stats(node).counter("ssi_node_messages_sent_total").value();
    };
    const auto before = sent(0) + sent(1);
    ASSERT_TRUE(s[1].update_many(AtomicOp::add, NumberKind::uint64, updates));
    EXPECT_EQ(sent(0) + sent(1) - before, 2u);
    for (std::uint64_t i = 0; i < 500; ++i) ASSERT_EQ(word(*s[0].get(i % 8), i / 8), 1u);
}

TEST(Updates, old_values_come_back_in_the_order_of_the_caller) {
    Cluster c(2);
    auto s = c.open("s", tables(100, 16, "hashed"));
    std::vector<Update> updates;
    for (std::uint64_t i = 0; i < 3000; ++i)
        updates.push_back({{0, i * 7 % 100}, 1, i % 2 ? 8u : 0u});
    std::vector<std::uint64_t> before(updates.size());
    for (std::uint64_t round = 0; round < 3; ++round) {
        ASSERT_TRUE(s[round % 2].update_many(AtomicOp::add, NumberKind::int64, updates, before));
        // Each word is updated 15 times a round, in order.
        for (std::uint64_t i = 0; i < updates.size(); ++i)
            ASSERT_EQ(before[i], round * 30 + i / 100);
    }
}

// Messages overtake each other, and batches of one buffer must not where order can be seen: what
// exchanges return, and what the last of them leaves.
TEST(Updates, batches_to_one_home_execute_in_the_order_of_adding) {
    LoopNodes::Options options;
    options.loop.reorder_seed = 9;
    Cluster c(2, kddm::Plant::none, std::move(options));
    auto s = c.open("s", tables(8, 16, "node:0"));
    constexpr std::uint64_t count = 9000;   // 17 batches
    std::vector<std::uint64_t> stood(count);
    for (std::uint64_t round = 0; round < 10; ++round) {
        kddm::RawUpdates fetching(s[1], AtomicOp::exchange, NumberKind::uint64);
        for (std::uint64_t i = 0; i < count; ++i)
            ASSERT_TRUE(fetching.fetch(round % 4, i + 1, 0, &stood[i]));
        ASSERT_TRUE(fetching.flush());
        for (std::uint64_t i = 1; i < count; ++i) ASSERT_EQ(stood[i], i) << round;
        kddm::RawUpdates leaving(s[1], AtomicOp::exchange, NumberKind::uint64);
        for (std::uint64_t i = 0; i < count; ++i) ASSERT_TRUE(leaving.add(4 + round % 4, i));
        ASSERT_TRUE(leaving.flush());
        ASSERT_EQ(number(*s[1].get(4 + round % 4)), count - 1) << round;
        // Those before the first fetch have executed before it, those after it have not.
        kddm::RawUpdates mixed(s[1], AtomicOp::add, NumberKind::uint64);
        std::uint64_t seen = 0;
        for (std::uint64_t i = 0; i < count; ++i)
            ASSERT_TRUE(i == count / 2 ? mixed.fetch(5, 1, 8, &seen) : mixed.add(5, 1, 8));
        ASSERT_TRUE(mixed.flush());
        ASSERT_EQ(seen, round * count + count / 2);
    }
}

TEST(Updates, all_operators_and_kinds) {
    Cluster c(2);
    auto s = c.open("s", tables(4, 8, "node:0"));
    const auto as_bits = [](double x) { return std::bit_cast<std::uint64_t>(x); };
    const auto now = [&](std::uint64_t id) { return word(*s[1].get(id), 0); };
    const auto update = [&](AtomicOp op, NumberKind kind, std::uint64_t id, std::uint64_t x) {
        const Update one[] = {{id, x, 0}};
        EXPECT_TRUE(s[1].update_many(op, kind, one));
    };
    update(AtomicOp::min, NumberKind::int64, 0, static_cast<std::uint64_t>(-5));
    EXPECT_EQ(static_cast<std::int64_t>(now(0)), -5);
    update(AtomicOp::max, NumberKind::uint64, 0, 3);
    EXPECT_EQ(static_cast<std::int64_t>(now(0)), -5);
    update(AtomicOp::exchange, NumberKind::uint64, 1, 77);
    EXPECT_EQ(now(1), 77u);
    update(AtomicOp::add, NumberKind::float64, 2, as_bits(1.5));
    update(AtomicOp::add, NumberKind::float64, 2, as_bits(2.25));
    EXPECT_EQ(now(2), as_bits(3.75));
    const Update one[] = {{1, 1, 0}};
    EXPECT_EQ(s[1].update_many(AtomicOp::compare_exchange, NumberKind::int64, one).error().code,
              Errc::invalid_argument);
}

TEST(Updates, ids_of_128_bits_and_large_numbers_travel_wide) {
    Cluster c(2);
    auto s = c.open("s", tables(0, 24, "hashed"));
    const std::vector<ObjectId> ids{1, {5, 1}, UINT64_MAX, {UINT64_MAX, 3}, 1ull << 40, 2};
    std::vector<Update> updates;
    for (int round = 0; round < 200; ++round)
        for (const ObjectId id : ids) updates.push_back({id, 1 + id.hi % 7, 16});
    ASSERT_TRUE(s[0].update_many(AtomicOp::add, NumberKind::uint64, updates));
    ASSERT_TRUE(s[1].update_many(AtomicOp::add, NumberKind::uint64, updates));
    for (const ObjectId id : ids) {
        auto guard = s[1].get(id);
        EXPECT_EQ(word(*guard, 2), 400 * (1 + id.hi % 7));
        EXPECT_EQ(word(*guard, 1), 0u);
    }
}

TEST(Updates, nothing_is_executed_when_an_element_is_wrong) {
    Cluster c(2);
    auto s = c.open("s", tables(10, 16, "node:0"));
    const std::vector<Update> bad_id{{1, 1, 0}, {10, 1, 0}}, bad_offset{{1, 1, 0}, {2, 1, 16}},
        odd_offset{{1, 1, 0}, {2, 1, 4}};
    for (const auto& updates : {bad_id, bad_offset, odd_offset}) {
        auto done = s[1].update_many(AtomicOp::add, NumberKind::uint64, updates);
        ASSERT_FALSE(done);
        EXPECT_EQ(done.error().code, Errc::invalid_argument);
    }
    EXPECT_EQ(word(*s[1].get(1), 0), 0u);
    std::vector<std::uint64_t> room(1);
    EXPECT_EQ(s[1].update_many(AtomicOp::add, NumberKind::uint64, bad_id, room).error().code,
              Errc::invalid_argument);
    EXPECT_TRUE(s[1].update_many(AtomicOp::add, NumberKind::uint64, {}));
}

TEST(Updates, an_object_that_is_too_short_fails_the_batch_and_others_are_updated) {
    Cluster c(2);
    kddm::SetOptions o;
    o.kind = kddm::ObjectKind::variable;
    o.placement = "node:0";
    auto s = c.open("s", o);
    {
        auto guard = s[0].grab(1);
        ASSERT_TRUE(guard->resize(8));
    }
    const std::vector<Update> updates{{1, 5, 0}, {2, 5, 0}, {1, 5, 0}};
    auto done = s[1].update_many(AtomicOp::add, NumberKind::uint64, updates);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, Errc::invalid_argument);
    EXPECT_NE(done.error().text.find("0:2"), std::string::npos) << done.error().text;
    EXPECT_EQ(word(*s[0].get(1), 0), 10u);
}

TEST(Updates, objects_that_are_held_or_elsewhere_are_waited_for) {
    Cluster c(3);
    auto s = c.open("s", tables(30, 8, "node:0"));
    for (std::uint64_t i = 0; i < 10; ++i) (void)s[2].grab(i);   // elsewhere
    std::vector<Update> updates;
    for (std::uint64_t i = 0; i < 300; ++i) updates.push_back({i % 30, 1, 0});
    std::vector<std::uint64_t> before(updates.size());
    auto held = s[0].grab(20);
    std::atomic<bool> done{false};
    std::thread updater([&] {
        EXPECT_TRUE(s[1].update_many(AtomicOp::add, NumberKind::uint64, updates, before));
        done = true;
    });
    while (number(*s[0].get(25)) != 10) {
    }
    EXPECT_FALSE(done);
    set_number(*held, 100);
    EXPECT_TRUE(held->put());
    updater.join();
    for (std::uint64_t i = 0; i < 300; ++i)
        EXPECT_EQ(before[i], i / 30 + (i % 30 == 20 ? 100 : 0));
    for (std::uint64_t i = 0; i < 30; ++i)
        EXPECT_EQ(number(*s[2].get(i)), i == 20 ? 110u : 10u);
}

TEST(Updates, what_the_task_has_grabbed_is_updated_in_place) {
    Cluster c(2);
    auto s = c.open("s", tables(10, 8, "node:0"));
    auto held = s[1].grab(3);
    const std::vector<Update> mine{{3, 4, 0}, {7, 1, 0}, {3, 4, 0}}, smaller{{2, 1, 0}};
    std::vector<std::uint64_t> before(3);
    EXPECT_TRUE(s[1].update_many(AtomicOp::add, NumberKind::uint64, mine, before));
    EXPECT_EQ(number(*held), 8u);
    EXPECT_EQ(before, (std::vector<std::uint64_t>{0, 0, 4}));
    EXPECT_EQ(s[1].update_many(AtomicOp::add, NumberKind::uint64, smaller).error().code,
              Errc::deadlock);
    EXPECT_TRUE(held->put());
    auto read = s[1].get(3);
    EXPECT_EQ(s[1].update_many(AtomicOp::add, NumberKind::uint64, mine).error().code,
              Errc::deadlock);
}

TEST(Updates, what_would_have_to_wait_against_the_order_of_guards_is_not_added) {
    Cluster c(2);
    auto s = c.open("s", tables(1000, 8, "node:0"));
    kddm::Updates<std::uint64_t> updates(s[1], AtomicOp::add);
    auto held = s[1].grab(500);
    for (std::uint64_t i = 0; i < 100'000; ++i)   // until too much is under way
        if (auto added = updates.raw().add(600 + i % 10, 1); !added) ADD_FAILURE();
    ASSERT_TRUE(held->put());
    updates.flush();
    updates.add(1, 1);
    held = s[1].grab(500);
    std::uint64_t added = 0;
    Result<void> result;
    while (added < 100'000 && (result = updates.raw().add(700, 1))) ++added;
    ASSERT_FALSE(result.has_value());
    EXPECT_EQ(result.error().code, Errc::deadlock);
    ASSERT_TRUE(held->put());
    updates.flush();
    EXPECT_EQ(word(*s[0].get(700), 0), added);
    EXPECT_EQ(word(*s[0].get(1), 0), 1u);
    EXPECT_EQ(word(*s[0].get(600), 0), 10'000u);
}

TEST(Updates, a_buffer_that_is_not_flushed_is_flushed_when_it_ends) {
    Cluster c(2);
    auto s = c.open("s", tables(10, 8, "hashed"));
    {
        kddm::RawUpdates updates(s[0], AtomicOp::add, NumberKind::uint64);
        for (std::uint64_t i = 0; i < 5000; ++i) ASSERT_TRUE(updates.add(i % 10, 1));
    }
    for (std::uint64_t i = 0; i < 10; ++i) EXPECT_EQ(number(*s[1].get(i)), 500u);
}

// Single atomics, guards and batches on the same words at once.
TEST(Updates, mix_with_other_verbs) {
    Cluster c(2);
    auto s = c.open("s", tables(6, 8, "hashed"));
    std::vector<std::thread> threads;
    constexpr std::uint64_t rounds = 150;
    for (int task = 0; task < 4; ++task)
        threads.emplace_back([&, task] {
            auto& set = s[task % 2];
            std::vector<Update> updates;
            for (std::uint64_t i = 0; i < 12; ++i) updates.push_back({i % 6, 1, 0});
            for (std::uint64_t round = 0; round < rounds; ++round) {
                ASSERT_TRUE(set.update_many(AtomicOp::add, NumberKind::uint64, updates));
                ASSERT_TRUE(set.fetch_add(round % 6, std::uint64_t{1}));
                auto guard = set.grab((round + 3) % 6);
                set_number(*guard, number(*guard) + 1);
            }
        });
    for (auto& thread : threads) thread.join();
    std::uint64_t sum = 0;
    for (std::uint64_t i = 0; i < 6; ++i) sum += number(*s[0].get(i));
    EXPECT_EQ(sum, 4 * rounds * 14);
}

}  // namespace
}  // namespace ssi::test
