// SPDX-License-Identifier: BSD-3-Clause
// Linkers: objects that are born and kept outside memory.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "map_linker.hpp"
#include "ssi/kddm/record_file.hpp"

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

TEST(Linker, that_has_nothing_lets_objects_be_born_by_whoever_wants_them) {
    LinkedCluster world(1);
    world.linker(0).knows = true;
    world.linker(0).birth = std::byte{7};
    auto set = world.cluster.open("s", linked(64))[0];
    EXPECT_EQ(set.get(3)->bytes()[63], std::byte{7});
    EXPECT_EQ(world.linker(0).fetched_by, std::this_thread::get_id());
    set_number(*set.grab(3), 5);
    ASSERT_TRUE(set.sync());
    ASSERT_TRUE(set.drop_unused());
    EXPECT_EQ(number(*set.get(3)), 5u);
    EXPECT_NE(world.linker(0).fetched_by, std::this_thread::get_id()) << "that may take long";
}

TEST(Linker, gets_what_leaves_memory_when_a_node_drops_what_nobody_uses) {
    LinkedCluster world(2);
    auto sets = world.cluster.open("s", linked(object_bytes, 1u << 30));
    constexpr std::uint64_t objects = 60;
    for (std::uint64_t i = 0; i < objects; ++i) set_number(*sets[i % 2].grab(i), i + 1);
    for (std::uint64_t i = 0; i < objects; ++i) EXPECT_EQ(number(*sets[0].get(i)), i + 1);
    {
        auto held = sets[1].get(7);
        for (int round = 0; round < 2; ++round)   // what came home meanwhile
            for (auto& set : sets) ASSERT_TRUE(set.drop_unused());
        EXPECT_EQ(number(*held), 8u);
        for (auto& set : sets) EXPECT_LE(set.stats().memory_bytes, room_for(3, object_bytes));
    }
    for (std::uint64_t i = 0; i < objects; ++i) {
        const bool first = sets[1].home(i) == NodeId(0);
        if (i != 7) {
            EXPECT_EQ(world.linker(first ? 0 : 1).number(i), i + 1);
        }
        EXPECT_EQ(number(*sets[i % 2].get(i)), i + 1);
    }
}

TEST(Linker, that_refuses_to_remove_leaves_the_object_as_it_was) {
    LinkedCluster world(2);
    world.cluster.expect_errors = true;
    auto sets = world.cluster.open("s", linked(object_bytes, 0, "node:0"));
    for (std::uint64_t i = 0; i < 4; ++i) set_number(*sets[i / 2].grab(i), i + 1);
    ASSERT_TRUE(sets[0].sync());
    ASSERT_TRUE(sets[0].drop_unused());
    world.linker(0).keeps = true;
    for (std::uint64_t i = 0; i < 4; ++i) {
        auto removed = sets[i % 2].remove(i);
        ASSERT_FALSE(removed);
        EXPECT_EQ(removed.error().code, Errc::linker_failed);
        EXPECT_EQ(number(*sets[1 - i % 2].get(i)), i + 1);
    }
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
