// SPDX-License-Identifier: BSD-3-Clause
// The arithmetic of one PageRank iteration (Page, Brin, Motwani, Winograd: The PageRank Citation
// Ranking, 1999), block by block. A vertex's *share* is its rank divided by its out-degree; the
// rank of vertices without out-edges is spread over all vertices:
//     rank'(v) = (1 - d) / n + d * (sum of shares(u) over edges u -> v + dangling / n)
//
// Whatever is summed over blocks or ranks is an Amount, an integer: its sums are exact, so the
// result has the same bits in whatever order the edges come and on however many ranks. All ranks
// together are 1, so no sum is too large. Rounding a share moves it by 2.2e-19 at most, which in a
// graph of a million vertices is 2e-13 of a mean rank.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "graph/tiles.hpp"

namespace graph {

// A part of all rank, in units of 2^-61: from -4 to 4.
using Amount = std::int64_t;
inline constexpr double amount_unit = 0x1p-61;
// Rounded to the nearest; `part` is at least 0.
inline Amount to_amount(double part) { return static_cast<Amount>(part * 0x1p61 + 0.5); }
inline double from_amount(Amount amount) { return static_cast<double>(amount) * amount_unit; }

// sums[target] += shares[source] over one tile; both point at the first vertex of their block.
void accumulate(const Code* codes, std::size_t count, const Amount* shares, Amount* sums);

struct StepTotals {
    Amount residual = 0;  // sum of |rank' - rank|
    Amount dangling = 0;  // sum of rank' over vertices without out-edges
    StepTotals& operator+=(const StepTotals& other) {
        residual += other.residual;
        dangling += other.dangling;
        return *this;
    }
};

struct StepRule {
    double base;  // what every vertex gets: (1 - d) / n + d * dangling / n
    double damping;
    static StepRule of(std::uint64_t vertices, double damping, Amount dangling);
};

// Turns a block's sums into its new ranks and shares, and zeroes the sums. `inverse_degree` is
// 1 / out-degree, 0 for vertices without out-edges. All spans have the block's length. The totals
// of the same graph cut into other blocks may differ in their last bits.
StepTotals finish_block(StepRule rule, std::span<const double> inverse_degree,
                        std::span<Amount> sums, std::span<double> ranks, std::span<Amount> shares);

// The ranks and shares before the first iteration: 1 / n each. Returns the dangling rank.
Amount start_block(std::uint64_t vertices, std::span<const double> inverse_degree,
                   std::span<double> ranks, std::span<Amount> shares);

// The shares of ranks that are there already.
void share_block(std::span<const double> inverse_degree, std::span<const double> ranks,
                 std::span<Amount> shares);

}  // namespace graph
