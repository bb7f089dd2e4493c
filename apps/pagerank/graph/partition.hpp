// SPDX-License-Identifier: BSD-3-Clause
// Partition: vertices in blocks of a power of two, blocks in consecutive ranges, one range a rank.
// Immutable after balance(). The block size depends on the graph alone, never on the number of
// ranks, so that what is summed block by block has the same bits on any number of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/types.hpp"

namespace graph {

class Partition {
public:
    // A position in a block fits 16 bits: tiles hold edges as pairs of them.
    static constexpr unsigned max_block_shift = 16;

    // block_vertices: a power of two up to 2^16; 0 chooses: about 64 blocks of 2^8 .. 2^14 vertices
    // (128 KiB of ranks: a source and a target block together stay in a second-level cache), larger
    // ones only when there would be more than 4096.
    Partition(Vertex vertices, std::uint32_t block_vertices, int ranks);

    // Ranges with about equal shares of `edges_of_block` (edges by their target's block) and
    // vertices. Ranges may be empty.
    void balance(std::span<const std::uint64_t> edges_of_block);

    Vertex vertices() const { return vertices_; }
    unsigned shift() const { return shift_; }
    std::uint32_t block_vertices() const { return 1u << shift_; }
    std::uint32_t blocks() const { return blocks_; }
    std::uint32_t block_of(Vertex vertex) const { return vertex >> shift_; }
    // Position within the block.
    std::uint32_t offset_of(Vertex vertex) const { return vertex & ((1u << shift_) - 1); }
    Vertex first_vertex(std::uint32_t block) const { return block << shift_; }
    std::uint32_t vertices_in(std::uint32_t block) const;  // the last block may be short

    std::uint32_t first_block(int rank) const { return first_block_[rank]; }
    std::uint32_t end_block(int rank) const { return first_block_[rank + 1]; }
    Vertex first_owned(int rank) const;
    Vertex end_owned(int rank) const;
    int owner_of_block(std::uint32_t block) const;
    int owner(Vertex vertex) const { return owner_of_block(block_of(vertex)); }
    int ranks() const { return static_cast<int>(first_block_.size()) - 1; }

private:
    Vertex vertices_;
    unsigned shift_;
    std::uint32_t blocks_;
    std::vector<std::uint32_t> first_block_;  // by rank, and blocks_ at the end
};

}  // namespace graph
