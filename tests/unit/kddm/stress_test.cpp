// SPDX-License-Identifier: BSD-3-Clause
// Many threads on every node, few objects, reordered messages: increments must all be there, and
// nobody may ever see two writers or a torn object.
#include "cluster.hpp"
#include "ssi/base/random.hpp"

namespace ssi::test {
namespace {

struct Shape {
    int nodes;
    int threads;
    int objects;
    int operations;
    kddm::Coherence coherence;
    std::uint32_t object_bytes;
};

class Stress : public testing::TestWithParam<Shape> {};

void count_up(kddm::RawGuard& g) {
    auto w = g.writable();
    std::uint64_t value;
    std::memcpy(&value, w.data(), 8);
    ++value;
    for (std::size_t i = 0; i + 8 <= w.size(); i += 8) std::memcpy(w.data() + i, &value, 8);
}

void check_whole(const kddm::RawGuard& g) {
    std::uint64_t first;
    std::memcpy(&first, g.bytes().data(), 8);
    for (std::size_t i = 0; i + 8 <= g.bytes().size(); i += 8) {
        std::uint64_t value;
        std::memcpy(&value, g.bytes().data() + i, 8);
        ASSERT_EQ(value, first) << "torn object";
    }
}

void one_operation(kddm::RawSet& set, std::uint64_t id, Random& random,
                   std::atomic<std::uint64_t>& writes) {
    switch (random.below(8)) {
        case 0:
        case 1: {
            auto g = set.grab(id);
            ASSERT_TRUE(g.has_value()) << g.error().to_string();
            check_whole(*g);
            count_up(*g);
            ++writes;
            return;
        }
        case 2: {
            auto g = set.get(id);
            ASSERT_TRUE(g.has_value());
            check_whole(*g);
            ASSERT_TRUE(g->upgrade().has_value());
            check_whole(*g);
            count_up(*g);
            ++writes;
            return;
        }
        case 3: {
            if (auto g = set.try_grab(id)) {
                count_up(*g);
                ++writes;
            }
            return;
        }
        case 4: (void)set.flush(id); return;
        case 5: (void)set.prefetch(id, random.chance(1, 2) ? kddm::Access::read
                                                           : kddm::Access::write); return;
        default: {
            auto g = set.get(id);
            ASSERT_TRUE(g.has_value());
            check_whole(*g);
        }
    }
}

TEST_P(Stress, no_write_is_lost_and_no_read_is_torn) {
    const Shape shape = GetParam();
    LoopNodes::Options options;
    options.loop.reorder_seed = 42;
    options.log_level = LogLevel::warn;
    Cluster c(shape.nodes, kddm::Plant::none, std::move(options));
    kddm::SetOptions o;
    o.object_bytes = shape.object_bytes;
    o.coherence = shape.coherence;
    auto sets = c.open("s", o);
    std::atomic<std::uint64_t> writes{0};
    std::vector<std::thread> threads;
    for (int n = 0; n < shape.nodes; ++n)
        for (int t = 0; t < shape.threads; ++t)
            threads.emplace_back([&, n, t] {
                Random random(static_cast<std::uint64_t>(n * 100 + t));
                for (int k = 0; k < shape.operations && !testing::Test::HasFailure(); ++k)
                    one_operation(sets[n], random.below(shape.objects), random, writes);
            });
    for (auto& t : threads) t.join();
    std::uint64_t sum = 0;
    for (int i = 0; i < shape.objects; ++i) sum += number(*sets[0].get(i));
    EXPECT_EQ(sum, writes.load());
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Stress,
    testing::Values(Shape{2, 2, 1, 500, kddm::Coherence::coherent, 8},
                    Shape{3, 2, 2, 400, kddm::Coherence::coherent, 64},
                    Shape{4, 2, 3, 300, kddm::Coherence::home, 64},
                    Shape{3, 1, 2, 150, kddm::Coherence::coherent, 40000},
                    Shape{9, 1, 2, 150, kddm::Coherence::coherent, 8}));

TEST(Loss, a_dead_reader_in_a_coarse_copyset_does_not_keep_writers_out) {
    LoopNodes::Options options;
    ASSERT_TRUE(options.config.set("detect.grace_ms", "200", "test").has_value());
    Cluster c(9, kddm::Plant::none, std::move(options));
    c.expect_errors = true;
    auto s = c.open("s", counters(0, "node:0"));
    for (int i = 1; i < 9; ++i) EXPECT_EQ(number(*s[i].get(1)), 0u);
    for (int i = 0; i < 9; ++i)
        if (i != 5) c.nodes()[i].declare_lost(NodeId(5), "the test says so");
    auto grabbed = s[1].grab(1);
    ASSERT_TRUE(grabbed.has_value()) << grabbed.error().to_string();
    set_number(*grabbed, 3);
    grabbed->put();
    EXPECT_EQ(number(*s[2].get(1)), 3u);
}

TEST(Loss, operations_that_need_a_dead_node_fail_with_peer_lost) {
    LoopNodes::Options options;
    ASSERT_TRUE(options.config.set("detect.grace_ms", "200", "test").has_value());
    Cluster c(3, kddm::Plant::none, std::move(options));
    c.expect_errors = true;
    auto s = c.open("s", counters());
    auto t = c.open("t", counters(0, "node:0"));
    for (std::uint64_t i = 0; i < 30; ++i) set_number(*s[i % 3].grab(i), i);
    set_number(*t[2].grab(1), 5);   // owned by the node that will die
    for (int i = 0; i < 2; ++i) c.nodes()[i].declare_lost(NodeId(2), "the test says so");
    for (std::uint64_t i = 0; i < 30; ++i) {
        if (s[0].home(i) != NodeId(2)) continue;
        const bool here = s[0].find(i) != kddm::Access::none;
        auto g = s[0].grab(i);
        if (!here) {
            ASSERT_FALSE(g.has_value());
            EXPECT_EQ(g.error().code, Errc::peer_lost);
        }
        EXPECT_EQ(s[1].fetch_add(i, 1).error().code, Errc::peer_lost);
    }
    for (int i = 0; i < 2; ++i) {
        auto g = t[i].get(1);
        ASSERT_FALSE(g.has_value());
        EXPECT_EQ(g.error().code, Errc::peer_lost);
        EXPECT_TRUE(t[i].grab(2).has_value());   // needs nobody dead
    }
}

}  // namespace
}  // namespace ssi::test
