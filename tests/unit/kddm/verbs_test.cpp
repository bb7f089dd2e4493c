// SPDX-License-Identifier: BSD-3-Clause
#include <bit>
#include <limits>

#include "cluster.hpp"
#include "ssi/kddm/set.hpp"

namespace ssi::test {
namespace {

using kddm::Access;

TEST(Verbs, a_new_object_is_zero_everywhere) {
    Cluster c(2);
    auto s = c.open("s", counters());
    for (std::uint64_t i = 0; i < 20; ++i) {
        EXPECT_EQ(number(*s[0].get(i)), 0u);
        EXPECT_EQ(number(*s[1].get(i)), 0u);
    }
}

TEST(Verbs, a_write_is_seen_by_every_node) {
    Cluster c(3);
    auto s = c.open("s", counters());
    for (int writer = 0; writer < 3; ++writer)
        for (std::uint64_t i = 0; i < 20; ++i) {
            {
                auto g = s[writer].grab(i);
                ASSERT_TRUE(g.has_value());
                set_number(*g, 100 * writer + i + 1);
            }
            for (int reader = 0; reader < 3; ++reader)
                EXPECT_EQ(number(*s[reader].get(i)), 100 * writer + i + 1);
        }
}

kddm::SetOptions texts() {
    kddm::SetOptions o;
    o.kind = kddm::ObjectKind::variable;
    return o;
}

TEST(Verbs, what_grows_for_overwriting_keeps_its_prefix_and_its_place_up_to_its_room) {
    Cluster c(2);
    auto s = c.open("s", texts());
    auto g = s[0].grab(1);
    ASSERT_TRUE(g->resize(8));
    set_number(*g, 77);
    ASSERT_TRUE(g->resize_for_overwrite(100, 5000));
    EXPECT_EQ(number(*g), 77u);
    const std::byte* const place = g->bytes().data();
    ASSERT_TRUE(g->resize_for_overwrite(5000));
    EXPECT_EQ(g->bytes().data(), place);
    EXPECT_EQ(number(*g), 77u);
    ASSERT_TRUE(g->resize(8));
    ASSERT_TRUE(g->put());
    EXPECT_EQ(number(*s[1].get(1)), 77u);
    auto fixed = c.open("fixed", counters())[0].grab(1);
    EXPECT_EQ(fixed->resize_for_overwrite(9).error().code, Errc::invalid_argument);
}

TEST(Verbs, lengths_and_names_are_known_where_objects_are) {
    Cluster c(2);
    auto s = c.open("s", texts());
    const ObjectId id(5, 1), other(6, 1);
    EXPECT_FALSE(s[0].length_here(id));
    ASSERT_TRUE(s[0].grab(id)->resize(300));
    EXPECT_EQ(s[0].length_here(id), 300u);
    EXPECT_FALSE(s[1].length_here(id));
    (void)*s[1].get(id);
    EXPECT_EQ(s[1].length_here(id), 300u);
    {
        auto held = s[1].grab(id);
        EXPECT_FALSE(s[1].length_here(id)) << "it is being written";
        EXPECT_FALSE(s[0].length_here(id));
    }
    ASSERT_TRUE(s[0].grab(other)->resize(1));
    EXPECT_EQ(s[1].known_of(5), std::vector{id});
    EXPECT_EQ(s[1].known_of(7), std::vector<ObjectId>());
}

TEST(Verbs, ids_have_128_bits) {
    Cluster c(2);
    auto s = c.open("s", counters());
    for (std::uint64_t hi = 0; hi < 8; ++hi) {
        auto g = s[hi % 2].grab({hi, 5});
        set_number(*g, hi + 40);
    }
    for (std::uint64_t hi = 0; hi < 8; ++hi) EXPECT_EQ(number(*s[1].get({hi, 5})), hi + 40);
}

TEST(Verbs, find_tells_what_is_held_locally) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    EXPECT_EQ(s[1].find(3), Access::none);
    (void)s[1].get(3)->put();
    EXPECT_EQ(s[1].find(3), Access::read);
    (void)s[1].grab(3)->put();
    EXPECT_EQ(s[1].find(3), Access::write);
    EXPECT_EQ(s[0].find(3), Access::none);
}

TEST(Verbs, upgrade_keeps_the_value_and_says_when_it_changed) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    set_number(*s[0].grab(1), 7);
    auto a = s[1].get(1);
    auto changed = a->upgrade();
    ASSERT_TRUE(changed.has_value());
    EXPECT_FALSE(*changed);
    EXPECT_EQ(a->access(), Access::write);
    EXPECT_EQ(number(*a), 7u);
    set_number(*a, 8);
    (void)a->put();
    EXPECT_EQ(number(*s[0].get(1)), 8u);
}

