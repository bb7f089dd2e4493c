// SPDX-License-Identifier: BSD-3-Clause
// Homes that give the linker new values themselves (stored), and write-backs of named objects.
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <thread>

#include "map_linker.hpp"
#include "ssi/base/random.hpp"
#include "ssi/kddm/many.hpp"
#include "ssi/kddm/updates.hpp"

namespace ssi::test {
namespace {

// Gives the linker what the guard has, as a home does that logs a change itself.
void store(MapLinker& linker, kddm::RawGuard& guard) {
    ASSERT_TRUE(linker.write_back(guard.id(), guard.bytes()));
    guard.stored();
}

TEST(Linker, is_not_given_again_what_was_stored_under_the_grab) {
    for (const std::uint32_t bytes : {8u, 1024u}) {
        LinkedCluster world(2);
        auto sets = world.cluster.open("s", linked(bytes, room_for(24, bytes), "node:0"));
        constexpr std::uint64_t objects = 200;
        for (std::uint64_t i = 0; i < objects; ++i) {
            auto guard = sets[0].grab(i);
            set_number(*guard, i + 1);
            store(world.linker(0), *guard);
        }
        ASSERT_TRUE(sets[0].sync());
        EXPECT_EQ(world.linker(0).writes, int(objects)) << "but for the caller's own";
        for (std::uint64_t i = 0; i < objects; ++i)
            EXPECT_EQ(number(*sets[i % 2].get(i)), i + 1) << "also when it had been dropped";
        EXPECT_EQ(sets[0].stats().write_backs, 0u);
    }
}

TEST(Linker, is_given_what_changed_after_it_was_stored) {
    LinkedCluster world(2);
    world.cluster[0].register_function(
        "set", kddm::Run::inline_in_handler,
        [](kddm::ObjectView& object, std::span<const std::byte>, auto&) -> Result<void> {
            object.bytes()[0] = std::byte{77};
            return {};
        });
    kddm::SetOptions options = linked(0, 0, "node:0");
    options.kind = kddm::ObjectKind::variable;
    auto sets = world.cluster.open("s", options);
    auto& set = sets[0];
    const auto born = [&](std::uint64_t id) {
        auto guard = set.grab(id);
        EXPECT_TRUE(guard->resize(16));
        set_number(*guard, 1);
        store(world.linker(0), *guard);
        return std::move(*guard);
    };
    { auto guard = born(1); set_number(guard, 11); }
    { auto guard = born(2); ASSERT_TRUE(guard.resize(8)); }
    { auto guard = born(3); ASSERT_TRUE(set.fetch_add(3, std::int64_t{9})); }
    { auto guard = born(4); ASSERT_TRUE(set.apply(4, "set", {})); }
    {
        auto guard = born(5);
        const kddm::Update one{5, 40, 0};
        ASSERT_TRUE(set.update_many(kddm::AtomicOp::add, kddm::NumberKind::int64,
                                    std::span(&one, 1)));
    }
    { born(6); }
    { set_number(*set.grab(6), 12); }
    { born(7); }
    { set_number(*sets[1].grab(7), 13); }
    { born(8); }
    (void)sets[1].get(8);
    ASSERT_TRUE(set.sync());
    const std::uint64_t expected[] = {11, 1, 10, 77, 41, 12, 13, 1};
    for (std::uint64_t id = 1; id <= 8; ++id) {
        EXPECT_EQ(world.linker(0).number(id), expected[id - 1]) << "object " << id;
    }
    EXPECT_EQ(set.stats().write_backs, 7u);
}

// A write-back that was asked for while the object was held.
TEST(Linker, writes_back_nothing_that_was_stored_meanwhile) {
    LinkedCluster world(1);
    auto set = world.cluster.open("s", linked(64))[0];
    for (const bool change_again : {false, true}) {
        const int before = world.linker(0).writes;
        auto guard = set.grab(1);
        set_number(*guard, 5);
        std::thread other([&] { EXPECT_TRUE(set.sync()); });
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        set_number(*guard, 6);
        store(world.linker(0), *guard);
        if (change_again) set_number(*guard, 7);
        (void)guard->put();
        other.join();
        ASSERT_TRUE(set.sync());
        EXPECT_EQ(world.linker(0).number(1), change_again ? 7u : 6u);
        EXPECT_EQ(world.linker(0).writes, before + 1 + change_again);
    }
}

TEST(Linker, has_every_change_whoever_stored_it) {
    LinkedCluster world(3);
    auto sets = world.cluster.open("s", linked(256, room_for(12, 256)));
    constexpr std::uint64_t objects = 30;
    std::array<std::atomic<std::uint64_t>, objects> changes{};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 6; ++t)
        threads.emplace_back([&, t] {
            Random random(t + 1);
            auto& set = sets[t % 3];
            for (int i = 0; i < 1500; ++i) {
                const std::uint64_t id = random.below(objects);
                if (random.chance(1, 200)) { EXPECT_TRUE(set.sync()); }
                const bool home = set.home(id) == NodeId(t % 3);
                if (home && random.chance(1, 10)) {
                    const ObjectId one = id;
                    const std::uint64_t least = changes[id];
                    EXPECT_TRUE(set.write_back(std::span(&one, 1)));
                    EXPECT_GE(world.linker(int(t % 3)).number(id), least);
                }
                auto guard = set.grab(id);
                ASSERT_TRUE(guard) << guard.error().to_string();
                set_number(*guard, number(*guard) + 1);
                if (home && random.chance(1, 2)) store(world.linker(int(t % 3)), *guard);
                if (random.chance(1, 8)) set_number(*guard, number(*guard));
                ASSERT_TRUE(guard->put());
                ++changes[id];
            }
        });
    for (auto& thread : threads) thread.join();
    for (auto& set : sets) ASSERT_TRUE(set.sync());
    for (std::uint64_t id = 0; id < objects; ++id) {
        EXPECT_EQ(number(*sets[0].get(id)), changes[id]);
        EXPECT_EQ(world.linker(int(sets[0].home(id).value)).number(id), changes[id]);
    }
}

// Whoever holds a grab may log the new value first and change the object afterwards.
TEST(Linker, is_given_no_value_that_somebody_is_about_to_replace) {
    LinkedCluster world(3);
    kddm::SetOptions options = linked(0, 0);
    options.kind = kddm::ObjectKind::variable;
    auto sets = world.cluster.open("s", options);
    constexpr std::uint64_t objects = 8;
    std::array<std::atomic<std::uint64_t>, objects> promised{};
    std::atomic<int> stale{0};
    for (auto& linker : world.linkers)
        linker->on_write = [&](ObjectId id, std::span<const std::byte> bytes) {
            std::uint64_t value = 0;
            if (bytes.size() >= 8) std::memcpy(&value, bytes.data(), 8);
            if (value < promised[id.lo]) ++stale;
        };
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 6; ++t)
        threads.emplace_back([&, t] {
            Random random(t + 1);
            auto& set = sets[t % 3];
            for (int i = 0; i < 800; ++i) {
                std::vector<ObjectId> ids{random.below(objects), random.below(objects)};
                if (random.chance(1, 2)) {
                    (void)set.get(ids[0]);
                    continue;
                }
                auto guards = set.grab_many(ids);
                ASSERT_TRUE(guards) << guards.error().to_string();
                std::vector<std::uint64_t> values;
                for (kddm::RawGuard& guard : guards->distinct()) {
                    const std::uint64_t old = guard.bytes().size() < 8 ? 0 : number(guard);
                    values.push_back(old + 1);
                    promised[guard.id().lo] = old + 1;
                }
                if (random.chance(1, 4))
                    std::this_thread::sleep_for(std::chrono::microseconds(random.below(300)));
                std::size_t at = 0;
                for (kddm::RawGuard& guard : guards->distinct()) {
                    ASSERT_TRUE(guard.resize(8 + values[at] % 64));
                    set_number(guard, values[at++]);
                    if (set.home(guard.id()) == NodeId(t % 3) && random.chance(1, 2)) {
                        store(world.linker(int(t % 3)), guard);
                    }
                }
                ASSERT_TRUE(guards->put());
            }
        });
    std::vector<std::thread> syncs;
    for (std::size_t n = 0; n < 3; ++n)
        syncs.emplace_back([&, n] {
            while (!stop) {
                EXPECT_TRUE(sets[n].sync());
                std::this_thread::sleep_for(std::chrono::microseconds(200));
            }
        });
    for (auto& thread : threads) thread.join();
    stop = true;
    for (auto& thread : syncs) thread.join();
    EXPECT_EQ(stale, 0);
}

