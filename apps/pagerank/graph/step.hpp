// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of one PageRank iteration (Page, Brin, Motwani, Winograd: The PageRank Citation
// Ranking, 1999), block by block. A vertex's *share* is its rank divided by its out-degree; the
// rank of vertices without out-edges is spread over all vertices:
//     rank'(v) = (1 - d) / n + d * (sum of shares(u) over edges u -> v + dangling / n)
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "graph/tiles.hpp"

namespace graph {

// sums[target] += shares[source] over one tile; both point at the first vertex of their block.
void accumulate(const Code* codes, std::size_t count, const double* shares, double* sums);

struct StepTotals {
    double residual = 0;  // sum of |rank' - rank|
    double dangling = 0;  // sum of rank' over vertices without out-edges
};

struct StepRule {
    double base;  // what every vertex gets: (1 - d) / n + d * dangling / n
    double damping;
    static StepRule of(std::uint64_t vertices, double damping, double dangling);
};

// Turns a block's sums into its new ranks and shares, and zeroes the sums. `inverse_degree` is
// 1 / out-degree, 0 for vertices without out-edges. All spans have the block's length.
StepTotals finish_block(StepRule rule, std::span<const double> inverse_degree,
                        std::span<double> sums, std::span<double> ranks, std::span<double> shares);

// The ranks and shares before the first iteration: 1 / n each. Returns the dangling rank.
double start_block(std::uint64_t vertices, std::span<const double> inverse_degree,
                   std::span<double> ranks, std::span<double> shares);

}  // namespace graph