TEST(Verbs, upgrade_reports_a_change_made_in_between) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    auto a = s[1].get(1);
    std::thread writer([&] {
        auto g = s[0].grab(1);  // waits for the reader
        set_number(*g, 9);
    });
    // The writer is queued before the upgrade, so it goes first.
    while (!c[1].inspect(s[1].id(), 1).in_transition) std::this_thread::yield();
    auto changed = a->upgrade();
    writer.join();
    ASSERT_TRUE(changed.has_value());
    EXPECT_TRUE(*changed);
    EXPECT_EQ(number(*a), 9u);
}

TEST(Verbs, grab_new_starts_from_zero_without_the_old_bytes) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    set_number(*s[0].grab(1), 7);
    const auto before = s[1].stats().bytes_in;
    auto g = s[1].grab_new(1);
    EXPECT_EQ(number(*g), 0u);
    EXPECT_EQ(s[1].stats().bytes_in, before);
    (void)g->put();
    EXPECT_EQ(number(*s[1].grab_new(1)), 0u);
}

TEST(Verbs, try_grab_does_not_wait_for_a_holder) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    auto g = s[0].grab(1);
    std::thread other([&] {
        auto t = s[0].try_grab(1);
        ASSERT_FALSE(t.has_value());
        EXPECT_EQ(t.error().code, Errc::would_block);
        auto u = s[1].try_grab(1);
        ASSERT_FALSE(u.has_value());
        EXPECT_EQ(u.error().code, Errc::would_block);
    });
    other.join();
    (void)g->put();
    // The earlier request may still move the ownership; nobody holds it, so this succeeds.
    for (int i = 0; i < 100; ++i)
        if (s[0].try_grab(1)) return;
    FAIL() << "try_grab of a free object never succeeded";
}

TEST(Verbs, a_second_get_succeeds_while_another_node_waits) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    auto a = s[0].get(1);
    std::thread writer([&] { set_number(*s[1].grab(1), 5); });
    while (!c[0].inspect(s[0].id(), 1).in_transition) std::this_thread::yield();
    auto b = s[0].get(1);
    ASSERT_TRUE(b.has_value());
    EXPECT_EQ(number(*b), 0u);
    (void)a->put();
    (void)b->put();
    writer.join();
    EXPECT_EQ(number(*s[0].get(1)), 5u);
}

TEST(Verbs, guards_taken_in_descending_order_are_refused_by_name) {
    Cluster c(1);
    auto s = c.open("s", counters());
    auto a = s[0].get(7);
    auto b = s[0].get(3);
    ASSERT_FALSE(b.has_value());
    EXPECT_EQ(b.error().code, Errc::deadlock);
    EXPECT_NE(b.error().text.find("object 3"), std::string::npos);
    EXPECT_NE(b.error().text.find("object 7"), std::string::npos);
    EXPECT_TRUE(s[0].get(8).has_value());
    EXPECT_TRUE(s[0].try_grab(2).has_value());
}

TEST(VerbsDeathTest, grab_while_holding_get_names_upgrade) {
    testing::GTEST_FLAG(death_test_style) = "threadsafe";
    EXPECT_DEATH(
        {
            Cluster c(1);
            auto s = c.open("s", counters());
            auto a = s[0].get(7);
            auto b = s[0].grab(7);
        },
        "upgrade");
}

TEST(Verbs, remove_makes_the_object_new_again) {
    Cluster c(3);
    auto s = c.open("s", counters(0, "node:0"));
    for (int remover = 0; remover < 3; ++remover) {
        set_number(*s[1].grab(4), 11);
        EXPECT_EQ(number(*s[2].get(4)), 11u);
        auto removed = s[remover].remove(4);
        ASSERT_TRUE(removed.has_value()) << removed.error().to_string();
        EXPECT_EQ(number(*s[(remover + 1) % 3].get(4)), 0u);
    }
}

