// SPDX-License-Identifier: BSD-3-Clause
// One-sided reads between engines of one process: out of each other's memory at its own address,
// out of a mapping of it as between processes, and by messages.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <numeric>
#include <span>
#include <thread>
#include <vector>

#include "cluster.hpp"
#include "ssi/kddm/set.hpp"

namespace ssi::test {
namespace {

using kddm::RawSet;
using kddm::SetOptions;

enum class Way { direct, mapped, rma, message };

LoopNodes::Options options_for(Way way) {
    LoopNodes::Options options;
    if (way == Way::message)
        value_or_throw(options.config.set("net.same_host", "off", "test"));
    if (way == Way::rma) value_or_throw(options.config.set("kddm.read_way", "rma", "test"));
    if (way == Way::mapped)
        options.edit_member = [](node::Member& m) { m.process_id = ::getpid(); };
    return options;
}

SetOptions fixed(std::uint32_t bytes, const char* placement = "node:0") {
    SetOptions o;
    o.object_bytes = bytes;
    o.placement = placement;
    return o;
}

SetOptions variable() {
    SetOptions o;
    o.kind = kddm::ObjectKind::variable;
    o.placement = "node:0";
    return o;
}

// Every word says which write it is of.
void stamp(std::span<std::byte> bytes, std::uint64_t value) {
    for (std::size_t i = 0; i + 8 <= bytes.size(); i += 8)
        std::memcpy(bytes.data() + i, &value, 8);
}
// That write, or -1 when the words are of several.
std::int64_t stamp_of(std::span<const std::byte> bytes) {
    std::uint64_t first = 0, word = 0;
    std::memcpy(&first, bytes.data(), 8);
    for (std::size_t i = 8; i + 8 <= bytes.size(); i += 8) {
        std::memcpy(&word, bytes.data() + i, 8);
        if (word != first) return -1;
    }
    return static_cast<std::int64_t>(first);
}

std::uint64_t word_of(const kddm::RawSnapshot& snapshot) {
    std::uint64_t value = 0;
    std::memcpy(&value, snapshot.bytes.data(), std::min<std::size_t>(8, snapshot.bytes.size()));
    return value;
}

class Reads : public testing::TestWithParam<Way> {
protected:
    Cluster cluster(int n) {
        return Cluster(n, kddm::Plant::none, options_for(GetParam()),
                       GetParam() == Way::direct);
    }
    // By the second try or soon after, no message is needed any more.
    void become_one_sided(RawSet& set, ObjectId id) {
        if (GetParam() == Way::message) return;
        for (int i = 0; i < 2000; ++i) {
            const auto before = set.stats().reads_by_message;
            ASSERT_TRUE(set.read(id).has_value());
            if (set.stats().reads_by_message == before) return;
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
        FAIL() << "every read goes by a message";
    }
};
INSTANTIATE_TEST_SUITE_P(Ways, Reads, testing::Values(Way::direct, Way::mapped, Way::rma,
                                                Way::message),
                         [](const auto& info) {
                             return info.param == Way::direct   ? "direct"
                                    : info.param == Way::mapped ? "mapped"
                                    : info.param == Way::rma    ? "rma"
                                                                : "message";
                         });

TEST_P(Reads, the_newest_value_and_its_version_from_anywhere) {
    auto c = cluster(3);
    auto s = c.open("s", counters(0, "node:0"));
    become_one_sided(s[1], 5);
    std::uint64_t last = 0;
    for (std::uint64_t round = 1; round <= 30; ++round) {
        const int writer = static_cast<int>(round % 3);
        { set_number(*s[writer].grab(5), round); }
        for (int reader = 0; reader < 3; ++reader) {
            const auto snapshot = s[reader].read(5);
            ASSERT_TRUE(snapshot.has_value()) << snapshot.error().to_string();
            EXPECT_EQ(word_of(*snapshot), round) << "writer " << writer << " reader " << reader;
            EXPECT_GT(snapshot->version, last);
            if (reader == 2) last = snapshot->version;
        }
    }
    EXPECT_EQ(s[0].get(5)->version(), last);
}

TEST_P(Reads, leave_no_copy_and_no_trace_in_the_directory) {
    auto c = cluster(2);
    auto s = c.open("s", fixed(64));
    { s[0].grab(1)->writable()[0] = std::byte{9}; }
    become_one_sided(s[1], 1);
    for (int i = 0; i < 10; ++i) ASSERT_EQ(s[1].read(1)->bytes[0], std::byte{9});
    EXPECT_EQ(s[1].find(1), kddm::Access::none);
    EXPECT_EQ(s[0].find(1), kddm::Access::write) << "the home is still the only one";
    EXPECT_FALSE(c[0].inspect(s[0].id(), 1).copyset_covers(NodeId{1}));
    EXPECT_EQ(s[1].stats().remote_gets, 0u);
}

TEST_P(Reads, need_no_message_once_the_place_is_known) {
    if (GetParam() == Way::message) GTEST_SKIP() << "this way every read is a message";
    auto c = cluster(2);
    auto s = c.open("s", counters(1000, "node:0"));
    for (std::uint64_t id = 0; id < 1000; ++id) become_one_sided(s[1], id);
    const auto before = s[1].stats().reads_by_message;
    for (std::uint64_t id = 0; id < 1000; ++id) {
        { set_number(*s[0].grab(id), id + 7); }
        ASSERT_EQ(word_of(*s[1].read(id)), id + 7);
    }
    const auto stats = s[1].stats();
    EXPECT_EQ(stats.reads_by_message, before);
    EXPECT_EQ(stats.reads, stats.reads_by_message + stats.reads_mapped + stats.reads_by_rma);
    EXPECT_GE(GetParam() == Way::rma ? stats.reads_by_rma : stats.reads_mapped, 1000u);
    EXPECT_EQ(GetParam() == Way::rma ? stats.reads_mapped : stats.reads_by_rma, 0u);
}

TEST_P(Reads, go_to_the_owner_when_the_home_has_no_copy) {
    auto c = cluster(3);
    auto s = c.open("s", fixed(4096));
    become_one_sided(s[2], 3);
    { stamp(s[1].grab(3)->writable(), 77); }
    ASSERT_EQ(s[0].find(3), kddm::Access::none);
    for (const int reader : {0, 2}) {
        const auto snapshot = s[reader].read(3);
        ASSERT_TRUE(snapshot.has_value()) << snapshot.error().to_string();
        EXPECT_EQ(stamp_of(snapshot->bytes), 77);
    }
    EXPECT_EQ(s[1].find(3), kddm::Access::write) << "the owner lost nothing by it";
    EXPECT_EQ(s[0].find(3), kddm::Access::none);
    EXPECT_EQ(s[2].find(3), kddm::Access::none);
}

TEST_P(Reads, parts_of_objects_of_any_size_and_nothing_else) {
    auto c = cluster(2);
    for (const std::uint32_t bytes : {1u, 8u, 13u, 16u, 17u, 100u, 5000u, 300'000u}) {
        auto s = c.open("s" + std::to_string(bytes), fixed(bytes));
        {
            auto g = s[0].grab(0);
            for (std::uint32_t i = 0; i < bytes; ++i) g->writable()[i] = std::byte(i * 7 + 1);
        }
        become_one_sided(s[1], 0);
        for (const auto& [offset, length] : std::vector<std::pair<std::uint32_t, std::uint32_t>>{
                 {0, bytes}, {0, 0}, {bytes, 0}, {bytes / 3, bytes / 2}, {bytes - 1, 1}}) {
            const auto part = s[1].read(0, offset, length);
            ASSERT_TRUE(part.has_value()) << part.error().to_string();
            ASSERT_EQ(part->bytes.size(), length);
            for (std::uint32_t i = 0; i < length; ++i)
                ASSERT_EQ(part->bytes[i], std::byte((offset + i) * 7 + 1));
        }
        for (const int reader : {0, 1}) {
            EXPECT_EQ(s[reader].read(0, 0, bytes + 1).error().code, Errc::invalid_argument);
            EXPECT_EQ(s[reader].read(0, bytes + 1, 0).error().code, Errc::invalid_argument);
            EXPECT_EQ(s[reader].read(0, SIZE_MAX, 1).error().code, Errc::invalid_argument);
            EXPECT_EQ(s[reader].read(0, 1, SIZE_MAX).error().code, Errc::invalid_argument);
        }
    }
}

TEST_P(Reads, objects_that_grow_shrink_and_end) {
    auto c = cluster(2);
    auto s = c.open("s", variable());
    EXPECT_EQ(s[1].read(1)->bytes.size(), 0u) << "not born yet";
    become_one_sided(s[1], 1);
    std::uint64_t last = 0;
    for (const std::size_t length : {8u, 80'000u, 0u, 24u, 1'000'000u, 16u}) {
        for (const int writer : {0, 1}) {
            {
                auto g = s[writer].grab(1);
                ASSERT_TRUE(g->resize(length).has_value());
                stamp(g->writable(), length + writer);
            }
            for (const int reader : {0, 1}) {
                const auto snapshot = s[reader].read(1);
                ASSERT_TRUE(snapshot.has_value()) << snapshot.error().to_string();
                ASSERT_EQ(snapshot->bytes.size(), length);
                if (length != 0) {
                    EXPECT_EQ(stamp_of(snapshot->bytes),
                              static_cast<std::int64_t>(length) + writer);
                }
                EXPECT_GE(snapshot->version, last);
                last = snapshot->version;
            }
        }
    }
    ASSERT_TRUE(s[1].remove(1).has_value());
    for (const int reader : {1, 0, 1}) {
        const auto snapshot = s[reader].read(1);
        ASSERT_TRUE(snapshot.has_value());
        EXPECT_EQ(snapshot->bytes.size(), 0u) << "a new-born object";
        EXPECT_GE(snapshot->version, last) << "versions go on after a removal";
        last = snapshot->version;
    }
}

TEST_P(Reads, the_right_object_though_its_entry_was_anothers) {
    auto c = cluster(2);
    auto s = c.open("s", counters(0, "node:0"));
    for (std::uint64_t round = 0; round < 20; ++round) {
        for (std::uint64_t id = 0; id < 64; ++id) {
            { set_number(*s[0].grab(id), round * 1000 + id); }
            ASSERT_EQ(word_of(*s[1].read(id)), round * 1000 + id);
        }
        // In another order, so that entries change hands.
        for (std::uint64_t id = 0; id < 64; ++id)
            ASSERT_TRUE(s[round % 2].remove((id * 29 + round) % 64).has_value());
    }
}

TEST_P(Reads, wait_for_the_writer_and_then_find_what_it_wrote) {
    auto c = cluster(3);
    auto s = c.open("s", counters(0, "node:0"));
    become_one_sided(s[2], 1);
    for (const int writer : {0, 1}) {
        std::atomic<bool> read_done{false};
        auto held = s[writer].grab(1);
        const auto reader = [&](int node) {
            return std::thread([&, node] {
                const auto snapshot = s[node].read(1);
                EXPECT_TRUE(read_done.exchange(true) || held->access() == kddm::Access::none);
                EXPECT_EQ(word_of(*snapshot), 50u + writer);
            });
        };
        auto first = reader(2);
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        EXPECT_FALSE(read_done.load());
        set_number(*held, 50 + writer);
        ASSERT_TRUE(held->put().has_value());
        first.join();
        auto second = reader(0);
        second.join();
    }
}

TEST_P(Reads, what_this_task_holds_is_read_through_its_guard) {
    auto c = cluster(2);
    auto s = c.open("s", counters(0, "node:0"));
    for (const int node : {0, 1}) {
        auto g = s[node].grab(4);
        set_number(*g, 123);
        EXPECT_EQ(word_of(*s[node].read(4)), 123u) << "its own writing, not put yet";
        EXPECT_EQ(s[node].read(3).error().code, Errc::deadlock) << "it might have to wait";
        EXPECT_TRUE(s[node].read(5).has_value());
    }
}

TEST_P(Reads, many_at_once_with_repetitions_and_from_several_homes) {
    auto c = cluster(3);
    auto s = c.open("s", counters(600, "blocked"));
    std::vector<ObjectId> ids;
    for (std::uint64_t i = 0; i < 600; ++i) {
        { set_number(*s[i % 3].grab(i), i * 3); }
        ids.emplace_back((i * 37) % 600);
    }
    ids.insert(ids.end(), {ObjectId(7), ObjectId(7), ObjectId(599)});
    for (int round = 0; round < 3; ++round) {
        for (int node = 0; node < 3; ++node) {
            std::vector<std::byte> out(ids.size() * 8);
            std::vector<std::uint64_t> versions(ids.size());
            auto done = s[node].read_many(ids, 0, 8, out, versions);
            ASSERT_TRUE(done.has_value()) << done.error().to_string();
            const auto whole = s[node].read_many(ids);
            ASSERT_TRUE(whole.has_value());
            for (std::size_t i = 0; i < ids.size(); ++i) {
                std::uint64_t value = 0;
                std::memcpy(&value, &out[i * 8], 8);
                ASSERT_EQ(value, ids[i].lo * 3);
                ASSERT_EQ(word_of((*whole)[i]), ids[i].lo * 3);
                EXPECT_EQ(versions[i], (*whole)[i].version);
            }
        }
    }
    EXPECT_TRUE(s[0].read_many({}).has_value());
    ids.emplace_back(600);
    std::vector<std::byte> out(ids.size() * 8);
    EXPECT_EQ(s[1].read_many(ids, 0, 8, out).error().code, Errc::invalid_argument);
    EXPECT_EQ(s[1].read_many(ids, 0, 9, out).error().code, Errc::invalid_argument);
    std::vector<std::uint64_t> few(3);
    ids.pop_back();
    EXPECT_EQ(s[1].read_many(ids, 0, 8, out, few).error().code, Errc::invalid_argument);
}

TEST_P(Reads, typed_views_decode_what_they_read) {
    struct Pair {
        std::uint64_t a, b;
    };
    auto c = cluster(2);
    auto raw = c.open("pairs", fixed(sizeof(Pair)));
    kddm::Set<Pair> home(raw[0]), away(raw[1]);
    for (std::uint64_t i = 0; i < 50; ++i) *home.grab(i) = Pair{i, ~i};
    std::vector<ObjectId> ids;
    for (std::uint64_t i = 0; i < 50; ++i) {
        ids.emplace_back(i);
        const auto snapshot = away.read(i);
        EXPECT_EQ(snapshot.value.a, i);
        EXPECT_EQ(snapshot.value.b, ~i);
    }
    const auto all = away.read_many(ids);
    for (std::uint64_t i = 0; i < 50; ++i) EXPECT_EQ(all[i].value.b, ~i);
    EXPECT_THROW(kddm::Set<Pair>(c.open("few", [] {
                     auto o = fixed(sizeof(Pair));
                     o.count = 2;
                     return o;
                 }())[1]).read(2),
                 Error);
}

TEST_P(Reads, a_destroyed_set_has_nothing_to_read) {
    auto c = cluster(2);
    auto s = c.open("s", counters(0, "node:0"));
    become_one_sided(s[1], 1);
    ASSERT_TRUE(c[1].destroy("s").has_value());
    for (const int node : {0, 1}) EXPECT_EQ(s[node].read(1).error().code, Errc::not_found);
}

// Whole values, versions that never go back, and equal bytes for equal versions, however the object
// is hammered: written at home, away, in turn, by functions, resized and removed.
void hammer(Cluster& c, const SetOptions& options, bool resize, bool remove) {
    auto s = c.open("hammered", options);
    constexpr std::uint64_t objects = 3;
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> value{1};
    std::vector<std::thread> threads;
    for (int node = 0; node < c.size(); ++node) {
        threads.emplace_back([&, node] {
            std::uint64_t i = static_cast<std::uint64_t>(node);
            while (!stop) {
                const ObjectId id(i++ % objects);
                const std::uint64_t v = ++value;
                auto g = s[node].grab(id);
                ASSERT_TRUE(g.has_value());
                if (resize) {
                    ASSERT_TRUE(g->resize(8 * (1 + v % 300)).has_value());
                }
                stamp(g->writable(), v);
                g->put();
                if (remove && v % 8 == 0) s[node].remove(id);
                if (v % 4 == 0) s[node].flush(id);
            }
        });
        threads.emplace_back([&, node] {
            std::vector<std::uint64_t> version(objects), seen(objects);
            for (std::uint64_t i = 0; !stop; ++i) {
                const std::uint64_t o = i % objects;
                const auto snapshot = s[node].read(o);
                ASSERT_TRUE(snapshot.has_value()) << snapshot.error().to_string();
                const bool empty = snapshot->bytes.empty();
                const std::int64_t found = empty ? 0 : stamp_of(snapshot->bytes);
                ASSERT_GE(found, 0) << "torn";
                ASSERT_GE(snapshot->version, version[o]);
                if (snapshot->version == version[o]) {
                    ASSERT_EQ(static_cast<std::uint64_t>(found), seen[o]);
                }
                version[o] = snapshot->version;
                seen[o] = static_cast<std::uint64_t>(found);
            }
        });
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(400));
    stop = true;
    for (auto& t : threads) t.join();
}

TEST_P(Reads, are_whole_and_in_order_while_small_objects_are_hammered) {
    auto c = cluster(2);
    hammer(c, fixed(16), false, false);
}
TEST_P(Reads, are_whole_and_in_order_while_blocks_are_hammered) {
    auto c = cluster(2);
    hammer(c, fixed(2048), false, false);
}
TEST_P(Reads, are_whole_and_in_order_while_objects_are_resized) {
    auto c = cluster(2);
    hammer(c, variable(), true, false);
}
TEST_P(Reads, are_whole_and_in_order_while_objects_are_removed) {
    auto c = cluster(3);
    hammer(c, fixed(16), false, true);
}
TEST_P(Reads, are_whole_and_in_order_under_home_coherence) {
    auto c = cluster(2);
    auto options = fixed(48);
    options.coherence = kddm::Coherence::home;
    hammer(c, options, false, false);
}

TEST(ReadsAtALimit, entries_beyond_shared_memory_are_read_by_messages) {
    auto options = options_for(Way::mapped);
    ASSERT_TRUE(options.config.set("arena.limit_bytes", "128K", "test").has_value());
    Cluster c(2, kddm::Plant::none, std::move(options), true, false);
    auto s = c.open("s", counters(0, "node:0"));
    for (std::uint64_t id = 0; id < 300; ++id) {
        { set_number(*s[0].grab(id), id); }
        ASSERT_EQ(word_of(*s[1].read(id)), id);
        ASSERT_EQ(word_of(*s[1].read(id)), id);
    }
    EXPECT_EQ(s[1].stats().reads_by_message, 600u);
}

TEST(ReadsOfAPeer, that_cannot_be_mapped_go_by_messages_and_the_log_says_why) {
    auto options = options_for(Way::mapped);
    options.edit_member = [](node::Member& m) { m.process_id = 0x7fff'fff0; };
    Cluster c(2, kddm::Plant::none, std::move(options), true, false);
    auto s = c.open("s", counters(0, "node:0"));
    { set_number(*s[0].grab(1), 17); }
    for (int i = 0; i < 100; ++i) ASSERT_EQ(word_of(*s[1].read(1)), 17u);
    EXPECT_EQ(s[1].stats().reads_by_message, 100u);
    for (int i = 0; i < 2000 && !c.nodes().log().contains("cannot be mapped"); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_TRUE(c.nodes().log().contains("node 0 cannot be mapped"));
}

}  // namespace
}  // namespace ssi::test
