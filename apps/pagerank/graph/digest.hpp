// SPDX-License-Identifier: BSD-3-Clause
// Digests that do not depend on the order: sums, modulo 2^64, over parts in any order, in which
// every bit counts.
#pragma once

#include <bit>
#include <cstdint>
#include <span>

#include "graph/types.hpp"

namespace graph {

inline std::uint64_t mixed(std::uint64_t word, std::uint64_t place) {
    word ^= (place + 1) * 0x9e3779b97f4a7c15;
    word = (word ^ (word >> 32)) * 0xd6e8feb86659fd93;
    return word ^ (word >> 29);
}

// Of the ranks of consecutive vertices.
inline std::uint64_t digest_of(Vertex first, std::span<const double> ranks) {
    std::uint64_t sum = 0, place = first;
    for (const double rank : ranks) sum += mixed(std::bit_cast<std::uint64_t>(rank), place++);
    return sum;
}

// Of edges: a graph's is the sum over all of them.
inline std::uint64_t digest_of(std::span<const Edge> edges) {
    std::uint64_t sum = 0;
    for (const Edge& edge : edges)
        sum += mixed(std::uint64_t{edge.source} << 32 | edge.target, 0);
    return sum;
}

}  // namespace graph