TEST(Verbs, flush_sends_the_owner_home) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    set_number(*s[1].grab(4), 11);
    ASSERT_TRUE(s[1].flush(4).has_value());
    ASSERT_TRUE(s[1].sync().has_value());
    EXPECT_EQ(s[1].find(4), Access::none);
    EXPECT_EQ(s[0].find(4), Access::write);
    EXPECT_EQ(number(*s[0].get(4)), 11u);
    EXPECT_EQ(s[1].stats().evictions, 1u);
}

TEST(Verbs, flush_of_a_held_object_is_refused) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    auto g = s[1].grab(4);
    auto f = s[1].flush(4);
    ASSERT_FALSE(f.has_value());
    EXPECT_EQ(f.error().code, Errc::would_block);
}

TEST(Verbs, prefetch_brings_a_copy) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    set_number(*s[0].grab(4), 3);
    ASSERT_TRUE(s[1].prefetch(4).has_value());
    while (s[1].find(4) == Access::none) std::this_thread::yield();
    EXPECT_EQ(number(*s[1].get(4)), 3u);
    EXPECT_EQ(s[1].stats().hits, 1u);
}

TEST(Verbs, fetch_add_counts_from_every_node) {
    Cluster c(3);
    auto s = c.open("s", counters());
    c.run([&](int i) {
        for (int k = 0; k < 300; ++k) ASSERT_TRUE(s[i].fetch_add(k % 7, 1).has_value());
    });
    std::uint64_t sum = 0;
    for (std::uint64_t k = 0; k < 7; ++k) sum += number(*s[0].get(k));
    EXPECT_EQ(sum, 900u);
}

TEST(Verbs, fetch_add_recalls_an_object_that_is_owned_elsewhere) {
    Cluster c(3);
    auto s = c.open("s", counters(0, "node:0"));
    set_number(*s[1].grab(5), 40);
    auto r = s[2].fetch_add(5, 2);
    ASSERT_TRUE(r.has_value());
    EXPECT_EQ(*r, 40);
    EXPECT_EQ(number(*s[1].get(5)), 42u);
    EXPECT_EQ(s[0].stats().recalls, 1u);
}

TEST(Verbs, atomics_read_the_bytes_as_their_argument_says) {
    Cluster c(3);
    auto s = c.open("s", counters(0, "node:0"));
    for (int i = 0; i < 3; ++i) {   // at home, and from elsewhere
        const std::uint64_t id = 10 + i;
        EXPECT_EQ(s[i].fetch_min(id, -5).value(), 0);
        EXPECT_EQ(s[i].fetch_max(id, -7).value(), -5);
        EXPECT_EQ(s[i].fetch_max(id, ~0ull).value(), static_cast<std::uint64_t>(-5));
        EXPECT_EQ(s[i].fetch_min(id, 3u).value(), ~0ull);
        EXPECT_EQ(s[i].exchange(id, 2.5).value(), std::bit_cast<double>(std::uint64_t{3}));
        EXPECT_EQ(s[i].fetch_add(id, 0.25).value(), 2.5);
        EXPECT_EQ(s[i].fetch_min(id, -1.0).value(), 2.75);
        EXPECT_EQ(s[i].fetch_max(id, std::numeric_limits<double>::quiet_NaN()).value(), -1.0);
        EXPECT_EQ(s[i].exchange(id, INT64_MAX).value(), std::bit_cast<std::int64_t>(-1.0));
        EXPECT_EQ(s[i].fetch_add(id, 1).value(), INT64_MAX);
        EXPECT_EQ(s[i].fetch_add(id, 0).value(), INT64_MIN) << "integers wrap";
    }
}

TEST(Verbs, compare_exchange_stores_only_where_it_finds_what_it_expects) {
    Cluster c(3);
    auto raw = c.open("s", counters(0, "node:0"));
    for (int i = 0; i < 3; ++i) {
        kddm::Set<std::uint64_t> s(raw[i]);
        const std::uint64_t id = 10 + i;
        std::uint64_t expected = 7;
        EXPECT_FALSE(s.compare_exchange(id, expected, 9));
        EXPECT_EQ(expected, 0u);
        EXPECT_TRUE(s.compare_exchange(id, expected, 9));
        EXPECT_EQ(*s.get(id), 9u);
        auto held = s.grab(id);
        expected = 9;
        EXPECT_TRUE(s.compare_exchange(id, expected, 11)) << "in place";
        EXPECT_EQ(*held, 11u);
    }
}

