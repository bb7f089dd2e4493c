// SPDX-License-Identifier: BSD-3-Clause
// Linkers: objects that are born and kept outside memory.
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <thread>

#include "map_linker.hpp"
#include "ssi/base/random.hpp"
#include "ssi/kddm/many.hpp"
#include "ssi/kddm/record_file.hpp"
#include "ssi/kddm/updates.hpp"

namespace ssi::test {
namespace {

constexpr std::uint32_t object_bytes = 1024;

TEST(Linker, brings_back_what_it_was_given_when_memory_is_short) {
    for (const std::uint32_t bytes : {8u, 1024u}) {
        LinkedCluster world(2);
        auto sets = world.cluster.open("s", linked(bytes, room_for(24, bytes)));
        constexpr std::uint64_t objects = 400;
        for (std::uint64_t i = 0; i < objects; ++i) {
            auto guard = sets[i % 2].grab(i);
            ASSERT_TRUE(guard) << guard.error().to_string();
            set_number(*guard, i + 1);
        }
        for (std::uint64_t i = 0; i < objects; ++i) {
            auto guard = sets[(i + 1) % 2].get(i);
            ASSERT_TRUE(guard) << guard.error().to_string();
            EXPECT_EQ(number(*guard), i + 1) << "object " << i;
        }
        for (int n = 0; n < 2; ++n) {
            const kddm::SetStats s = sets[static_cast<std::size_t>(n)].stats();
            EXPECT_GT(s.write_backs, 50u);
            EXPECT_GT(s.loads, 50u);
            EXPECT_LT(s.memory_bytes, room_for(40, bytes));
            EXPECT_LT(s.objects, 60u);
        }
    }
}

TEST(Linker, fills_new_born_objects_and_never_fetches_renewed_ones) {
    LinkedCluster world(2);
    for (auto& linker : world.linkers) linker->birth = std::byte{7};
    auto sets = world.cluster.open("s", linked(64, 0, "node:1"));
    for (auto& set : sets) EXPECT_EQ(set.get(3)->bytes()[63], std::byte{7});
    EXPECT_EQ(world.linker(1).births, 1);
    EXPECT_EQ(world.linker(0).fetches, 0);
    for (auto& set : sets) EXPECT_EQ(set.grab_new(4)->bytes()[0], std::byte{0});
    EXPECT_EQ(world.linker(1).fetches, 1);
}

TEST(Linker, keeps_objects_of_variable_size) {
    LinkedCluster world(2);
    kddm::SetOptions options = linked(0, 4000);
    options.kind = kddm::ObjectKind::variable;
    auto sets = world.cluster.open("s", options);
    for (std::uint64_t i = 0; i < 60; ++i) {
        auto guard = sets[i % 2].grab(i);
        ASSERT_TRUE(guard->resize(8 + i * 3));
        set_number(*guard, i + 1);
    }
    for (std::uint64_t i = 0; i < 60; ++i) {
        auto guard = sets[(i + 1) % 2].get(i);
        ASSERT_EQ(guard->bytes().size(), 8 + i * 3);
        EXPECT_EQ(number(*guard), i + 1);
    }
    EXPECT_GT(sets[0].stats().loads + sets[1].stats().loads, 60u);
}

TEST(Linker, is_asked_once_however_many_wait_for_an_object) {
    LinkedCluster world(3);
    world.linker(0).delay_us = 20'000;
    auto sets = world.cluster.open("s", linked(64, 0, "node:0"));
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 9; ++i)
        threads.emplace_back([&sets, i] {
            if (i % 3 == 0) EXPECT_TRUE(sets[i % 3].get(5));
            else if (i % 2 == 0) EXPECT_TRUE(sets[i % 3].grab(5));
            else EXPECT_TRUE(sets[i % 3].fetch_add(5, std::int64_t{1}));
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(world.linker(0).fetches, 1);
    std::int64_t value = 0;
    std::memcpy(&value, sets[0].get(5)->bytes().data(), 8);
    EXPECT_EQ(value, 3);
}

TEST(Linker, that_answers_wrongly_fails_the_access_and_nothing_else) {
    using Fault = MapLinker::Fault;
    LinkedCluster world(2);
    auto sets = world.cluster.open("s", linked(64, 0, "node:0"));
    const std::pair<Fault, const char*> faults[] = {{Fault::error, "the map is torn"},
                                                    {Fault::exception, "the map threw"},
                                                    {Fault::shorter, "63 bytes of 64"}};
    std::uint64_t id = 0;
    for (const auto& [fault, text] : faults)
        for (auto& set : sets) {
            ++id;
            world.linker(0).fetch_fault = fault;
            for (const bool write : {false, true}) {
                auto guard = write ? set.grab(id) : set.get(id);
                ASSERT_FALSE(guard);
                EXPECT_EQ(guard.error().code, Errc::linker_failed);
                EXPECT_NE(guard.error().text.find(text), std::string::npos)
                    << guard.error().text;
            }
            auto added = set.fetch_add(id, std::int64_t{1});
            ASSERT_FALSE(added);
            EXPECT_EQ(added.error().code, Errc::linker_failed);
            EXPECT_NE(added.error().text.find(text), std::string::npos) << added.error().text;
            world.linker(0).fetch_fault = Fault::none;
            EXPECT_EQ(number(*set.get(id)), 0u);   // and the next access tries again
        }
}

TEST(Linker, sync_writes_back_what_other_nodes_own_and_hold_copies_of) {
    LinkedCluster world(3);
    auto sets = world.cluster.open("s", linked(64, 0, "node:0"));
    set_number(*sets[1].grab(1), 11);
    set_number(*sets[2].grab(2), 22);
    (void)sets[1].get(2);
    set_number(*sets[0].grab(3), 33);
    (void)sets[2].get(3);
    ASSERT_TRUE(sets[0].sync());
    EXPECT_EQ(world.linker(0).number(1), 11u);
    EXPECT_EQ(world.linker(0).number(2), 22u);
    EXPECT_EQ(world.linker(0).number(3), 33u);
    EXPECT_EQ(world.linker(0).syncs, 1);
    const int writes = world.linker(0).writes;
    ASSERT_TRUE(sets[0].sync());
    EXPECT_EQ(world.linker(0).writes, writes) << "what has not changed is not written again";
    set_number(*sets[1].grab(1), 12);
    ASSERT_TRUE(sets[0].sync());
    EXPECT_EQ(world.linker(0).number(1), 12u);
}

// Its owner has put it, and another task of the home has just asked for it.
TEST(Linker, sync_writes_back_what_is_on_its_way_home) {
    LinkedCluster world(2);
    auto sets = world.cluster.open("s", linked(64, 0, "node:0"));
    constexpr std::uint64_t rounds = 1000;
    std::atomic<std::uint64_t> begun{0}, ended{0};
    std::thread beside([&] {
        for (std::uint64_t round = 1; round <= rounds; ++round) {
            while (begun < round) std::this_thread::yield();
            EXPECT_TRUE(sets[0].grab(1));
            ended = round;
        }
    });
    for (std::uint64_t round = 1; round <= rounds; ++round) {
        { set_number(*sets[1].grab(1), round); }
        begun = round;
        ASSERT_TRUE(sets[0].sync());
        ASSERT_EQ(world.linker(0).number(1), round);
        while (ended < round) std::this_thread::yield();
    }
    beside.join();
}

TEST(Linker, sync_reports_a_failing_linker_and_keeps_the_value) {
    LinkedCluster world(1);
    auto set = world.cluster.open("s", linked(64))[0];
    set_number(*set.grab(1), 5);
    world.linker(0).write_fault = MapLinker::Fault::error;
    auto synced = set.sync();
    ASSERT_FALSE(synced);
    EXPECT_EQ(synced.error().code, Errc::linker_failed);
    world.linker(0).write_fault = MapLinker::Fault::none;
    ASSERT_TRUE(set.sync());
    EXPECT_EQ(world.linker(0).number(1), 5u);
    auto guard = set.get(1);
    auto refused = set.sync();
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::deadlock);
}

TEST(Linker, removes_and_destroys_its_objects) {
    LinkedCluster world(2);
    for (auto& linker : world.linkers) linker->birth = std::byte{9};
    auto sets = world.cluster.open("s", linked(64, 0, "node:0"));
    for (std::size_t n = 0; n < 2; ++n) {
        set_number(*sets[n].grab(1), 5);
        ASSERT_TRUE(sets[0].sync());
        EXPECT_EQ(world.linker(0).number(1), 5u);
        ASSERT_TRUE(sets[1 - n].remove(1));
        EXPECT_EQ(world.linker(0).number(1), 0u);
        EXPECT_EQ(sets[n].get(1)->bytes()[8], std::byte{9});
    }
    EXPECT_EQ(world.linker(0).removals, 2);
    ASSERT_TRUE(world.cluster[1].destroy("s"));
    for (int i = 0; i < 1000 && world.linker(0).destroyed == 0; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(world.linker(0).destroyed, 1);
}

TEST(Linker, that_never_blocks_is_called_by_whoever_is_there) {
    LinkedCluster world(2);
    for (auto& linker : world.linkers) linker->blocks = false;
    auto sets = world.cluster.open("s", linked(object_bytes, room_for(10, object_bytes)));
    for (std::uint64_t i = 0; i < 100; ++i) set_number(*sets[i % 2].grab(i), i + 1);
    for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(number(*sets[(i + 1) % 2].get(i)), i + 1);
    EXPECT_GT(sets[0].stats().loads, 20u);
}

TEST(Linker, that_is_not_registered_is_refused_by_name) {
    Cluster cluster(1);
    auto set = cluster[0].create_or_open("s", linked(64));
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code, Errc::invalid_argument);
    EXPECT_NE(set.error().text.find("linker 'map' is not registered"), std::string::npos);
}

TEST(Linker, versions_grow_while_objects_come_and_go) {
    LinkedCluster world(1);
    auto set = world.cluster.open("s", linked(object_bytes, room_for(4, object_bytes)))[0];
    std::vector<std::uint64_t> versions(40);
    for (int round = 0; round < 4; ++round)
        for (std::uint64_t i = 0; i < versions.size(); ++i) {
            auto guard = set.grab(i);
            EXPECT_GT(guard->version(), round == 0 ? 0 : versions[i]);
            versions[i] = guard->version();
        }
}

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

TEST(RecordFile, keeps_a_set_from_one_session_to_the_next) {
    const std::string path = testing::TempDir() + "ssi-records-" + std::to_string(::getpid());
    for (std::uint64_t round = 1; round <= 2; ++round) {
        Cluster cluster(1);
        auto file = kddm::RecordFile::open(path, 24);
        ASSERT_TRUE(file) << file.error().to_string();
        cluster[0].register_linker("records", *file);
        kddm::SetOptions options;
        options.count = 50;
        options.object_bytes = 24;
        options.linker = "records";
        auto set = cluster.open("s", options)[0];
        for (std::uint64_t i = 0; i < 50; ++i) {
            auto guard = set.grab(i);
            EXPECT_EQ(number(*guard), (round - 1) * i);
            set_number(*guard, round * i);
        }
        ASSERT_TRUE(set.sync());
    }
    EXPECT_EQ(std::filesystem::file_size(path), 50u * 24);
    auto other = kddm::RecordFile::open(path, 32);
    Cluster cluster(1);
    cluster[0].register_linker("records", *other);
    kddm::SetOptions options;
    options.object_bytes = 24;
    options.linker = "records";
    auto refused = cluster.open("s", options)[0].get(0);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().text.find("records of 32 bytes"), std::string::npos);
    std::filesystem::remove(path);
    EXPECT_EQ(kddm::RecordFile::open("/no/such/folder/file", 8).error().code, Errc::io);
}

}  // namespace
}  // namespace ssi::test
