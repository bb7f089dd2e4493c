// SPDX-License-Identifier: BSD-3-Clause
// The gate of a cut, and the look for rest.
#include <array>
#include <atomic>
#include <functional>

#include "cut_cluster.hpp"
#include "ssi/kddm/many.hpp"
#include "ssi/kddm/updates.hpp"

namespace ssi::test {
namespace {

using kddm::Access;
using kddm::CriticalSection;
using kddm::RawSet;

void pause_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

struct Verb {
    const char* name;
    std::function<bool(RawSet&)> call;   // of a node where object 1 is neither at home nor owned
};

const std::array one{ObjectId(1)};

const Verb verbs[] = {
    {"get", [](RawSet& s) { return s.get(1).has_value(); }},
    {"get of what is here", [](RawSet& s) { return s.get(2).has_value(); }},
    {"grab", [](RawSet& s) { return s.grab(1).has_value(); }},
    {"grab of what is here", [](RawSet& s) { return s.grab(2).has_value(); }},
    {"grab_new", [](RawSet& s) { return s.grab_new(1).has_value(); }},
    {"try_grab", [](RawSet& s) { return s.try_grab(2).has_value(); }},
    {"get_many", [](RawSet& s) { return s.get_many(one).has_value(); }},
    {"grab_many", [](RawSet& s) { return s.grab_many(one).has_value(); }},
    {"fetch_add", [](RawSet& s) { return s.fetch_add(1, 1).has_value(); }},
    {"remove", [](RawSet& s) { return s.remove(1).has_value(); }},
    {"prefetch", [](RawSet& s) { return s.prefetch(1).has_value(); }},
    {"prefetch_many", [](RawSet& s) { return s.prefetch_many(one).has_value(); }},
    {"flush", [](RawSet& s) { return s.flush(2).has_value(); }},
    {"migrate", [](RawSet& s) { return s.migrate(one, NodeId(1)).has_value(); }},
    {"get_async", [](RawSet& s) { return s.get_async(1).result().has_value(); }},
    {"atomic_async",
     [](RawSet& s) {
         return s.atomic_async(1, kddm::make_atomic(kddm::AtomicOp::add, std::uint64_t{1}), 0)
             .result().has_value();
     }},
    {"update_many",
     [](RawSet& s) {
         const kddm::Update u{1, 1, 0};
         return s.update_many(kddm::AtomicOp::add, kddm::NumberKind::uint64, std::span(&u, 1))
             .has_value();
     }},
    {"sync", [](RawSet& s) { return s.sync().has_value(); }},
};

TEST(CutGate, stops_every_verb_of_a_task_that_holds_nothing) {
    CutCluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    for (const Verb& verb : verbs) {
        set_number(*s[0].grab(1), 1);
        set_number(*s[1].grab(2), 1);
        c.close_gates();
        std::atomic<bool> returned{false}, good{false};
        std::thread task([&] {
            good = verb.call(s[1]);
            returned = true;
        });
        pause_ms(20);
        EXPECT_FALSE(returned) << verb.name << " did not wait";
        EXPECT_TRUE(c.come_to_rest()) << verb.name << " is in the way";
        c.abandon();
        task.join();
        EXPECT_TRUE(good) << verb.name;
    }
}

TEST(CutGate, lets_a_task_pass_that_holds_a_guard_until_it_holds_none) {
    CutCluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    auto held = s[1].grab(1);
    c.close_gates();
    const auto look = c.look();
    EXPECT_FALSE(look[1].quiet);
    ASSERT_FALSE(look[1].in_the_way.empty());
    EXPECT_NE(look[1].in_the_way[0].find("object 1 of set 's' is held (grab) at node 1"),
              std::string::npos) << look[1].in_the_way[0];
    auto more = s[1].grab(2);          // elsewhere
    ASSERT_TRUE(more.has_value());
    EXPECT_TRUE(s[1].fetch_add(3, 1).has_value());
    held->put();
    EXPECT_FALSE(c.come_to_rest(50));
    more->put();
    EXPECT_TRUE(c.come_to_rest());
    std::atomic<bool> returned{false};
    std::thread task([&] {
        EXPECT_TRUE(s[1].grab(2).has_value());
        returned = true;
    });
    pause_ms(20);
    EXPECT_FALSE(returned);
    c.abandon();
    task.join();
}

TEST(CutGate, stops_nobody_at_a_set_that_is_no_part_of_the_cut) {
    CutCluster c(2);
    auto t = c.open("t", counters(), false);
    auto s = c.open("s", counters());
    c.close_gates();
    EXPECT_TRUE(t[0].grab(1).has_value());
    std::atomic<bool> returned{false};
    std::thread task([&] {
        auto other = t[1].grab(1);     // lets nobody pass the gate of another set
        EXPECT_TRUE(s[1].grab(1).has_value());
        returned = true;
    });
    pause_ms(20);
    EXPECT_FALSE(returned);
    EXPECT_TRUE(c.come_to_rest());
    c.abandon();
    task.join();
}

TEST(CutGate, waits_for_critical_sections_and_stops_new_ones) {
    CutCluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    {
        const CriticalSection outer(c[1]);
        const CriticalSection inner(c[1]);
        c.close_gates();
        EXPECT_TRUE(s[1].grab(1).has_value());
        EXPECT_TRUE(s[1].fetch_add(2, 1).has_value());
        EXPECT_FALSE(c.come_to_rest(50));
    }
    EXPECT_TRUE(c.come_to_rest());
    std::atomic<bool> returned{false};
    std::thread task([&] {
        const CriticalSection section(c[1]);
        returned = true;
    });
    pause_ms(20);
    EXPECT_FALSE(returned);
    EXPECT_TRUE(c.come_to_rest());
    c.abandon();
    task.join();
}

// They wait for a holder when the gate closes, and are granted when it lets go: they give it back.
TEST(CutGate, parks_whoever_waits_for_a_holder) {
    CutCluster c(3);
    auto s = c.open("s", counters(0, "node:0"));
    auto held = s[1].grab(1);
    std::atomic<int> returned{0};
    std::vector<std::thread> tasks;
    for (int i = 0; i < 3; ++i) {
        tasks.emplace_back([&, i] {
            EXPECT_TRUE(s[i].get(1).has_value());
            ++returned;
        });
        tasks.emplace_back([&, i] {
            auto guard = s[i].grab(1);
            ASSERT_TRUE(guard.has_value());
            set_number(*guard, number(*guard) + 1);
            ++returned;
        });
    }
    pause_ms(20);
    c.close_gates();
    pause_ms(20);
    set_number(*held, 10);
    held->put();
    EXPECT_TRUE(c.come_to_rest());
    EXPECT_EQ(returned, 0);
    c.abandon();
    for (auto& task : tasks) task.join();
    EXPECT_EQ(number(*s[0].get(1)), 13u);
}

TEST(CutGate, parks_an_upgrade_between_its_halves) {
    CutCluster c(2);
    auto s = c.open("s", counters(0, "node:0"));
    auto shared = s[0].get(1);
    std::atomic<bool> returned{false};
    std::thread task([&] {
        auto guard = s[1].get(1);
        EXPECT_TRUE(guard->upgrade().has_value());   // waits for the other reader
        returned = true;
    });
    pause_ms(20);
    c.close_gates();
    shared->put();
    EXPECT_TRUE(c.come_to_rest());
    EXPECT_FALSE(returned);
    c.abandon();
    task.join();
}

TEST(CutGate, tasks_blocked_in_channels_and_barriers_stop_no_cut) {
    CutCluster c(2);
    auto s = c.open("s", counters());
    auto channel0 = c.hub(0).channel("c", 1, 8), channel1 = c.hub(1).channel("c", 1, 8);
    std::thread receiver([&] { EXPECT_TRUE(kddm::sync::receive(**channel1, 1).has_value()); });
    std::thread meeting([&] {
        EXPECT_TRUE(kddm::sync::arrive_and_wait(**c.hub(1).barrier("b", 2)).has_value());
    });
    pause_ms(20);
    c.close_gates();
    EXPECT_TRUE(c.come_to_rest());
    std::atomic<bool> returned{false};
    std::thread sender([&] {
        const std::array<std::byte, 8> message{};
        EXPECT_TRUE(kddm::sync::send(**channel0, message).has_value());
        returned = true;
    });
    pause_ms(20);
    EXPECT_FALSE(returned);
    EXPECT_TRUE(c.come_to_rest());
    c.abandon();
    sender.join();
    receiver.join();
    EXPECT_TRUE(kddm::sync::arrive_and_wait(**c.hub(0).barrier("b", 2)).has_value());
    meeting.join();
}

// To ask where an object is first touched changes none.
TEST(CutGate, rest_is_not_disturbed_by_who_comes_to_it) {
    CutCluster c(2);
    auto s = c.open("s", counters(1000, "first_touch"));
    c.close_gates();
    ASSERT_TRUE(c.come_to_rest());
    std::vector<std::thread> tasks;
    for (int i = 0; i < 2; ++i)
        tasks.emplace_back([&, i] {
            for (std::uint64_t id = 0; id < 1000; id += 10)
                EXPECT_TRUE(s[i].grab(id).has_value());
        });
    pause_ms(30);
    c.begin();
    c.open_gates();
    for (auto& task : tasks) task.join();
    c.end();
}

TEST(CutGate, refuses_a_second_cut_and_what_makes_no_sense) {
    CutCluster c(1);
    auto s = c.open("s", counters());
    EXPECT_EQ(c.cut(0).begin(1).error().code, Errc::would_block);
    c.close_gates();
    EXPECT_EQ(c.cut(0).close(s).error().code, Errc::would_block);
    EXPECT_EQ(c.cut(0).begin(1).error().code, Errc::would_block);   // nobody has looked
    ASSERT_TRUE(c.come_to_rest());
    EXPECT_EQ(c.cut(0).begin(256).error().code, Errc::invalid_argument);   // the last was none: 0
    c.begin();
    c.open_gates();
    EXPECT_EQ(c.cut(0).close(s).error().code, Errc::would_block);   // it is being read out
    c.end();
    c.close_gates();
    ASSERT_TRUE(c.come_to_rest());
    EXPECT_EQ(c.cut(0).begin(1).error().code, Errc::invalid_argument);
    c.abandon();
    c.abandon();
    EXPECT_FALSE(c.cut(0).next([](const kddm::CutObject&) {}));
}

}  // namespace
}  // namespace ssi::test