TEST(Verbs, a_lock_made_of_compare_exchange_excludes) {
    Cluster c(3);
    auto raw = c.open("s", counters(0, "node:1"));
    c.run([&](int i) {
        kddm::Set<std::uint64_t> s(raw[i]);
        const std::uint64_t me = static_cast<std::uint64_t>(i) + 1;
        for (int k = 0; k < 100; ++k) {
            for (std::uint64_t free = 0; !s.compare_exchange(0, free, me); free = 0)
                std::this_thread::yield();
            const std::uint64_t before = *s.get(1);
            *s.grab(1) = before + 1;
            EXPECT_EQ(s.exchange(0, std::uint64_t{0}), me);
        }
    });
    EXPECT_EQ(number(*raw[0].get(1)), 300u);
}

TEST(Verbs, fetch_add_outside_the_object_is_refused) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    for (int i = 0; i < 2; ++i) {
        EXPECT_EQ(s[i].fetch_add(5, 2, 8).error().code, Errc::invalid_argument);
        EXPECT_EQ(s[i].fetch_add(5, 2, 4).error().code, Errc::invalid_argument);
    }
}

TEST(Verbs, home_coherence_leaves_nothing_behind) {
    Cluster c(3);
    auto o = counters(0, "node:0");
    o.coherence = kddm::Coherence::home;
    auto s = c.open("s", o);
    for (std::uint64_t k = 0; k < 30; ++k) {
        auto g = s[1 + k % 2].grab(3);
        set_number(*g, number(*g) + 1);
    }
    ASSERT_TRUE(s[1].sync().has_value());
    ASSERT_TRUE(s[2].sync().has_value());
    EXPECT_EQ(s[1].find(3), Access::none);
    EXPECT_EQ(s[2].find(3), Access::none);
    EXPECT_EQ(number(*s[2].get(3)), 30u);
    EXPECT_EQ(s[2].find(3), Access::none);
    EXPECT_EQ(s[1].fetch_add(3, 1).value(), 30);
    EXPECT_EQ(s[0].stats().recalls, 0u);
}

TEST(Verbs, variable_objects_are_born_empty_and_resize) {
    Cluster c(2);
    kddm::SetOptions o;
    o.kind = kddm::ObjectKind::variable;
    o.placement = "node:0";
    auto s = c.open("s", o);
    EXPECT_EQ(s[1].get(1)->bytes().size(), 0u);
    for (const std::size_t size : {1u, 100u, 5000u, 100000u, 3u}) {
        {
            auto g = s[1].grab(1);
            ASSERT_TRUE(g->resize(size).has_value());
            std::memset(g->writable().data(), static_cast<int>(size % 251), size);
        }
        auto r = s[0].get(1);
        ASSERT_EQ(r->bytes().size(), size);
        for (auto b : r->bytes()) ASSERT_EQ(static_cast<unsigned>(b), size % 251);
    }
    auto g = s[0].grab(1);
    EXPECT_EQ(g->resize(std::size_t{kddm::max_object_bytes} + 1).error().code, Errc::too_large);
}

