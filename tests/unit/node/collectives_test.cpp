// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>

#include "loop_nodes.hpp"

namespace ssi::node {
namespace {

using test::LoopNodes;

LoopNodes::Options reordering(std::uint64_t seed) {
    LoopNodes::Options options;
    options.loop = {.reorder_seed = seed, .duplicate = true};
    return options;
}

// Every test runs with 1 to 9 nodes: all shapes of small binomial trees.
class Collectives : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(nodes, Collectives, testing::Range(1, 10));

TEST_P(Collectives, nobody_leaves_a_barrier_before_all_have_come) {
    LoopNodes nodes(GetParam(), reordering(1));
    nodes.start();
    std::atomic<int> arrived{0};
    nodes.run([&](Node& node) {
        for (int round = 1; round <= 20; ++round) {
            ++arrived;
            ASSERT_TRUE(node.barrier());
            EXPECT_GE(arrived, round * node.size());
        }
    });
    EXPECT_EQ(nodes.errors(), "");
}

TEST_P(Collectives, broadcast_brings_the_roots_bytes_to_all_from_any_root) {
    LoopNodes nodes(GetParam(), reordering(2));
    nodes.start();
    nodes.run([&](Node& node) {
        for (int root = 0; root < node.size(); ++root) {
            for (std::size_t length : {0u, 1u, 8192u, 8193u, 300'000u}) {
                const auto value = static_cast<std::byte>(root + 1);
                std::vector<std::byte> bytes;
                if (node.rank() == root) bytes.assign(length, value);
                ASSERT_TRUE(node.broadcast(NodeId{static_cast<std::uint32_t>(root)}, bytes));
                EXPECT_EQ(bytes, std::vector<std::byte>(length, value));
            }
        }
    });
    EXPECT_EQ(nodes.errors(), "");
}

// Subtracts: neither commutes nor associates, so it shows who was combined with whom, and when.
void subtract(std::byte* into, const std::byte* from, std::size_t count, void*) {
    for (std::size_t i = 0; i < count; ++i) {
        std::int32_t a, b;
        std::memcpy(&a, into + 4 * i, 4);
        std::memcpy(&b, from + 4 * i, 4);
        a -= b;
        std::memcpy(into + 4 * i, &a, 4);
    }
}

TEST_P(Collectives, reductions_of_any_length_combine_in_the_same_order_on_every_node) {
    LoopNodes nodes(GetParam(), reordering(4));
    nodes.start();
    std::atomic<std::int32_t> first{INT32_MIN};
    nodes.run([&](Node& node) {
        for (const std::size_t length : {0u, 1u, 65'536u, 200'001u}) {
            std::vector<std::int32_t> values(length, 1 << node.rank());
            const auto bytes = std::as_writable_bytes(std::span(values));
            ASSERT_TRUE(node.reduce(bytes, {4, &subtract, nullptr}, no_node));
            if (length == 0) continue;
            std::int32_t expected = INT32_MIN;
            if (!first.compare_exchange_strong(expected, values.front())) {
                EXPECT_EQ(values.front(), expected);
            }
            EXPECT_EQ(values, std::vector<std::int32_t>(length, values.front()));
        }
    });
    EXPECT_EQ(nodes.errors(), "");
}

TEST_P(Collectives, gather_brings_every_nodes_bytes_to_their_place_at_any_root) {
    LoopNodes nodes(GetParam(), reordering(5));
    nodes.start();
    nodes.run([&](Node& node) {
        const auto n = static_cast<std::size_t>(node.size());
        for (int root = -1; root < node.size(); ++root) {
            const std::size_t each = root % 2 == 0 ? 3 : 100'000;
            const std::vector<std::byte> mine(each, static_cast<std::byte>(node.rank() + 1));
            const bool wanted = root < 0 || root == node.rank();
            std::vector<std::byte> all(wanted ? n * each : 0);
            const NodeId at = root < 0 ? no_node : NodeId{static_cast<std::uint32_t>(root)};
            ASSERT_TRUE(node.gather(at, mine, all));
            for (std::size_t i = 0; i < all.size(); i += each)
                EXPECT_EQ(all[i], static_cast<std::byte>(i / each + 1));
        }
    });
    EXPECT_EQ(nodes.errors(), "");
}

TEST(CollectivesErrors, other_lengths_are_a_mismatch) {
    LoopNodes nodes(2);
    nodes.start();
    nodes.run([&](Node& node) {
        std::vector<std::byte> bytes(node.rank() == 0 ? 8 : 16);
        const auto sent = node.broadcast(NodeId{0}, std::span(bytes));
        EXPECT_EQ(sent.has_value(), node.rank() == 0);
        if (sent) return;
        EXPECT_EQ(sent.error().code, Errc::mismatch);
    });
}

TEST_P(Collectives, a_fast_root_may_run_ahead) {
    LoopNodes nodes(GetParam(), reordering(3));
    nodes.start();
    nodes.run([&](Node& node) {
        if (node.rank() != 0) std::this_thread::sleep_for(std::chrono::milliseconds(5));
        for (int i = 0; i < 100; ++i) {
            std::vector<std::byte> bytes(1, static_cast<std::byte>(i));
            if (node.rank() != 0) bytes.clear();
            ASSERT_TRUE(node.broadcast(NodeId{0}, bytes));
            ASSERT_EQ(bytes.size(), 1u);
            EXPECT_EQ(bytes[0], static_cast<std::byte>(i));
        }
    });
}

TEST_P(Collectives, all_reduce_gives_every_node_the_same_result) {
    LoopNodes nodes(GetParam(), reordering(4));
    nodes.start();
    const int n = GetParam();
    std::vector<double> sums(static_cast<std::size_t>(n));
    nodes.run([&](Node& node) {
        const auto rank = static_cast<std::uint64_t>(node.rank());
        std::uint64_t values[3] = {rank + 1, 100 - rank, rank};
        ASSERT_TRUE(node.all_reduce(std::span(values, 1), ReduceOp::sum));
        ASSERT_TRUE(node.all_reduce(std::span(values + 1, 1), ReduceOp::min));
        ASSERT_TRUE(node.all_reduce(std::span(values + 2, 1), ReduceOp::max));
        const auto last = static_cast<std::uint64_t>(n - 1);
        EXPECT_EQ(values[0], (last + 1) * (last + 2) / 2);
        EXPECT_EQ(values[1], 100 - last);
        EXPECT_EQ(values[2], last);
        double inexact = 1.0 / (3.0 + node.rank());
        ASSERT_TRUE(node.all_reduce(std::span(&inexact, 1), ReduceOp::sum));
        sums[static_cast<std::size_t>(node.rank())] = inexact;
        std::vector<double> many(5000, node.rank());
        ASSERT_TRUE(node.all_reduce(std::span(many), ReduceOp::max));
        EXPECT_EQ(many, std::vector<double>(5000, n - 1));
    });
    for (double sum : sums) EXPECT_EQ(sum, sums[0]);
}

TEST_P(Collectives, a_loss_fails_the_barrier_of_every_waiting_node) {
    const int n = GetParam();
    if (n == 1) return;
    LoopNodes nodes(n);
    nodes.start();
    const NodeId dead{static_cast<std::uint32_t>(n / 2)};
    std::atomic<int> failed{0};
    std::thread detector([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
        nodes.world().kill(dead);
        for (int i = 0; i < n; ++i)
            if (nodes[i].id() != dead) nodes[i].declare_lost(dead, "test");
    });
    nodes.run([&](Node& node) {
        if (node.id() == dead) return;
        const auto result = node.barrier();
        ASSERT_FALSE(result);
        EXPECT_EQ(result.error().code, Errc::peer_lost);
        EXPECT_EQ(result.error().node, dead);
        ++failed;
        const auto again = node.barrier();
        ASSERT_FALSE(again) << "a collective after a loss";
        EXPECT_EQ(again.error().code, Errc::peer_lost);
    });
    detector.join();
    EXPECT_EQ(failed, n - 1);
}

TEST(Collective, a_barrier_gives_up_at_its_deadline_and_names_who_is_missing) {
    LoopNodes nodes(2);
    nodes.start();
    const auto result = nodes[0].barrier(nodes[0].doors().clock.now() + 20'000'000);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::timed_out);
    EXPECT_EQ(result.error().node, NodeId{1});
}

TEST(Collective, different_collectives_at_once_are_a_mismatch) {
    LoopNodes nodes(2);
    nodes.start();
    nodes.run([&](Node& node) {
        if (node.rank() == 0) {
            const auto result = node.barrier();
            ASSERT_FALSE(result);
            EXPECT_EQ(result.error().code, Errc::mismatch);
            EXPECT_NE(result.error().text.find("reduce"), std::string::npos);
        } else {
            std::uint64_t value = 1;
            const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
            std::thread escape([&] {
                while (std::chrono::steady_clock::now() < deadline && !node.any_lost()) {
                    std::this_thread::sleep_for(std::chrono::milliseconds(5));
                    node.declare_lost(NodeId{0}, "test");
                }
            });
            EXPECT_FALSE(node.all_reduce(std::span(&value, 1), ReduceOp::sum));
            escape.join();
        }
    });
}

TEST(Collective, closing_after_a_loss_is_no_mismatch_to_who_has_not_heard_of_it) {
    LoopNodes nodes(3);
    nodes.start();
    nodes[1].declare_lost(NodeId{2}, "test");
    EXPECT_EQ(nodes[1].meet_to_close().error().code, Errc::peer_lost);
    std::thread news([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        nodes[0].declare_lost(NodeId{2}, "test");
    });
    std::uint64_t value = 1;
    const auto result = nodes[0].all_reduce(std::span(&value, 1), ReduceOp::sum);
    news.join();
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::peer_lost);
}

TEST(Collective, reductions_of_different_lengths_are_a_mismatch) {
    LoopNodes nodes(2);
    nodes.start();
    std::vector<double> two(2);
    std::thread other([&] {
        std::vector<double> three(3);
        EXPECT_FALSE(nodes[1].all_reduce(std::span(three), ReduceOp::sum));
    });
    const auto result = nodes[0].all_reduce(std::span(two), ReduceOp::sum);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::mismatch);
    nodes[1].declare_lost(NodeId{0}, "test");
    other.join();
}

TEST(Collective, a_broadcast_from_a_stranger_is_refused) {
    LoopNodes nodes(2);
    std::vector<std::byte> bytes;
    const auto result = nodes[0].broadcast(NodeId{9}, bytes);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace ssi::node