TEST(Linker, write_back_takes_what_is_named_from_wherever_it_is) {
    LinkedCluster world(3);
    auto sets = world.cluster.open("s", linked(64, 0, "node:0"));
    for (std::uint64_t i = 0; i < 40; ++i) set_number(*sets[i % 3].grab(i), i + 1);
    (void)sets[2].get(1);
    std::vector<ObjectId> ids;
    for (std::uint64_t i = 0; i < 20; ++i) ids.push_back(i);
    ids.push_back(1);       // twice
    ids.push_back(1000);    // that nobody has touched
    ASSERT_TRUE(sets[0].write_back(ids));
    for (std::uint64_t i = 0; i < 40; ++i)
        EXPECT_EQ(world.linker(0).number(i), i < 20 ? i + 1 : 0u);
    EXPECT_EQ(world.linker(0).syncs, 0);
    const int writes = world.linker(0).writes;
    ASSERT_TRUE(sets[0].write_back(ids));
    EXPECT_EQ(world.linker(0).writes, writes) << "what has not changed is not written again";
    EXPECT_TRUE(sets[0].write_back({}));
}

TEST(Linker, write_back_refuses_what_cannot_be) {
    LinkedCluster world(2);
    auto sets = world.cluster.open("s", linked(64, 0, "node:0"));
    auto plain = world.cluster.open("plain", counters());
    const ObjectId ids[] = {ObjectId(1), ObjectId(2)};
    EXPECT_EQ(plain[0].write_back(ids).error().code, Errc::invalid_argument);
    EXPECT_EQ(sets[1].write_back(ids).error().code, Errc::invalid_argument);
    {
        auto guard = sets[0].get(2);
        EXPECT_EQ(sets[0].write_back(ids).error().code, Errc::deadlock);
    }
    {
        auto guard = sets[0].grab(3);
        EXPECT_EQ(sets[0].write_back(ids).error().code, Errc::deadlock) << "a greater one";
    }
    {
        auto guard = sets[0].grab(ObjectId(0));
        EXPECT_TRUE(sets[0].write_back(ids)) << "in order";
    }
    set_number(*sets[1].grab(1), 5);
    world.linker(0).write_fault = MapLinker::Fault::error;
    EXPECT_EQ(sets[0].write_back(ids).error().code, Errc::linker_failed);
    world.linker(0).write_fault = MapLinker::Fault::none;
    EXPECT_TRUE(sets[0].write_back(ids));
    EXPECT_EQ(world.linker(0).number(1), 5u);
}

}  // namespace
}  // namespace ssi::test