TEST(Verbs, grab_new_comes_home_though_the_homes_memory_is_full) {
    LoopNodes::Options options;
    ASSERT_TRUE(options.config.set("arena.limit_bytes", "2M", "test").has_value());
    Cluster c(2, kddm::Plant::none, std::move(options));
    kddm::SetOptions large;
    large.object_bytes = 100'000;
    large.placement = "node:0";
    auto s = c.open("s", large);
    { auto away = s[1].grab(0); ASSERT_TRUE(away.has_value()); }
    std::uint64_t next = 1;
    while (auto g = s[0].grab(next)) ASSERT_LT(++next, 100u) << "there is no limit";
    auto back = s[0].grab_new(0);
    ASSERT_TRUE(back.has_value()) << back.error().to_string();
    EXPECT_EQ(back->bytes().size(), 100'000u);
    EXPECT_EQ(number(*back), 0u);
}

TEST(Verbs, objects_up_to_the_limit_travel_whole) {
    Cluster c(2);
    kddm::SetOptions o;
    o.object_bytes = kddm::max_object_bytes;
    o.placement = "node:0";
    auto s = c.open("s", o);
    {
        auto g = s[1].grab(1);
        auto w = g->writable();
        for (std::size_t i = 0; i < w.size(); i += 4099) w[i] = static_cast<std::byte>(i % 253);
    }
    auto r = s[0].get(1);
    for (std::size_t i = 0; i < r->bytes().size(); i += 4099)
        ASSERT_EQ(r->bytes()[i], static_cast<std::byte>(i % 253));
}

TEST(Verbs, ids_out_of_range_are_refused) {
    Cluster c(1);
    auto s = c.open("s", counters(10));
    EXPECT_TRUE(s[0].get(9).has_value());
    for (const ObjectId bad : {ObjectId(10), ObjectId(1, 0)}) {
        EXPECT_EQ(s[0].get(bad).error().code, Errc::invalid_argument);
        EXPECT_EQ(s[0].fetch_add(bad, 1).error().code, Errc::invalid_argument);
        EXPECT_EQ(s[0].remove(bad).error().code, Errc::invalid_argument);
    }
}

TEST(Verbs, the_release_hook_sees_the_bytes_before_they_leave) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    std::atomic<std::uint64_t> seen{0};
    s[1].on_release([&](ObjectId id, std::span<const std::byte> bytes) {
        std::uint64_t value;
        std::memcpy(&value, bytes.data(), 8);
        seen += value * 1000 + id.lo;
    });
    set_number(*s[1].grab(4), 7);
    set_number(*s[0].grab(4), 8);      // yield
    EXPECT_EQ(seen.load(), 7004u);
    (void)s[1].get(4)->put();
    set_number(*s[0].grab(4), 9);      // invalidate
    EXPECT_EQ(seen.load(), 15008u);
    set_number(*s[1].grab(4), 1);
    ASSERT_TRUE(s[1].flush(4).has_value());
    while (s[0].find(4) == Access::none) std::this_thread::yield();
    EXPECT_EQ(seen.load(), 16012u);
}

TEST(Verbs, a_release_hook_that_throws_is_told_of_and_the_object_moves_on) {
    Cluster c(2);
    c.expect_errors = true;
    auto s = c.open("s", counters(0, "node:0"));
    s[1].on_release([](ObjectId id, std::span<const std::byte>) {
        if (id.lo == 4) throw std::runtime_error("no room");
        throw 5;
    });
    for (std::uint64_t id : {4u, 5u}) {
        set_number(*s[1].grab(id), 7);
        EXPECT_EQ(number(*s[0].get(id)), 7u);
        EXPECT_EQ(number(*s[0].grab(id)), 7u);
    }
    EXPECT_TRUE(c.nodes().log().contains("threw: no room"));
    EXPECT_TRUE(c.nodes().log().contains("hook of set 's' threw"));
}

TEST(Verbs, sync_waits_for_a_flush_that_a_release_hook_delays) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    std::atomic<int> hooks{0};
    s[1].on_release([&](ObjectId, std::span<const std::byte>) {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        ++hooks;
    });
    set_number(*s[1].grab(4), 7);
    ASSERT_TRUE(s[1].flush(4).has_value());
    ASSERT_TRUE(s[1].sync().has_value());
    EXPECT_EQ(hooks.load(), 1);
    EXPECT_EQ(s[0].find(4), Access::write) << "it has come home";
}

TEST(Verbs, a_failure_nobody_saw_is_returned_by_the_next_verb_once) {
    Cluster c(1);
    auto s = c.open("s", counters());
    s[0].grab(1)->fail(Failure{Errc::serialization, 0, no_node, "cannot be encoded"});
    auto next = s[0].get(1);
    ASSERT_FALSE(next.has_value());
    EXPECT_EQ(next.error().code, Errc::serialization);
    EXPECT_TRUE(s[0].get(1).has_value());
    s[0].grab(1)->fail(Failure{Errc::serialization, 0, no_node, "cannot be encoded"});
    EXPECT_EQ(s[0].sync().error().code, Errc::serialization);
}

}  // namespace
}  // namespace ssi::test
