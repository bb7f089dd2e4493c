// SPDX-License-Identifier: BSD-3-Clause
#include "graph/tiles.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "graph/rmat.hpp"

namespace {

using graph::Edge;
using graph::Edges;
using graph::Partition;
using graph::TileIndex;
using graph::TileSorter;

Edges sorted(Edges edges) {
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) {
        return a.source != b.source ? a.source < b.source : a.target < b.target;
    });
    return edges;
}

struct Pieces {
    std::vector<std::vector<std::uint32_t>> memory;
    std::vector<TileSorter::Piece> pieces;
};

Pieces write_all(const TileSorter& sorter, std::size_t max_bytes) {
    Pieces result;
    result.pieces = sorter.pieces(max_bytes);
    for (const auto& piece : result.pieces) {
        result.memory.emplace_back(piece.bytes / 4);
        sorter.write(piece, std::as_writable_bytes(std::span(result.memory.back())));
    }
    return result;
}

Edges decode(const Partition& partition, const TileIndex& index) {
    Edges edges;
    for (std::uint32_t source = 0; source < partition.blocks(); ++source)
        for (const auto& tile : index.from(source))
            for (std::size_t i = 0; i < tile.count; ++i)
                edges.push_back(
                    {partition.first_vertex(source) + graph::source_offset(tile.codes[i]),
                     partition.first_vertex(tile.target_block) +
                         graph::target_offset(tile.codes[i])});
    return sorted(edges);
}

class TilesOfRmat : public testing::Test {
protected:
    TilesOfRmat() { rmat_.generate(0, rmat_.edges(), edges_); }
    Edges owned(const Partition& partition, int rank) const {
        Edges mine;
        for (const Edge& edge : edges_)
            if (partition.owner(edge.target) == rank) mine.push_back(edge);
        return mine;
    }
    graph::Rmat rmat_{10, 16, 1};
    Edges edges_;
};

TEST_F(TilesOfRmat, hold_exactly_the_edges_of_each_rank_at_any_piece_size) {
    for (const std::uint32_t block : {64u, 1024u, 65536u})
        for (const int ranks : {1, 3})
            for (const std::size_t max_bytes : {64ul, 100ul, 4096ul, 1ul << 26}) {
                const Partition partition(rmat_.vertices(), block, ranks);
                for (int rank = 0; rank < ranks; ++rank) {
                    const auto mine = owned(partition, rank);
                    const std::span<const Edge> part = mine;
                    const TileSorter sorter(partition, rank, std::span(&part, 1));
                    const Pieces pieces = write_all(sorter, max_bytes);
                    TileIndex index(partition.blocks());
                    for (std::size_t i = 0; i < pieces.pieces.size(); ++i) {
                        EXPECT_LE(pieces.pieces[i].bytes, max_bytes);
                        EXPECT_EQ(pieces.pieces[i].bytes % 4, 0u);
                        index.add(pieces.pieces[i].target_block,
                                  std::as_bytes(std::span(pieces.memory[i])));
                    }
                    EXPECT_EQ(index.edges(), mine.size());
                    EXPECT_EQ(decode(partition, index), sorted(mine));
                }
            }
}

TEST_F(TilesOfRmat, do_not_depend_on_the_order_or_parts_of_the_edges) {
    const Partition partition(rmat_.vertices(), 64, 1);
    const std::span<const Edge> whole = edges_;
    const Pieces once = write_all(TileSorter(partition, 0, std::span(&whole, 1)), 4096);
    auto reversed = edges_;
    std::reverse(reversed.begin(), reversed.end());
    const std::span<const Edge> halves[] = {std::span(reversed).first(1000),
                                            std::span(reversed).subspan(1000)};
    const Pieces again = write_all(TileSorter(partition, 0, halves), 4096);
    EXPECT_EQ(once.memory, again.memory);
}

TEST(Tiles, of_a_rank_without_edges_make_no_piece) {
    const Partition partition(1000, 64, 2);
    EXPECT_TRUE(TileSorter(partition, 1, {}).pieces(4096).empty());
}

TEST(Tiles, number_the_pieces_of_each_block_from_zero) {
    const Partition partition(128, 64, 1);
    Edges edges(100, Edge{0, 70});
    edges.push_back({0, 1});
    const std::span<const Edge> part = edges;
    const auto pieces = TileSorter(partition, 0, std::span(&part, 1)).pieces(64);
    ASSERT_GT(pieces.size(), 2u);
    EXPECT_EQ(pieces[0].target_block, 0u);
    for (std::size_t i = 1; i < pieces.size(); ++i) {
        EXPECT_EQ(pieces[i].target_block, 1u);
        EXPECT_EQ(pieces[i].number, i - 1);
    }
}

}  // namespace
