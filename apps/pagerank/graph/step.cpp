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
    const std::size_t count = ranks.size();
    const double* __restrict inverse = inverse_degree.data();
    double* __restrict sum = sums.data();
    double* __restrict rank = ranks.data();
    double* __restrict share = shares.data();
    // Four sums side by side: one alone would make every addition wait for the one before.
    constexpr std::size_t lanes = 4;
    StepTotals totals[lanes];
    const auto finish = [&](std::size_t i, StepTotals& total) {
        const double after = rule.base + rule.damping * sum[i];
        total.residual += std::fabs(after - rank[i]);
        total.dangling += inverse[i] == 0 ? after : 0;
        rank[i] = after;
        share[i] = after * inverse[i];
        sum[i] = 0;
    };
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes)
        for (std::size_t lane = 0; lane < lanes; ++lane) finish(i + lane, totals[lane]);
    for (; i < count; ++i) finish(i, totals[0]);
    StepTotals all;
    for (const StepTotals& total : totals) {
        all.residual += total.residual;
        all.dangling += total.dangling;
    }
    return all;
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
