// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <barrier>
#include <set>

#include "cluster.hpp"

namespace ssi::test {
namespace {

TEST(Sets, the_same_name_is_the_same_set_on_every_node) {
    Cluster c(3);
    auto s = c.open("table", counters());
    EXPECT_EQ(s[0].id(), s[1].id());
    EXPECT_EQ(s[0].id(), s[2].id());
    auto t = c.open("other", counters());
    EXPECT_LT(s[0].id(), t[0].id());
}

TEST(Sets, other_options_are_a_mismatch) {
    Cluster c(2);
    c.open("table", counters());
    for (int i = 0; i < 2; ++i) {
        auto wrong = c[i].create_or_open("table", counters(5));
        ASSERT_FALSE(wrong.has_value());
        EXPECT_EQ(wrong.error().code, Errc::mismatch);
        EXPECT_NE(wrong.error().text.find("table"), std::string::npos);
    }
}

TEST(Sets, open_finds_options_and_misses_by_name) {
    Cluster c(2);
    EXPECT_EQ(c[1].open("table").error().code, Errc::not_found);
    ASSERT_TRUE(c[0].create_or_open("table", counters(77)).has_value());
    auto s = c[1].open("table");
    ASSERT_TRUE(s.has_value());
    EXPECT_EQ(s->options().count, 77u);
}

TEST(Sets, bad_options_are_named) {
    Cluster c(1);
    kddm::SetOptions o;
    EXPECT_EQ(c[0].create_or_open("a", o).error().code, Errc::invalid_argument);
    o.object_bytes = kddm::max_object_bytes + 1;
    EXPECT_EQ(c[0].create_or_open("a", o).error().code, Errc::too_large);
    EXPECT_EQ(c[0].create_or_open("", counters()).error().code, Errc::invalid_argument);
    EXPECT_EQ(c[0].create_or_open(std::string(256, 'x'), counters()).error().code,
              Errc::invalid_argument);
    for (const char* p : {"node:9", "node:x", "blocked", "nowhere"})
        EXPECT_EQ(c[0].create_or_open("a", counters(0, p)).error().code, Errc::invalid_argument);
}

TEST(Sets, a_home_that_never_opened_the_set_learns_it_from_the_first_request) {
    Cluster c(3);
    auto s = c[1].create_or_open("private", counters(0, "node:2"));
    ASSERT_TRUE(s.has_value());
    set_number(*s->grab(5), 6);
    EXPECT_EQ(s->fetch_add(6, 3).value(), 0);
    EXPECT_EQ(number(*s->get(5)), 6u);
}

TEST(Sets, a_first_request_that_arrives_while_its_home_opens_the_set_is_served) {
    LoopNodes::Options patient;   // try_grab gives up only when there is no answer at all
    ASSERT_TRUE(patient.config.set("kddm.try_timeout_us", "10000000", "test").has_value());
    Cluster c(2, kddm::Plant::none, std::move(patient));
    constexpr int rounds = 2000;
    for (int home : {0, 1}) {
        const auto options = counters(0, home ? "node:1" : "node:0");
        std::barrier together(2);
        c.run([&](int i) {
            for (int round = 0; round < rounds; ++round) {
                const std::string name = fmt::format("{}.{}", home, round);
                together.arrive_and_wait();
                auto set = c[i].create_or_open(name, options);
                ASSERT_TRUE(set.has_value()) << set.error().to_string();
                if (i != home) {
                    EXPECT_TRUE(set->try_grab(1).has_value()) << name << ": the request was lost";
                }
            }
        });
    }
}

TEST(Sets, placement_decides_the_home) {
    Cluster c(3);
    auto blocked = c.open("blocked", counters(9, "blocked"));
    for (std::uint64_t i = 0; i < 9; ++i) EXPECT_EQ(blocked[0].home(i).value, i / 3);
    auto fixed = c.open("fixed", counters(9, "node:2"));
    EXPECT_EQ(fixed[1].home(4).value, 2u);
    auto hashed = c.open("hashed", counters());
    std::set<std::uint32_t> homes;
    for (std::uint64_t i = 0; i < 100; ++i) {
        EXPECT_EQ(hashed[0].home(i), hashed[1].home(i));
        homes.insert(hashed[0].home(i).value);
    }
    EXPECT_EQ(homes.size(), 3u);
    for (int i = 0; i < 3; ++i)
        c[i].register_placement("odd", [](SetId, ObjectId id, std::uint32_t) {
            return SlotId(static_cast<std::uint32_t>(id.lo % 2));
        });
    auto odd = c.open("odd", counters(0, "odd"));
    EXPECT_EQ(odd[2].home(6), odd[0].home(8));
    EXPECT_NE(odd[2].home(6), odd[0].home(7));
}

TEST(Sets, a_destroyed_set_is_gone_everywhere_and_its_name_is_free) {
    Cluster c(3);
    for (int destroyer = 0; destroyer < 3; ++destroyer) {
        auto s = c.open("table", counters());
        for (std::uint64_t i = 0; i < 10; ++i) set_number(*s[i % 3].grab(i), 9);
        auto gone = c[destroyer].destroy("table");
        ASSERT_TRUE(gone.has_value()) << gone.error().to_string();
        for (int i = 0; i < 3; ++i) EXPECT_EQ(s[i].get(1).error().code, Errc::not_found);
        EXPECT_EQ(c[destroyer].destroy("table").error().code, Errc::not_found);
        auto again = c.open("table", counters());
        EXPECT_NE(again[0].id(), s[0].id());
        EXPECT_EQ(number(*again[2].get(1)), 0u);
    }
}

TEST(Sets, a_destroyed_set_stays_gone_where_only_a_late_request_tells_of_it) {
    Cluster c(3);
    const auto options = counters(0, "node:2");
    auto old = c[1].create_or_open("x", options);
    ASSERT_TRUE(old.has_value());
    ASSERT_TRUE(c[1].destroy("x").has_value());
    c[1].inject_stale_request(old->id(), 7);   // node 2 asks node 1 about the set
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    auto there = c[1].create_or_open("x", options);
    auto here = c[2].create_or_open("x", options);
    ASSERT_TRUE(there.has_value() && here.has_value());
    EXPECT_EQ(here->id(), there->id());
    EXPECT_NE(here->id(), old->id());
    set_number(*there->grab(7), 5);
    EXPECT_EQ(number(*here->get(7)), 5u);
}

TEST(Sets, statistics_count_what_happened) {
    Cluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    for (int k = 0; k < 5; ++k) (void)s[1].get(1)->put();
    auto stats = s[1].stats();
    EXPECT_EQ(stats.gets, 5u);
    EXPECT_EQ(stats.hits, 4u);
    EXPECT_EQ(stats.remote_gets, 1u);
    EXPECT_EQ(stats.bytes_in, 8u);
    (void)s[0].grab(1)->put();
    EXPECT_EQ(s[1].stats().invalidations, 1u);
    EXPECT_EQ(s[1].stats().objects, 0u);
    c[1].publish_stats();
    EXPECT_EQ(c.nodes().stats(1).counter("ssi_kddm_gets_total", "set=\"s\"").value(), 5u);
}

}  // namespace
}  // namespace ssi::test
