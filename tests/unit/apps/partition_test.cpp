// SPDX-License-Identifier: BSD-3-Clause
#include "graph/partition.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace {

using graph::Partition;
using graph::Vertex;

void expect_consistent(const Partition& partition) {
    EXPECT_EQ(partition.first_block(0), 0u);
    EXPECT_EQ(partition.end_block(partition.ranks() - 1), partition.blocks());
    std::uint64_t vertices = 0;
    for (int rank = 0; rank < partition.ranks(); ++rank) {
        EXPECT_LE(partition.first_block(rank), partition.end_block(rank));
        vertices += partition.end_owned(rank) - partition.first_owned(rank);
        for (auto block = partition.first_block(rank); block < partition.end_block(rank); ++block)
            EXPECT_EQ(partition.owner_of_block(block), rank);
    }
    EXPECT_EQ(vertices, partition.vertices());
    std::uint64_t in_blocks = 0;
    for (std::uint32_t block = 0; block < partition.blocks(); ++block)
        in_blocks += partition.vertices_in(block);
    EXPECT_EQ(in_blocks, partition.vertices());
}

TEST(Partition, covers_all_vertices_at_any_size_and_rank_count) {
    for (const Vertex vertices : {1u, 2u, 63u, 64u, 65u, 1000u, 63666u, 1u << 20})
        for (const int ranks : {1, 2, 3, 4, 64, 100})
            for (const std::uint32_t block : {0u, 64u, 1024u, 65536u}) {
                Partition partition(vertices, block, ranks);
                expect_consistent(partition);
                partition.balance(std::vector<std::uint64_t>(partition.blocks(), 10));
                expect_consistent(partition);
                partition.balance(std::vector<std::uint64_t>(partition.blocks(), 0));
                expect_consistent(partition);
            }
}

TEST(Partition, chooses_blocks_by_the_graph_and_never_by_the_ranks) {
    EXPECT_EQ(Partition(63666, 0, 1).block_vertices(), 1024u);
    EXPECT_EQ(Partition(1 << 20, 0, 2).block_vertices(), 16384u);
    EXPECT_EQ(Partition(10, 0, 2).block_vertices(), 256u);
    EXPECT_EQ(Partition(1u << 30, 0, 2).block_vertices(), 65536u);
    EXPECT_EQ(Partition(1 << 20, 0, 1).block_vertices(),
              Partition(1 << 20, 0, 512).block_vertices());
}

TEST(Partition, balances_edges_rather_than_vertices) {
    Partition partition(64 * 100, 64, 4);
    std::vector<std::uint64_t> edges(100, 100);
    for (std::size_t block = 0; block < 10; ++block) edges[block] = 10'000;
    partition.balance(edges);
    expect_consistent(partition);
    const double total = std::accumulate(edges.begin(), edges.end(), 0.0);
    for (int rank = 0; rank < 4; ++rank) {
        double mine = 0;
        for (auto block = partition.first_block(rank); block < partition.end_block(rank); ++block)
            mine += static_cast<double>(edges[block]);
        EXPECT_NEAR(mine / total, 0.25, 0.1) << rank;
    }
}

TEST(Partition, survives_one_block_that_holds_everything) {
    Partition partition(64 * 10, 64, 4);
    std::vector<std::uint64_t> edges(10, 0);
    edges[3] = 1'000'000;
    partition.balance(edges);
    expect_consistent(partition);
}

TEST(Partition, finds_vertices_in_their_block) {
    const Partition partition(1000, 64, 3);
    for (Vertex v = 0; v < 1000; ++v) {
        const std::uint32_t block = partition.block_of(v);
        EXPECT_EQ(partition.first_vertex(block) + partition.offset_of(v), v);
        EXPECT_LT(partition.offset_of(v), partition.vertices_in(block));
    }
}

}  // namespace
