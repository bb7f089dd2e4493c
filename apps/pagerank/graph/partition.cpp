// SPDX-License-Identifier: BSD-3-Clause
#include "graph/partition.hpp"

#include <algorithm>
#include <bit>

namespace graph {
namespace {

unsigned choose_shift(Vertex vertices) {
    constexpr unsigned smallest = 8;
    constexpr unsigned cache_friendly = 14;
    const unsigned bits = static_cast<unsigned>(std::bit_width(vertices));
    const unsigned for_64_blocks = std::clamp(bits > 6 ? bits - 6 : 0, smallest, cache_friendly);
    const unsigned for_4096_blocks = bits > 12 ? bits - 12 : 0;
    return std::min(std::max(for_64_blocks, for_4096_blocks), Partition::max_block_shift);
}

}  // namespace

Partition::Partition(Vertex vertices, std::uint32_t block_vertices, int ranks)
    : vertices_(vertices),
      shift_(block_vertices ? static_cast<unsigned>(std::countr_zero(block_vertices))
                            : choose_shift(vertices)),
      blocks_(
          static_cast<std::uint32_t>((std::uint64_t{vertices} + ((1u << shift_) - 1)) >> shift_)),
      first_block_(static_cast<std::size_t>(ranks) + 1, blocks_) {
    for (int rank = 0; rank < ranks; ++rank)
        first_block_[rank] = static_cast<std::uint32_t>(std::uint64_t{blocks_} *
                                                        static_cast<unsigned>(rank) / ranks);
}

std::uint32_t Partition::vertices_in(std::uint32_t block) const {
    return std::min(block_vertices(), vertices_ - first_vertex(block));
}

Vertex Partition::first_owned(int rank) const {
    return static_cast<Vertex>(
        std::min<std::uint64_t>(vertices_, std::uint64_t{first_block(rank)} << shift_));
}

Vertex Partition::end_owned(int rank) const {
    return static_cast<Vertex>(
        std::min<std::uint64_t>(vertices_, std::uint64_t{end_block(rank)} << shift_));
}

int Partition::owner_of_block(std::uint32_t block) const {
    return static_cast<int>(std::upper_bound(first_block_.begin(), first_block_.end() - 1, block) -
                            first_block_.begin()) -
           1;
}

void Partition::balance(std::span<const std::uint64_t> edges_of_block) {
    // Measured on one core: finishing a vertex costs about as much as two edges.
    constexpr std::uint64_t edges_per_vertex = 2;
    const auto cost_of = [&](std::uint32_t block) {
        return edges_of_block[block] + edges_per_vertex * vertices_in(block);
    };
    std::uint64_t total = 0;
    for (std::uint32_t block = 0; block < blocks_; ++block) total += cost_of(block);
    const auto ranks = static_cast<std::uint64_t>(this->ranks());
    std::uint64_t before = 0;
    std::size_t rank = 0;
    for (std::uint32_t block = 0; block < blocks_; ++block) {
        const std::uint64_t cost = cost_of(block);
        // A range starts at the first block whose middle lies in the rank's share.
        while (rank < ranks && (before + cost / 2) * ranks >= total * rank)
            first_block_[rank++] = block;
        before += cost;
    }
    while (rank < ranks) first_block_[rank++] = blocks_;
}

}  // namespace graph
