// SPDX-License-Identifier: BSD-3-Clause
// Tiles: the edges from one source block into one target block, each edge 4 bytes:
// source offset << 16 | target offset, ascending. Working tile by tile keeps both blocks of numbers
// in a near cache (as in propagation blocking, Beamer et al., IPDPS 2017), and a rank can start on
// any source block as soon as that block has arrived.
//
// A rank's tiles travel and live as *pieces*: self-contained byte images of at most a given size
// that hold tiles of one target block:
//     u32 tiles, u32 zero, then per tile {u32 source_block, u32 edges}, then the edges.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "graph/partition.hpp"
#include "graph/types.hpp"

namespace graph {

using Code = std::uint32_t;
constexpr Code encode(std::uint32_t source_offset, std::uint32_t target_offset) {
    return source_offset << 16 | target_offset;
}
constexpr std::uint32_t source_offset(Code code) { return code >> 16; }
constexpr std::uint32_t target_offset(Code code) { return code & 0xffff; }

// Sorts edges into tiles and writes them as pieces. Not thread-safe.
class TileSorter {
public:
    // `edges`: all edges whose target lies in `rank`'s range, in parts. The result does not depend
    // on their order.
    TileSorter(const Partition& partition, int rank, std::span<const std::span<const Edge>> edges);

    struct Piece {
        std::uint32_t target_block;
        std::uint32_t number;  // of the pieces of that block, from 0
        std::size_t bytes;
        std::size_t first_code, end_code;  // into the sorted codes
        std::uint32_t first_source_block;  // no code belongs to an earlier one
    };
    // Cuts into pieces of at most max_bytes (>= 64).
    std::vector<Piece> pieces(std::size_t max_bytes) const;
    // Fills `out`, which is piece.bytes long.
    void write(const Piece& piece, std::span<std::byte> out) const;

private:
    std::size_t tile_index(std::uint32_t target_block, std::uint32_t source_block) const {
        return static_cast<std::size_t>(target_block - first_block_) * blocks_ + source_block;
    }
    std::uint32_t blocks_;
    std::uint32_t first_block_, end_block_;  // of the target blocks
    std::vector<std::size_t> tile_end_;      // by tile: end of its codes
    LargeVector<Code> codes_;
};

// Views of the tiles of all pieces of one rank, by source block. The pieces' bytes must stay where
// they are.
class TileIndex {
public:
    struct Tile {
        const Code* codes;
        std::size_t count;
        std::uint32_t target_block;
    };
    explicit TileIndex(std::uint32_t blocks) : by_source_(blocks) {}
    // `piece` is aligned to 4 bytes.
    void add(std::uint32_t target_block, std::span<const std::byte> piece);
    std::span<const Tile> from(std::uint32_t source_block) const {
        return by_source_[source_block];
    }
    std::uint64_t edges() const { return edges_; }

private:
    std::vector<std::vector<Tile>> by_source_;
    std::uint64_t edges_ = 0;
};

}  // namespace graph
