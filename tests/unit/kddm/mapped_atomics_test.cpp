// SPDX-License-Identifier: BSD-3-Clause
// Atomics in place: between engines of one process, in each other's memory at its own address and
// in a mapping of it as between processes.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "cluster.hpp"
#include "engine_impl.hpp"
#include "ssi/kddm/atomics.hpp"

namespace ssi::test {
namespace {

using kddm::Atomic;
using kddm::AtomicOp;
using kddm::NumberKind;
using kddm::RawSet;
using kddm::SetOptions;

constexpr Atomic add(std::uint64_t n) { return {AtomicOp::add, NumberKind::uint64, n, 0}; }

Result<std::uint64_t> change(RawSet& set, ObjectId id, const Atomic& atomic,
                             std::uint32_t offset = 0) {
    return set.atomic(id, atomic, offset);
}

SetOptions numbers(std::uint32_t bytes = 8) {
    SetOptions o;
    o.object_bytes = bytes;
    o.placement = "node:0";
    return o;
}

// The parameter: through a mapping.
class MappedAtomics : public testing::TestWithParam<bool> {
protected:
    Cluster cluster(int n, bool in_place = true) {
        LoopNodes::Options options;
        if (GetParam()) options.edit_member = [](node::Member& m) { m.process_id = ::getpid(); };
        value_or_throw(
            options.config.set("kddm.atomics_in_place", in_place ? "true" : "false", "test"));
        return Cluster(n, kddm::Plant::none, std::move(options), true, !GetParam());
    }
    // Adds nothing until that takes no message, which is when the memory has been mapped.
    static void become_mapped(RawSet& set, ObjectId id) {
        for (int i = 0; i < 5000; ++i) {
            const auto before = set.stats().atomics_in_place;
            ASSERT_TRUE(change(set, id, add(0)).has_value());
            if (set.stats().atomics_in_place != before) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        FAIL() << "every atomic goes by a message";
    }
    static std::uint64_t word(RawSet& set, ObjectId id, std::size_t offset = 0) {
        std::uint64_t value = 0;
        std::memcpy(&value, set.get(id)->bytes().data() + offset, 8);
        return value;
    }
};
INSTANTIATE_TEST_SUITE_P(Ways, MappedAtomics, testing::Bool(), [](const auto& info) {
    return info.param ? "mapped" : "direct";
});

TEST_P(MappedAtomics, need_no_message_once_the_place_is_known) {
    auto c = cluster(2);
    auto s = c.open("s", numbers());
    for (std::uint64_t id = 0; id < 100; ++id) become_mapped(s[1], id);
    const auto before = s[1].stats().atomics_in_place;
    for (std::uint64_t round = 0; round < 10; ++round)
        for (std::uint64_t id = 0; id < 100; ++id)
            ASSERT_EQ(*change(s[1], id, add(id)), round * id);
    EXPECT_EQ(s[1].stats().atomics_in_place, before + 1000);
    for (std::uint64_t id = 0; id < 100; ++id) EXPECT_EQ(word(s[0], id), 10 * id);
}

TEST_P(MappedAtomics, every_operator_in_objects_of_any_size) {
    auto c = cluster(2);
    auto s = c.open("s", numbers(4096));
    become_mapped(s[1], 3);
    const auto before = s[1].stats().atomics_in_place;
    EXPECT_EQ(*change(s[1], 3, add(10), 4088), 0u);
    EXPECT_EQ(*change(s[1], 3, {AtomicOp::max, NumberKind::uint64, 12, 0}, 4088), 10u);
    EXPECT_EQ(*change(s[1], 3, {AtomicOp::min, NumberKind::int64, 11, 0}, 4088), 12u);
    EXPECT_EQ(*change(s[1], 3, {AtomicOp::exchange, NumberKind::uint64, 7, 0}, 4088), 11u);
    EXPECT_EQ(*change(s[1], 3, {AtomicOp::compare_exchange, NumberKind::uint64, 8, 6}, 4088), 7u);
    EXPECT_EQ(*change(s[1], 3, {AtomicOp::compare_exchange, NumberKind::uint64, 9, 7}, 4088), 7u);
    EXPECT_EQ(word(s[0], 3, 4088), 9u);
    EXPECT_EQ(s[1].stats().atomics_in_place, before + 6);
}

TEST_P(MappedAtomics, refuse_what_a_message_would_be_refused_for) {
    auto c = cluster(2);
    auto s = c.open("s", numbers(64));
    become_mapped(s[1], 3);
    for (const std::uint32_t offset : {60u, 64u, 4u, 0xfffffff8u}) {
        const auto refused = change(s[1], 3, add(1), offset);
        ASSERT_FALSE(refused) << offset;
        EXPECT_EQ(refused.error().code, Errc::invalid_argument) << refused.error().to_string();
    }
    { EXPECT_TRUE(s[0].try_grab(3).has_value()) << "the refused ones left a pin"; }
}

TEST_P(MappedAtomics, are_seen_by_readers_everywhere_and_wait_for_their_guards) {
    auto c = cluster(3);
    auto s = c.open("s", numbers());
    become_mapped(s[1], 5);
    for (std::uint64_t round = 0; round < 50; ++round) {
        ASSERT_EQ(word(s[2], 5), round);       // node 2 has a copy now: by a message, which
        ASSERT_EQ(*change(s[1], 5, add(1)), round);   // takes it away
        ASSERT_EQ(s[2].find(5), kddm::Access::none);
    }
    std::atomic<bool> done{false};
    std::thread other;
    {
        auto held = s[0].get(5);
        other = std::thread([&] {
            EXPECT_EQ(*change(s[1], 5, add(1)), 50u);
            done = true;
        });
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_FALSE(done);
    }
    other.join();
    EXPECT_EQ(word(s[0], 5), 51u);
}

// Guards of the home and of a third node, atomics by the home, in place and by messages: whoever
// waits for a pin from outside is woken.
TEST_P(MappedAtomics, mix_with_guards_and_with_others_atomics) {
    auto c = cluster(3);
    auto s = c.open("s", numbers());
    become_mapped(s[1], 0);
    constexpr std::uint64_t rounds = 3000;
    const auto adder = [&](RawSet& set, bool guard) {
        for (std::uint64_t i = 0; i < rounds; ++i) {
            const ObjectId id{i % 3};
            if (!guard) {
                ASSERT_TRUE(change(set, id, add(1)).has_value());
                continue;
            }
            auto grabbed = set.grab(id);
            ASSERT_TRUE(grabbed.has_value());
            std::uint64_t value;
            std::memcpy(&value, grabbed->writable().data(), 8);
            ++value;
            std::memcpy(grabbed->writable().data(), &value, 8);
        }
    };
    std::vector<std::thread> threads;
    threads.emplace_back(adder, std::ref(s[0]), true);
    threads.emplace_back(adder, std::ref(s[0]), false);
    threads.emplace_back(adder, std::ref(s[1]), false);
    threads.emplace_back(adder, std::ref(s[1]), false);
    threads.emplace_back(adder, std::ref(s[2]), false);
    threads.emplace_back(adder, std::ref(s[2]), true);
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(word(s[0], 0) + word(s[0], 1) + word(s[0], 2), 6 * rounds);
}

// Nothing else happens that could wake the home's grab: rounds of one against one.
TEST_P(MappedAtomics, wake_who_waits_for_their_pin) {
    auto c = cluster(2);
    auto s = c.open("s", numbers());
    become_mapped(s[1], 1);
    constexpr std::uint64_t rounds = 4'000;
    std::atomic<std::uint64_t> at_home{0}, outside{0};
    const auto meet = [](std::atomic<std::uint64_t>& mine, std::atomic<std::uint64_t>& other,
                         std::uint64_t round) {
        mine = round;
        while (other < round) std::this_thread::yield();
    };
    std::thread adder([&] {
        for (std::uint64_t round = 1; round <= rounds; ++round) {
            meet(outside, at_home, round);
            for (int i = 0; i < 20; ++i) ASSERT_TRUE(change(s[1], 1, add(1)).has_value());
        }
    });
    const auto since = std::chrono::steady_clock::now();
    for (std::uint64_t round = 1; round <= rounds; ++round) {
        meet(at_home, outside, round);
        for (int i = 0; i < 10; ++i) {
            auto grabbed = s[0].grab(1);
            ASSERT_TRUE(grabbed.has_value());
        }
    }
    adder.join();
    EXPECT_EQ(word(s[0], 1), 20 * rounds);
    EXPECT_LT(std::chrono::steady_clock::now() - since, std::chrono::seconds(60));
}

// Whichever comes first: an atomic that found what was there before the removal went with it, and
// one that found nothing stays.
TEST_P(MappedAtomics, are_lost_by_no_removal_that_they_came_after) {
    auto c = cluster(2);
    auto s = c.open("s", numbers());
    constexpr std::uint64_t rounds = 3000;
    std::atomic<std::uint64_t> started{0}, ended{0};
    std::uint64_t found = 0;
    std::thread outside([&] {
        for (std::uint64_t round = 1; round <= rounds; ++round) {
            while (started < round) std::this_thread::yield();
            found = *change(s[1], 1, add(5));
            ended = round;
        }
    });
    for (std::uint64_t round = 1; round <= rounds; ++round) {
        ASSERT_TRUE(change(s[0], 1, {AtomicOp::exchange, NumberKind::uint64, 10, 0}));
        if (round % 2) become_mapped(s[1], 1);
        started = round;
        ASSERT_TRUE(s[0].remove(1));
        while (ended < round) std::this_thread::yield();
        ASSERT_EQ(word(s[0], 1), found == 10 ? 0u : 5u) << "round " << round;
    }
    outside.join();
}

TEST_P(MappedAtomics, find_the_object_that_was_born_again_elsewhere) {
    auto c = cluster(2);
    auto s = c.open("s", numbers());
    for (std::uint64_t id = 0; id < 20; ++id) become_mapped(s[1], id);
    for (std::uint64_t id = 0; id < 20; ++id) ASSERT_TRUE(s[0].remove(id).has_value());
    for (std::uint64_t id = 30; id < 50; ++id) ASSERT_EQ(*change(s[0], id, add(100)), 0u);
    for (std::uint64_t id = 0; id < 20; ++id) ASSERT_EQ(*change(s[1], id, add(1)), 0u) << id;
    for (std::uint64_t id = 30; id < 50; ++id) EXPECT_EQ(word(s[0], id), 100u) << id;
}

TEST_P(MappedAtomics, go_by_messages_where_that_is_switched_off) {
    auto c = cluster(2, false);
    auto s = c.open("s", numbers());
    for (std::uint64_t i = 0; i < 200; ++i) ASSERT_EQ(*change(s[1], 1, add(1)), i);
    EXPECT_EQ(s[1].stats().atomics_in_place, 0u);
}

// A node that dies between pin and unpin, or before it tells that it has unpinned.
TEST_P(MappedAtomics, leave_no_pin_when_their_node_dies) {
    auto c = cluster(2);
    auto s = c.open("s", numbers());
    become_mapped(s[1], 1);
    kddm::Engine::Impl& home = c[0].impl();
    kddm::SetState& set = *home.find_set(s[0].id());
    const std::uint64_t hash = hash_object(set.id, 1);
    kddm::Entry* entry = set.shard(hash).index.find_hint(hash);
    ASSERT_TRUE(kddm::pin::try_write_from_outside(entry->word, home.pin_mark(NodeId{1})));
    std::atomic<bool> served{false};
    std::thread waiting([&] {
        EXPECT_TRUE(s[0].grab(1).has_value());
        served = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(served);
    home.on_node_lost(NodeId{1});
    waiting.join();
    EXPECT_EQ(kddm::pin::count(entry->word.load()), 0u);
    EXPECT_EQ(kddm::pin::mark_of(entry->word.load()), 0u);
}

}  // namespace
}  // namespace ssi::test
