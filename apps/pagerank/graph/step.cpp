// SPDX-License-Identifier: BSD-3-Clause
#include "graph/step.hpp"

#include <cmath>

namespace graph {

void accumulate(const Code* codes, std::size_t count, const double* __restrict shares,
                double* __restrict sums) {
    for (std::size_t i = 0; i < count; ++i)
        sums[target_offset(codes[i])] += shares[source_offset(codes[i])];
}

StepRule StepRule::of(std::uint64_t vertices, double damping, double dangling) {
    return {((1 - damping) + damping * dangling) / static_cast<double>(vertices), damping};
}

StepTotals finish_block(StepRule rule, std::span<const double> inverse_degree,
                        std::span<double> sums, std::span<double> ranks, std::span<double> shares) {
    StepTotals totals;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
        const double rank = rule.base + rule.damping * sums[i];
        totals.residual += std::fabs(rank - ranks[i]);
        totals.dangling += inverse_degree[i] == 0 ? rank : 0;
        ranks[i] = rank;
        shares[i] = rank * inverse_degree[i];
        sums[i] = 0;
    }
    return totals;
}

double start_block(std::uint64_t vertices, std::span<const double> inverse_degree,
                   std::span<double> ranks, std::span<double> shares) {
    const double rank = 1 / static_cast<double>(vertices);
    double dangling = 0;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
        ranks[i] = rank;
        shares[i] = rank * inverse_degree[i];
        dangling += inverse_degree[i] == 0 ? rank : 0;
    }
    return dangling;
}

}  // namespace graph
