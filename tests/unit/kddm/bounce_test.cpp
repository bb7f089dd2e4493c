// SPDX-License-Identifier: BSD-3-Clause
// Objects whose ownership bounces: given out for one visit at a time, until one node is alone.
#include <gtest/gtest.h>

#include "cluster.hpp"

namespace ssi::test {
namespace {

constexpr std::uint64_t object = 5;

std::vector<kddm::RawSet> open_at_third(Cluster& cluster, bool visits = true) {
    kddm::SetOptions options;
    options.object_bytes = 64;
    options.placement = "node:2";
    options.visits = visits;
    return cluster.open("s", options);
}

void grab_once(kddm::RawSet& set) {
    auto guard = set.grab(object);
    ASSERT_TRUE(guard) << guard.error().to_string();
    std::uint64_t number;
    std::memcpy(&number, guard->bytes().data(), 8);
    ++number;
    std::memcpy(guard->writable().data(), &number, 8);
}

std::uint64_t read_number(kddm::RawSet& set) {
    std::uint64_t number = 0;
    std::memcpy(&number, set.get(object)->bytes().data(), 8);
    return number;
}

bool stays(kddm::RawSet& set) { return set.find(object) == kddm::Access::write; }

TEST(Bounce, visits_begin_after_some_moves_and_end_when_one_node_is_alone) {
    Cluster cluster(3);
    auto sets = open_at_third(cluster);
    for (int i = 0; i < 7; ++i) grab_once(sets[static_cast<std::size_t>(i % 2)]);
    EXPECT_EQ(sets[2].stats().visits, 0u);
    EXPECT_TRUE(stays(sets[0]));
    for (int i = 7; i < 20; ++i) {
        grab_once(sets[static_cast<std::size_t>(i % 2)]);
        EXPECT_FALSE(stays(sets[static_cast<std::size_t>(i % 2)])) << "move " << i;
        ASSERT_TRUE(sets[static_cast<std::size_t>(i % 2)].sync());
    }
    EXPECT_EQ(sets[2].stats().bounces, 1u);
    EXPECT_EQ(sets[2].stats().visits, 13u);
    for (int i = 0; i < 5; ++i) grab_once(sets[0]);
    EXPECT_TRUE(stays(sets[0])) << "the only one that uses it";
    EXPECT_EQ(read_number(sets[1]), 25u);
}

TEST(Bounce, each_try_that_ends_makes_the_next_take_twice_as_many_moves) {
    Cluster cluster(3);
    auto sets = open_at_third(cluster);
    std::uint64_t visits = 0;
    for (const unsigned moves : {8u, 16u, 32u}) {
        for (unsigned i = 0; i < moves; ++i) {
            EXPECT_EQ(sets[2].stats().visits, visits) << "move " << i << " of " << moves;
            grab_once(sets[i % 2]);
        }
        EXPECT_GT(sets[2].stats().visits, visits) << moves;
        // Node 1 was the last; it stays alone until it may keep the object.
        for (int i = 0; i < 6 && !stays(sets[1]); ++i) grab_once(sets[1]);
        EXPECT_TRUE(stays(sets[1]));
        visits = sets[2].stats().visits;
    }
    EXPECT_EQ(sets[2].stats().bounces, 3u);
}

TEST(Bounce, what_the_home_uses_in_between_is_not_one_node_alone) {
    Cluster cluster(3);
    auto sets = open_at_third(cluster);
    for (std::size_t i = 0; i < 8; ++i) grab_once(sets[i % 2]);
    for (int i = 0; i < 36; ++i) {
        grab_once(sets[0]);
        grab_once(sets[2]);
    }
    EXPECT_EQ(sets[2].stats().bounces, 1u);
    EXPECT_GT(sets[2].stats().visits, 30u);
    EXPECT_EQ(read_number(sets[1]), 80u);
}

TEST(Bounce, the_home_and_one_other_node_may_take_turns) {
    Cluster cluster(3);
    auto sets = open_at_third(cluster);
    for (int i = 0; i < 60; ++i) {
        grab_once(sets[0]);
        EXPECT_TRUE(stays(sets[0]));
        grab_once(sets[2]);
    }
    EXPECT_EQ(sets[2].stats().bounces, 0u);
}

TEST(Bounce, updates_at_home_find_a_visited_object_there) {
    for (const bool visits : {false, true}) {
        Cluster cluster(3);
        auto sets = open_at_third(cluster, visits);
        for (std::size_t i = 0; i < 60; ++i) {
            grab_once(sets[i % 2]);
            ASSERT_TRUE(sets[i % 2].sync());
            ASSERT_TRUE(sets[1 - i % 2].fetch_add(object, std::int64_t{1}));
        }
        const std::uint64_t recalls = sets[2].stats().recalls;
        if (visits)
            EXPECT_LT(recalls, 12u);
        else
            EXPECT_EQ(recalls, 60u);
        EXPECT_EQ(read_number(sets[0]), 120u);
    }
}

TEST(Bounce, can_be_switched_off_for_a_set_and_for_a_session) {
    for (const bool by_session : {false, true}) {
        LoopNodes::Options options;
        if (by_session) value_or_throw(options.config.set("kddm.moves_to_visit", "0", "test"));
        Cluster cluster(3, kddm::Plant::none, options);
        auto sets = open_at_third(cluster, by_session);
        for (std::size_t i = 0; i < 100; ++i) grab_once(sets[i % 2]);
        EXPECT_EQ(sets[2].stats().bounces, 0u);
        EXPECT_EQ(sets[2].stats().visits, 0u);
        EXPECT_TRUE(stays(sets[1]));
    }
}

TEST(Bounce, readers_and_nested_guards_of_a_visitor_are_served) {
    Cluster cluster(3);
    auto sets = open_at_third(cluster);
    for (std::size_t i = 0; i < 30; ++i) {
        grab_once(sets[i % 2]);
        auto guard = sets[i % 2].grab(object);
        ASSERT_TRUE(guard);
        { EXPECT_TRUE(sets[i % 2].get(object)); }
        ASSERT_TRUE(guard->put());
        EXPECT_EQ(read_number(sets[2]), i + 1);
        EXPECT_EQ(read_number(sets[i % 2]), i + 1);
    }
}

}  // namespace
}  // namespace ssi::test
