// SPDX-License-Identifier: BSD-3-Clause
// Reading a cut out while the application goes on, and putting it in again.
#include <array>
#include <atomic>
#include <set>

#include "cut_cluster.hpp"
#include "ssi/base/random.hpp"

namespace ssi::test {
namespace {

using kddm::CutObject;
using kddm::RawSet;

kddm::SetOptions of_bytes(std::uint32_t bytes, const char* placement = "hashed") {
    kddm::SetOptions o;
    o.object_bytes = bytes;
    o.placement = placement;
    return o;
}

constexpr std::uint64_t objects = 40;

void fill(std::vector<RawSet>& sets, std::uint64_t base) {
    for (std::uint64_t id = 0; id < objects; ++id)
        set_number(*sets[id % sets.size()].grab(id), base + id);
}

void expect_values(const CutCluster::Values& values, const RawSet& set, std::uint64_t base) {
    for (std::uint64_t id = 0; id < objects; ++id) {
        const auto at = values.find({set.id().value, ObjectId(id)});
        ASSERT_NE(at, values.end()) << "object " << id << " is missing";
        EXPECT_EQ(at->second.number(), base + id);
    }
}

// The parameter: bytes of an object: in its entry, and in blocks.
class CutBytes : public testing::TestWithParam<std::uint32_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, CutBytes, testing::Values(8, 16, 100, 40000));

TEST_P(CutBytes, every_object_is_handed_out_once_as_it_was) {
    CutCluster c(3);
    auto s = c.open("s", of_bytes(GetParam()));
    fill(s, 100);
    EXPECT_EQ(number(*s[0].get(1)), 101u);   // copies are nobody's business
    c.make();
    const auto values = c.read_out();
    EXPECT_EQ(values.size(), objects);
    expect_values(values, s[0], 100);
    c.end();
}

TEST_P(CutBytes, what_changes_leaves_ends_or_begins_afterwards_does_not_matter) {
    CutCluster c(3);
    auto s = c.open("s", of_bytes(GetParam()));
    fill(s, 100);
    c.make();
    for (std::uint64_t id = 0; id < objects; ++id) {
        switch (id % 6) {
            case 0: set_number(*s[id % 3].grab(id), 1); break;         // where it is
            case 1: set_number(*s[(id + 1) % 3].grab(id), 1); break;   // from elsewhere
            case 2: ASSERT_TRUE(s[id % 3].fetch_add(id, 5).has_value()); break;
            case 3: ASSERT_TRUE(s[(id + 1) % 3].remove(id).has_value()); break;
            case 4: ASSERT_TRUE(s[id % 3].flush(id).has_value()); break;
            default: set_number(*s[(id + 2) % 3].grab_new(id), 1); break;
        }
    }
    for (std::uint64_t id = objects; id < 2 * objects; ++id) set_number(*s[0].grab(id), 7);
    const auto values = c.read_out();
    EXPECT_EQ(values.size(), objects) << "new objects are no part of it";
    expect_values(values, s[0], 100);
    c.end();
    EXPECT_EQ(number(*s[0].get(0)), 1u);
    EXPECT_EQ(number(*s[0].get(2)), 107u);
}

TEST(Cut, a_writer_waits_for_its_object_to_be_handed_out_when_there_is_no_room) {
    CutCluster c(2);
    auto s = c.open("s", of_bytes(64, "node:0"));
    for (std::uint64_t id = 0; id < objects; ++id) set_number(*s[0].grab(id), id);
    c.make({.shadow_bytes = 0});
    std::atomic<int> written{0};
    std::vector<std::thread> writers;
    for (std::uint64_t id = 30; id < 33; ++id)
        writers.emplace_back([&, id] {
            set_number(*s[0].grab(id), 1000);
            ++written;
        });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_EQ(written, 0);
    std::set<std::uint64_t> first;
    for (int i = 0; i < 3; ++i)
        ASSERT_TRUE(c.cut(0).next([&](const CutObject& o) { first.insert(o.id.lo); }));
    EXPECT_EQ(first, (std::set<std::uint64_t>{30, 31, 32}));   // those first
    for (auto& writer : writers) writer.join();
    const auto rest = c.read_out();
    EXPECT_EQ(rest.size(), objects - 3);
    c.end();
    EXPECT_EQ(number(*s[1].get(31)), 1000u);
}

TEST(Cut, the_end_lets_writers_go_that_wait) {
    CutCluster c(1);
    auto s = c.open("s", of_bytes(64));
    set_number(*s[0].grab(1), 5);
    c.make({.shadow_bytes = 0});
    std::thread writer([&] { set_number(*s[0].grab(1), 6); });
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    c.end();
    writer.join();
    EXPECT_EQ(number(*s[0].get(1)), 6u);
}

TEST(Cut, can_be_abandoned_at_any_point_and_made_anew) {
    CutCluster c(2);
    auto s = c.open("s", of_bytes(64));
    fill(s, 0);
    for (int step = 0; step < 6; ++step) {
        c.close_gates();
        if (step > 0) {
            ASSERT_TRUE(c.come_to_rest());
        }
        if (step > 1) c.begin();
        if (step > 2) c.open_gates();
        if (step > 3)
            for (std::uint64_t id = 0; id < 10; ++id) set_number(*s[0].grab(id), id);
        if (step > 4) {
            ASSERT_TRUE(c.cut(0).next([](const CutObject&) {}));
        }
        c.abandon();
        fill(s, 1000);   // nobody is stopped any more
        c.make();
        fill(s, 0);
        expect_values(c.read_out(), s[0], 1000);
        c.end();
    }
}

TEST(Cut, two_hundred_and_more_generations_come_around) {
    CutCluster c(1);
    auto s = c.open("s", of_bytes(8));
    auto t = c.open("t", of_bytes(8));
    set_number(*t[0].grab(1), 3);   // never again
    for (std::uint64_t n = 1; n < 600; ++n) {
        set_number(*s[0].grab(1), n);
        c.make();
        set_number(*s[0].grab(1), 0);
        if (n % 3 != 0) {   // else it is abandoned
            const auto values = c.read_out();
            ASSERT_EQ(values.size(), 2u) << n;
            ASSERT_EQ(values.at({s[0].id().value, ObjectId(1)}).number(), n);
        }
        c.end();
    }
}

// Money moves between all nodes; in each of many cuts it is all there.
TEST(Cut, the_money_of_a_bank_is_all_there_in_each_of_many) {
    CutCluster c(2);
    auto s = c.open("s", of_bytes(16));
    auto t = c.open("t", of_bytes(200));
    constexpr std::uint64_t accounts = 8;
    std::atomic<bool> over{false};
    std::vector<std::thread> tasks;
    for (int n = 0; n < 2; ++n)
        for (int k = 0; k < 3; ++k)
            tasks.emplace_back([&, n, k] {
                Random random(static_cast<std::uint64_t>(n * 10 + k));
                while (!over) {
                    auto from = s[n].grab(random.below(accounts));
                    auto to = t[n].grab(random.below(accounts));
                    ASSERT_TRUE(from && to);
                    set_number(*from, number(*from) - 1);
                    set_number(*to, number(*to) + 1);
                    to->put();
                    from->put();
                    const kddm::CriticalSection section(c[n]);
                    ASSERT_TRUE(s[n].fetch_add(random.below(accounts), 3).has_value());
                    ASSERT_TRUE(t[n].fetch_add(random.below(accounts), -3).has_value());
                }
            });
    for (int i = 0; i < 100 && !testing::Test::HasFailure(); ++i) {
        c.make({.shadow_bytes = i % 3 == 0 ? 300u : UINT64_MAX});
        std::uint64_t sum = 0;
        for (const auto& [name, value] : c.read_out()) sum += value.number();
        EXPECT_EQ(sum, 0u) << "cut " << i;
        c.end();
    }
    over = true;
    for (auto& task : tasks) task.join();
}

TEST(Cut, is_handed_out_by_several_threads_at_once) {
    CutCluster c(1);
    auto s = c.open("s", of_bytes(64));
    for (std::uint64_t id = 0; id < 2000; ++id) set_number(*s[0].grab(id), id);
    c.make();
    std::vector<std::atomic<int>> seen(2000);
    std::vector<std::thread> tasks;
    for (int k = 0; k < 3; ++k)
        tasks.emplace_back([&] {
            while (c.cut(0).next([&](const CutObject& o) { ++seen[o.id.lo]; })) {
            }
        });
    // New objects make the index grow under the walk.
    for (std::uint64_t id = 2000; id < 6000; ++id) set_number(*s[0].grab(id), id);
    for (auto& task : tasks) task.join();
    for (const auto& times : seen) ASSERT_EQ(times, 1);
    c.end();
}

TEST(Cut, goes_on_at_the_living_when_a_node_dies_in_it) {
    CutCluster c(3);
    c.expect_errors = true;
    auto s = c.open("s", of_bytes(64, "node:0"));
    for (std::uint64_t id = 0; id < 9; ++id) set_number(*s[0].grab(id), id);
    auto held = s[2].grab(8);
    c.close_gates();
    std::thread task([&] { EXPECT_TRUE(s[1].grab(1).has_value()); });
    EXPECT_FALSE(c.come_to_rest(30));
    for (int i = 0; i < 2; ++i) c.nodes()[i].declare_lost(NodeId(2), "the test says so");
    c.cut(0).abandon();
    c.cut(1).abandon();
    task.join();
    c.cut(2).abandon();
    held->put();
}

// -- restart

TEST(Restore, brings_back_values_and_versions_at_any_number_of_nodes) {
    for (int before = 1; before <= 3; ++before)
        for (int after = 1; after <= 3; ++after) {
            kddm::SetOptions variable;
            variable.kind = kddm::ObjectKind::variable;
            CutCluster::Values small, large, texts;
            {
                CutCluster c(before);
                auto s = c.open("s", of_bytes(8)), l = c.open("l", of_bytes(5000));
                auto v = c.open("v", variable);
                fill(s, 10);
                fill(l, 20);
                for (std::uint64_t id = 0; id < objects; ++id)
                    ASSERT_TRUE(v[0].grab(id)->resize(id).has_value());
                c.make();
                for (const auto& [name, value] : c.read_out())
                    (name.first == s[0].id().value   ? small
                     : name.first == l[0].id().value ? large
                                                     : texts)[name] = value;
                c.end();
            }
            CutCluster c(after);
            auto s = c.open("s", of_bytes(8)), l = c.open("l", of_bytes(5000));
            auto v = c.open("v", variable);
            for (auto& [values, sets] : {std::pair{&small, &s}, {&large, &l}, {&texts, &v}})
                for (const auto& [name, value] : *values) {
                    const auto home = (*sets)[0].home(name.second).value;
                    auto restored = kddm::Cut::restore((*sets)[home], name.second, value.version,
                                                       value.bytes);
                    ASSERT_TRUE(restored.has_value()) << restored.error().to_string();
                }
            for (std::uint64_t id = 0; id < objects; ++id) {
                EXPECT_EQ(number(*s[id % after].get(id)), 10 + id);
                EXPECT_EQ(number(*l[id % after].get(id)), 20 + id);
                EXPECT_EQ(v[id % after].get(id)->bytes().size(), id);
                EXPECT_GE(s[0].get(id)->version(), small.at({s[0].id().value, id}).version);
            }
        }
}

TEST(Restore, refuses_what_is_in_use_elsewhere_at_home_or_too_long) {
    CutCluster c(2);
    auto s = c.open("s", of_bytes(8, "node:0"));
    const std::array<std::byte, 8> value{};
    set_number(*s[1].grab(1), 1);
    EXPECT_EQ(kddm::Cut::restore(s[0], 1, 1, value).error().code, Errc::exists);
    EXPECT_EQ(kddm::Cut::restore(s[1], 2, 1, value).error().code, Errc::invalid_argument);
    EXPECT_EQ(kddm::Cut::restore(s[0], 2, 1, std::span(value).first(4)).error().code,
              Errc::invalid_argument);
    EXPECT_TRUE(kddm::Cut::restore(s[0], 2, 1, value).has_value());
    EXPECT_EQ(kddm::Cut::restore(s[0], 2, 1, value).error().code, Errc::exists);
}

TEST(Restore, delivers_the_messages_of_a_channel_once_at_any_number_of_nodes) {
    std::vector<kddm::CutChannel> kept;
    const auto message = [](int n) { return std::vector<std::byte>(8, std::byte(n)); };
    {
        CutCluster c(3);
        auto from = c.hub(1).channel("c", 10, 8), to = c.hub(2).channel("c", 10, 8);
        for (int n = 0; n < 9; ++n)
            ASSERT_TRUE(kddm::sync::send(**from, message(n)).has_value());
        ASSERT_EQ(kddm::sync::receive(**to, 2)->size(), 2u);
        c.close_gates();
        ASSERT_TRUE(c.come_to_rest());
        c.begin();
        c.open_gates();
        ASSERT_EQ(kddm::sync::receive(**to, 3)->size(), 3u);   // after the cut
        for (int i = 0; i < 3; ++i)
            for (const kddm::CutChannel& channel : c.cut(i).channels()) kept.push_back(channel);
        c.end();
    }
    ASSERT_EQ(kept.size(), 1u);
    EXPECT_EQ(kept[0].messages, 7u);
    EXPECT_EQ(kept[0].id, kddm::Cut::channel_id("c"));
    for (int after = 1; after <= 3; ++after) {
        CutCluster c(after);
        const auto home = kddm::Cut::home_of(c.hub(0), kept[0]);
        if (after > 1)
            EXPECT_EQ(kddm::Cut::restore(c.hub((static_cast<int>(home.value) + 1) % after),
                                         kept[0]).error().code, Errc::invalid_argument);
        ASSERT_TRUE(kddm::Cut::restore(c.hub(static_cast<int>(home.value)), kept[0]).has_value());
        auto to = c.hub(after - 1).channel("c", 10, 8);
        ASSERT_TRUE(to.has_value()) << to.error().to_string();
        for (int n = 2; n < 9; ++n)
            EXPECT_EQ(kddm::sync::receive(**to, 1)->front(), message(n));
        EXPECT_EQ(kddm::sync::receive(**to, 1, 0).error().code, Errc::would_block);
    }
}

}  // namespace
}  // namespace ssi::test
