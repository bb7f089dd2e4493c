// SPDX-License-Identifier: BSD-3-Clause
#include "graph/rmat.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace {

using graph::Edge;
using graph::Edges;
using graph::Rmat;
using graph::Vertex;

Edges all_edges(const Rmat& rmat) {
    Edges edges;
    rmat.generate(0, rmat.edges(), edges);
    return edges;
}

TEST(Rmat, makes_the_same_graph_in_any_number_of_parts) {
    const Rmat rmat(10, 16, 7);
    const auto whole = all_edges(rmat);
    EXPECT_EQ(whole.size(), 16u << 10);
    for (const std::uint64_t parts : {2, 3, 7}) {
        Edges joined;
        for (std::uint64_t part = 0; part < parts; ++part)
            rmat.generate(rmat.edges() * part / parts, rmat.edges() * (part + 1) / parts, joined);
        EXPECT_EQ(joined, whole);
    }
}

TEST(Rmat, depends_on_the_seed_alone) {
    EXPECT_EQ(all_edges(Rmat(8, 4, 1)), all_edges(Rmat(8, 4, 1)));
    EXPECT_NE(all_edges(Rmat(8, 4, 1)), all_edges(Rmat(8, 4, 2)));
}

TEST(Rmat, stays_the_graph_it_was) {
    // Other programs compare rates and ranks across releases: these may not change.
    const Rmat rmat(20, 16, 1);
    const Edge first{595341, 633150};
    const Edge last{95181, 439625};
    EXPECT_EQ(rmat.edge(0), first);
    EXPECT_EQ(rmat.edge(rmat.edges() - 1), last);
}

TEST(Rmat, scrambles_by_a_permutation_at_every_scale) {
    for (unsigned scale = 1; scale <= 12; ++scale) {
        const Rmat rmat(scale, 1, 5);
        std::vector<bool> seen(rmat.vertices());
        for (Vertex v = 0; v < rmat.vertices(); ++v) {
            ASSERT_LT(rmat.scramble(v), rmat.vertices());
            seen[rmat.scramble(v)] = true;
        }
        EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](bool s) { return s; })) << scale;
    }
}

TEST(Rmat, takes_the_quadrants_with_graph500_probabilities) {
    // At scale 1 an edge is one draw; undo the scrambling to see the quadrant.
    const Rmat rmat(1, 1000, 3);
    const Vertex zero = rmat.scramble(0);
    constexpr std::uint64_t draws = 1'000'000;
    std::uint64_t count[2][2] = {};
    for (std::uint64_t i = 0; i < draws; ++i) {
        const Edge edge = rmat.edge(i);
        ++count[edge.source != zero][edge.target != zero];
    }
    // Five standard deviations of a binomial of a million draws are below 0.0025.
    EXPECT_NEAR(static_cast<double>(count[0][0]) / draws, 0.57, 0.0025);
    EXPECT_NEAR(static_cast<double>(count[0][1]) / draws, 0.19, 0.0025);
    EXPECT_NEAR(static_cast<double>(count[1][0]) / draws, 0.19, 0.0025);
    EXPECT_NEAR(static_cast<double>(count[1][1]) / draws, 0.05, 0.0025);
}

TEST(Rmat, draws_levels_independently_at_every_scale) {
    // The most likely edge takes the upper left quadrant at each level, the least likely the lower
    // right one.
    constexpr std::uint64_t draws = 1'000'000;
    for (unsigned scale = 2; scale <= 9; ++scale) {
        const Rmat rmat(scale, 1000, 4);
        const Vertex first = rmat.scramble(0);
        const Vertex last = rmat.scramble(rmat.vertices() - 1);
        double all_upper_left = 0, sources_upper = 0, targets_left = 0;
        for (std::uint64_t i = 0; i < draws; ++i) {
            const Edge edge = rmat.edge(i);
            all_upper_left += edge == Edge{first, first};
            sources_upper += edge.source == first;
            targets_left += edge.target == last;
        }
        EXPECT_NEAR(all_upper_left / draws, std::pow(0.57, scale), 0.0025) << scale;
        EXPECT_NEAR(sources_upper / draws, std::pow(0.76, scale), 0.0025) << scale;
        EXPECT_NEAR(targets_left / draws, std::pow(0.24, scale), 0.0025) << scale;
    }
}

}  // namespace
