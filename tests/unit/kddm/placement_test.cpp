// SPDX-License-Identifier: BSD-3-Clause
// Placement first_touch, and migrate: where objects live, and who owns them.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "cluster.hpp"
#include "ssi/kddm/future.hpp"
#include "ssi/kddm/many.hpp"
#include "ssi/kddm/updates.hpp"

namespace ssi::test {
namespace {

kddm::SetOptions first_touch(std::uint64_t count) {
    kddm::SetOptions options;
    options.object_bytes = 8;
    options.count = count;
    options.placement = "first_touch";
    return options;
}

std::vector<ObjectId> ids_below(std::uint64_t count) {
    std::vector<ObjectId> ids;
    for (std::uint64_t i = 0; i < count; ++i) ids.emplace_back(i);
    return ids;
}

TEST(FirstTouch, objects_live_at_the_node_that_used_one_of_their_run_first) {
    Cluster cluster(3);
    auto sets = cluster.open("s", first_touch(30'000));
    for (std::uint64_t part = 0; part < 3; ++part)
        for (std::uint64_t i = 0; i < 10'000; i += 500)
            set_number(*sets[part].grab(part * 10'000 + i), i);
    for (std::uint64_t part = 0; part < 3; ++part) {
        EXPECT_EQ(sets[part].home(part * 10'000 + 500), NodeId(static_cast<std::uint32_t>(part)));
        EXPECT_EQ(sets[part].stats().remote_grabs, 0u);
        EXPECT_EQ(number(*sets[(part + 1) % 3].get(part * 10'000 + 500)), 500u);
        EXPECT_EQ(sets[(part + 1) % 3].home(part * 10'000 + 500),
                  NodeId(static_cast<std::uint32_t>(part)));
    }
    EXPECT_EQ(sets[0].home(25'250), no_node) << "not used here";
}

TEST(Homes, objects_live_where_the_table_says_whatever_the_sets_number) {
    const std::vector<NodeId> table{NodeId{2}, NodeId{0}, NodeId{2}, NodeId{1}};
    std::vector<NodeId> first;
    for (const int sets_before : {0, 3}) {
        Cluster cluster(3);
        for (int i = 0; i < sets_before; ++i) cluster.open(std::to_string(i), first_touch(1));
        for (int node = 0; node < 3; ++node)
            ASSERT_TRUE(cluster[node].register_homes("volumes", table));
        kddm::SetOptions options;
        options.object_bytes = 8;
        options.placement = "volumes";
        auto sets = cluster.open("s", options);
        std::vector<NodeId> homes;
        for (std::uint64_t i = 0; i < 200; ++i) {
            const ObjectId id{i % 3, i};
            set_number(*sets[0].grab(id), i);
            homes.push_back(sets[1].home(id));
            EXPECT_EQ(homes.back(), table[kddm::stable_slot(id, 4).value]);
            EXPECT_EQ(number(*sets[2].get(id)), i);
        }
        if (first.empty()) first = homes;
        EXPECT_EQ(homes, first);
    }
}

TEST(Homes, by_a_function_of_the_id) {
    Cluster cluster(2);
    for (int node = 0; node < 2; ++node)
        ASSERT_TRUE(cluster[node].register_homes(
            "odd", {NodeId{1}, NodeId{0}},
            [](SetId, ObjectId id, std::uint32_t slots) {
                return SlotId(static_cast<std::uint32_t>(id.lo) % slots);
            }));
    kddm::SetOptions options;
    options.object_bytes = 8;
    options.placement = "odd";
    auto sets = cluster.open("s", options);
    EXPECT_EQ(sets[0].home(4), NodeId{1});
    EXPECT_EQ(sets[0].home(5), NodeId{0});
}

TEST(Homes, refuse_tables_that_lead_nowhere) {
    Cluster cluster(2);
    for (const auto& table : {std::vector<NodeId>{}, {NodeId{0}, NodeId{1}, NodeId{0}},
                              {NodeId{0}, NodeId{7}}}) {
        const auto refused = cluster[0].register_homes("h", table);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::invalid_argument);
    }
}

TEST(FirstTouch, all_nodes_agree_when_they_come_at_once) {
    Cluster cluster(4);
    constexpr std::uint64_t objects = 300;
    auto sets = cluster.open("s", first_touch(objects));
    cluster.run([&](int node) {
        kddm::RawSet& set = sets[static_cast<std::size_t>(node)];
        for (std::uint64_t i = 0; i < objects; ++i)
            EXPECT_TRUE(set.fetch_add(i, std::int64_t{1}));
    });
    std::set<std::uint32_t> homes;
    for (std::uint64_t i = 0; i < objects; ++i) {
        const NodeId home = sets[0].home(i);
        homes.insert(home.value);
        for (auto& set : sets) EXPECT_EQ(set.home(i), home) << i;
        EXPECT_EQ(number(*sets[i % 4].get(i)), 4u) << i;
    }
    EXPECT_FALSE(homes.contains(no_node.value));
}

TEST(FirstTouch, serves_every_verb) {
    Cluster cluster(3);
    auto sets = cluster.open("s", first_touch(1000));
    const auto ids = ids_below(1000);
    EXPECT_TRUE(sets[1].prefetch_range(0, 100));
    EXPECT_TRUE(sets[2].grab_many(std::span(ids).first(200)));
    EXPECT_TRUE(sets[0].read(150));
    EXPECT_TRUE(sets[0].get_async(300).result());
    EXPECT_EQ(*sets[0].fetch_add(400, std::int64_t{3}), 0);
    std::vector<kddm::Update> updates;
    for (std::uint64_t i = 0; i < 1000; i += 7) updates.push_back({ObjectId(i), 1, 0});
    EXPECT_TRUE(sets[1].update_many(kddm::AtomicOp::add, kddm::NumberKind::int64, updates, {}));
    EXPECT_TRUE(sets[2].remove(400));
    EXPECT_EQ(number(*sets[1].get(400)), 0u);
    EXPECT_EQ(number(*sets[0].get(7)), 1u);
    EXPECT_TRUE(sets[0].sync());
    EXPECT_EQ(sets[0].home(999), no_node) << "to sync is not to use";
}

TEST(FirstTouch, needs_a_count) {
    Cluster cluster(1);
    auto set = cluster[0].create_or_open("s", first_touch(0));
    ASSERT_FALSE(set);
    EXPECT_EQ(set.error().code, Errc::invalid_argument);
    EXPECT_NE(set.error().text.find("'first_touch' needs a count"), std::string::npos);
}

kddm::SetOptions hashed() {
    kddm::SetOptions options;
    options.object_bytes = 8;
    return options;
}

TEST(Migrate, gives_ownership_of_all_objects_to_the_node) {
    Cluster cluster(3);
    auto sets = cluster.open("s", hashed());
    constexpr std::uint64_t objects = 5000;   // several messages
    for (std::uint64_t i = 0; i < objects; ++i) set_number(*sets[i % 3].grab(i), i + 1);
    const auto ids = ids_below(objects);
    for (const std::size_t to : {std::size_t{1}, std::size_t{0}}) {
        auto moved = sets[0].migrate(ids, NodeId(static_cast<std::uint32_t>(to)));
        ASSERT_TRUE(moved) << moved.error().to_string();
        for (std::uint64_t i = 0; i < objects; ++i)
            ASSERT_EQ(sets[to].find(i), kddm::Access::write) << "object " << i << " to " << to;
    }
    for (std::uint64_t i = 0; i < objects; ++i) ASSERT_EQ(number(*sets[2].get(i)), i + 1);
}

TEST(Migrate, waits_for_who_holds_an_object) {
    Cluster cluster(3);
    auto sets = cluster.open("s", hashed());
    auto held = sets[2].grab(7);
    std::atomic<bool> moved{false};
    std::thread mover([&] {
        const ObjectId id{7};
        EXPECT_TRUE(sets[0].migrate({&id, 1}, NodeId(1)));
        moved = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_FALSE(moved);
    ASSERT_TRUE(held->put());
    mover.join();
    EXPECT_EQ(sets[1].find(7), kddm::Access::write);
}

TEST(Migrate, brings_objects_to_stay_even_when_they_bounce) {
    Cluster cluster(3);
    kddm::SetOptions options = hashed();
    options.placement = "node:2";
    auto sets = cluster.open("s", options);
    for (std::size_t i = 0; i < 30; ++i) EXPECT_TRUE(sets[i % 2].grab(3));
    ASSERT_EQ(sets[2].stats().bounces, 1u);
    const ObjectId id{3};
    ASSERT_TRUE(sets[2].migrate({&id, 1}, NodeId(0)));
    EXPECT_EQ(sets[0].find(3), kddm::Access::write);
    EXPECT_TRUE(sets[0].grab(3));
    EXPECT_EQ(sets[0].find(3), kddm::Access::write);
}

TEST(FirstTouch, takes_the_largest_counts) {
    Cluster cluster(2);
    auto sets = cluster.open("s", first_touch(UINT64_MAX));
    set_number(*sets[0].grab(UINT64_MAX - 1), 7);
    EXPECT_EQ(number(*sets[1].get(UINT64_MAX - 1)), 7u);
    EXPECT_EQ(sets[1].home(UINT64_MAX - 1), NodeId(0));
}

TEST(Migrate, ends_with_an_error_when_the_set_is_destroyed) {
    Cluster cluster(3);
    auto sets = cluster.open("s", hashed());
    const auto ids = ids_below(2000);
    std::thread destroyer([&] { EXPECT_TRUE(cluster[2].destroy("s")); });
    Result<void> moved;
    while ((moved = sets[0].migrate(ids, NodeId(1)))) {}
    destroyer.join();
    EXPECT_TRUE(moved.error().code == Errc::not_found || moved.error().code == Errc::cancelled)
        << moved.error().to_string();
}

TEST(Migrate, refuses_what_cannot_be) {
    Cluster cluster(2);
    auto sets = cluster.open("s", hashed());
    const ObjectId id{7};
    const auto code = [](const Result<void>& r) { return r ? Errc::ok : r.error().code; };
    EXPECT_EQ(code(sets[0].migrate({&id, 1}, NodeId(77))), Errc::invalid_argument);
    {
        auto guard = sets[0].get(7);
        EXPECT_EQ(code(sets[0].migrate({&id, 1}, NodeId(1))), Errc::deadlock);
    }
    {
        auto guard = sets[0].get(8);
        EXPECT_EQ(code(sets[0].migrate({&id, 1}, NodeId(1))), Errc::deadlock);
    }
    EXPECT_TRUE(sets[0].migrate({}, NodeId(1)));
    kddm::SetOptions home = hashed();
    home.coherence = kddm::Coherence::home;
    auto home_sets = cluster.open("h", home);
    EXPECT_EQ(code(home_sets[0].migrate({&id, 1}, NodeId(1))), Errc::invalid_argument);
}

}  // namespace
}  // namespace ssi::test
