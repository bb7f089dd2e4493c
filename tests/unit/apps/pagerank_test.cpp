// SPDX-License-Identifier: BSD-3-Clause
// The serial algorithms against each other and against results known by other means.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "graph/digest.hpp"
#include "graph/reference.hpp"
#include "graph/rmat.hpp"
#include "graph/saved.hpp"
#include "graph/tiled_solver.hpp"
#include "graph/top.hpp"
#include "graph/union_find.hpp"

namespace {

using graph::Edge;
using graph::Edges;
using graph::Vertex;

Edges rmat_edges(unsigned scale) {
    const graph::Rmat rmat(scale, 8, 11);
    Edges edges;
    rmat.generate(0, rmat.edges(), edges);
    return edges;
}

// 0 -> 1 -> 2 -> 0: everybody is equal.
TEST(Reference, gives_equal_ranks_on_a_cycle) {
    const Edges edges{{0, 1}, {1, 2}, {2, 0}};
    const auto result = graph::reference_pagerank(graph::InEdges(3, edges), 0.85, 50);
    for (const double rank : result.ranks) EXPECT_NEAR(rank, 1.0 / 3, 1e-15);
}

// Two vertices, 0 -> 1, 1 dangling. Fixed point of r0 = (1-d)/2 + d r1/2, r1 = r0 + d r0.
TEST(Reference, spreads_the_rank_of_dangling_vertices) {
    const double d = 0.85;
    const auto result =
        graph::reference_pagerank(graph::InEdges(2, Edges{{0, 1}}), d, 200);
    EXPECT_NEAR(result.ranks[1] / result.ranks[0], 1 + d, 1e-12);
    EXPECT_NEAR(result.ranks[0] + result.ranks[1], 1, 1e-12);
}

TEST(Reference, counts_repeated_edges_as_often_as_given) {
    // 0 sends two thirds of its share to 1 and one third to 2.
    const auto result = graph::reference_pagerank(
        graph::InEdges(3, Edges{{0, 1}, {0, 1}, {0, 2}, {1, 0}, {2, 0}}), 0.5, 200);
    const double base = 0.5 / 3;
    EXPECT_NEAR((result.ranks[1] - base) / (result.ranks[2] - base), 2, 1e-9);
}

TEST(Reference, keeps_the_sum_at_one) {
    const auto edges = rmat_edges(10);
    const auto result = graph::reference_pagerank(graph::InEdges(1 << 10, edges), 0.85, 30);
    EXPECT_NEAR(std::accumulate(result.ranks.begin(), result.ranks.end(), 0.0), 1, 1e-12);
}

TEST(TiledSolver, agrees_with_the_textbook_at_every_block_size) {
    const auto edges = rmat_edges(11);
    const auto reference = graph::reference_pagerank(graph::InEdges(1 << 11, edges), 0.85, 20);
    for (const std::uint32_t block : {0u, 64u, 512u, 65536u}) {
        graph::TiledSolver solver(1 << 11, edges, block);
        const double residual = solver.run(0.85, 20);
        EXPECT_LT(graph::max_relative_difference(solver.ranks(), reference.ranks), 1e-12) << block;
        EXPECT_NEAR(residual, reference.residual, 1e-12);
    }
}

TEST(Amount, holds_what_is_rounded_to_its_unit_and_no_more) {
    for (const double part : {0.0, 1.0, 0.5, 0x1p-61, 3 * 0x1p-50})
        EXPECT_EQ(graph::from_amount(graph::to_amount(part)), part);
    EXPECT_EQ(graph::to_amount(0x1.8p-62), 1) << "to the nearest";
    EXPECT_EQ(graph::to_amount(0x1p-63), 0);
    EXPECT_NEAR(graph::from_amount(graph::to_amount(1e-9 / 3)), 1e-9 / 3, 0x1p-62);
}

// The same sum in doubles has other bits in another order.
TEST(Accumulate, finds_the_same_bits_in_any_order_of_edges) {
    std::vector<double> ranks(300), inverse(300);
    for (std::size_t v = 0; v < ranks.size(); ++v) {
        ranks[v] = 1.0 / static_cast<double>(v * v + 300);
        inverse[v] = 1.0 / static_cast<double>(v % 7 + 1);
    }
    std::vector<graph::Amount> shares(300);
    graph::share_block(inverse, ranks, shares);
    std::vector<graph::Code> codes;
    for (std::uint32_t source = 0; source < 300; ++source)
        codes.push_back(graph::encode(source, source % 2));
    std::vector<graph::Amount> forward(2), backward(2);
    graph::accumulate(codes.data(), codes.size(), shares.data(), forward.data());
    std::reverse(codes.begin(), codes.end());
    graph::accumulate(codes.data(), codes.size(), shares.data(), backward.data());
    EXPECT_EQ(forward, backward);
    double sum = 0;
    for (std::uint32_t v = 0; v < 300; v += 2) sum += ranks[v] * inverse[v];
    EXPECT_NEAR(graph::from_amount(forward[0]), sum, 1e-15);
}

// Blocks of more than one strip, and one that ends in the middle of the lanes.
TEST(FinishBlock, follows_the_formula_at_any_length) {
    for (const std::size_t count : {1u, 3u, 4u, 255u, 256u, 257u, 1023u}) {
        std::vector<double> inverse(count), ranks(count, 0.25 / static_cast<double>(count));
        std::vector<graph::Amount> sums(count), shares(count, -1);
        for (std::size_t v = 0; v < count; ++v) {
            inverse[v] = v % 3 == 0 ? 0 : 1.0 / static_cast<double>(v % 5 + 1);
            sums[v] = graph::to_amount(0.5 / static_cast<double>(v + 1 + count));
        }
        const auto before = sums;
        const graph::StepRule rule{1e-5, 0.85};
        const auto totals = graph::finish_block(rule, inverse, sums, ranks, shares);
        double residual = 0, dangling = 0;
        for (std::size_t v = 0; v < count; ++v) {
            const double rank = rule.base + 0.85 * graph::from_amount(before[v]);
            residual += std::abs(rank - 0.25 / static_cast<double>(count));
            dangling += v % 3 == 0 ? rank : 0;
            ASSERT_EQ(ranks[v], rank) << v;
            ASSERT_EQ(shares[v], graph::to_amount(rank * inverse[v])) << v;
            ASSERT_EQ(sums[v], 0) << v;
        }
        EXPECT_NEAR(graph::from_amount(totals.residual), residual, 1e-14);
        EXPECT_NEAR(graph::from_amount(totals.dangling), dangling, 1e-14);
    }
}

TEST(Digest, sees_every_bit_and_edge_in_any_order) {
    const std::vector<double> ranks{0.1, 0.2, 0.3, 0.4};
    const auto whole = graph::digest_of(5, ranks);
    EXPECT_EQ(graph::digest_of(7, std::span(ranks).subspan(2)) +
                  graph::digest_of(5, std::span(ranks).first(2)),
              whole);
    auto other = ranks;
    other[2] = std::nextafter(other[2], 1.0);
    EXPECT_NE(graph::digest_of(5, other), whole);
    EXPECT_NE(graph::digest_of(6, ranks), whole);
    const std::vector<Edge> edges{{1, 2}, {2, 1}, {2, 1}}, turned{{2, 1}, {1, 2}, {2, 1}};
    EXPECT_EQ(graph::digest_of(edges), graph::digest_of(turned));
    EXPECT_NE(graph::digest_of(edges), graph::digest_of(std::span(edges).first(2)));
    const std::vector<Edge> reversed{{2, 1}, {1, 2}, {1, 2}};
    EXPECT_NE(graph::digest_of(edges), graph::digest_of(reversed));
}

TEST(Saved, is_read_back_and_refused_when_it_is_of_something_else) {
    const graph::Fingerprint graph{.vertices = 9, .edges = 20, .digest = 0xabc,
                                   .block_vertices = 64};
    const graph::Saved saved{.iterations = 5, .totals = {3, 4}, .graph = graph, .damping = 0.85};
    const auto bytes = std::as_bytes(std::span(&saved, 1));
    graph::Saved found;
    EXPECT_EQ(graph::read_saved(bytes, found), "");
    EXPECT_EQ(found.totals.dangling, 4);
    EXPECT_EQ(graph::fault_of(found, graph, 0.85, 5), "");
    EXPECT_EQ(graph::fault_of(found, graph, 0.5, 5), "is of a run with --damping 0.85, not 0.5");
    EXPECT_EQ(graph::fault_of(found, graph, 0.85, 4), "is of iteration 5, beyond --iterations 4");
    auto other = graph;
    other.edges = 21;
    EXPECT_EQ(graph::fault_of(found, other, 0.85, 5),
              "is of a graph of 9 vertices and 20 edges, not 9 and 21");
    other = graph;
    other.digest = 1;
    EXPECT_NE(graph::fault_of(found, other, 0.85, 5), "");
    other = graph;
    other.block_vertices = 128;
    EXPECT_NE(graph::fault_of(found, other, 0.85, 5), "");
    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_EQ(graph::read_saved(bytes.first(length), found), "has no state of a ranking");
    graph::Saved newer = saved;
    newer.format = 2;
    EXPECT_EQ(graph::read_saved(std::as_bytes(std::span(&newer, 1)), found),
              "was saved in format 2, of which this program knows up to 1");
}

TEST(TiledSolver, starts_afresh_at_every_run) {
    const auto edges = rmat_edges(8);
    graph::TiledSolver solver(1 << 8, edges, 0);
    solver.run(0.85, 7);
    const std::vector<double> first(solver.ranks().begin(), solver.ranks().end());
    solver.run(0.85, 7);
    EXPECT_TRUE(std::equal(first.begin(), first.end(), solver.ranks().begin()));
}

TEST(TiledSolver, ranks_a_graph_without_edges_equally) {
    graph::TiledSolver solver(5, {}, 0);
    EXPECT_EQ(solver.run(0.85, 3), 0);
    for (const double rank : solver.ranks()) EXPECT_DOUBLE_EQ(rank, 0.2);
}

TEST(Difference, is_relative_and_sees_what_is_not_a_number) {
    const std::vector<double> a{1, 2e-9, 0};
    EXPECT_EQ(graph::max_relative_difference(a, a), 0);
    EXPECT_NEAR(graph::max_relative_difference(a, std::vector<double>{1, 1e-9, 0}), 0.5, 1e-12);
    const std::vector<double> broken{1, 2e-9, NAN};
    EXPECT_GT(graph::max_relative_difference(a, broken), 1e300);
    EXPECT_GT(graph::max_relative_difference(broken, a), 1e300);
}

TEST(ReferenceComponents, ignore_directions_and_name_the_smallest_vertex) {
    const Edges edges{{5, 3}, {1, 5}, {2, 4}, {6, 6}};
    EXPECT_EQ(graph::reference_components(8, edges), (std::vector<Vertex>{0, 1, 2, 1, 2, 1, 6, 7}));
}

TEST(UnionFind, represents_each_set_by_its_smallest_member) {
    const auto edges = rmat_edges(9);
    const std::span<const Edge> some = std::span(edges).first(300);
    graph::UnionFind sets(1 << 9);
    for (const Edge& edge : some) sets.unite(edge.source, edge.target);
    const auto expected = graph::reference_components(1 << 9, some);
    for (Vertex v = 0; v < 1 << 9; ++v) EXPECT_EQ(sets.find(v), expected[v]);
}

TEST(Top, lists_the_highest_first_and_breaks_ties_by_vertex) {
    std::vector<graph::Ranked> all{{0.1, 0}, {0.5, 1}, {0.2, 2}, {0.5, 3}};
    std::swap(all[1], all[3]);
    auto top = all;
    graph::keep_top(top, 3);
    ASSERT_EQ(top.size(), 3u);
    EXPECT_EQ(top[0].vertex, 1u);
    EXPECT_EQ(top[1].vertex, 3u);
    EXPECT_EQ(top[2].vertex, 2u);
    graph::keep_top(all, 100);
    EXPECT_EQ(all.size(), 4u);
    graph::keep_top(all, 0);
    EXPECT_TRUE(all.empty());
}

}  // namespace
