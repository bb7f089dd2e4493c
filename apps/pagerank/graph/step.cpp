// SPDX-License-Identifier: BSD-3-Clause
#include "graph/step.hpp"

#include <algorithm>
#include <cmath>

namespace graph {
namespace {

// One vertex.
inline void finish(const StepRule& rule, double inverse, double& sum, double& rank, double& share,
                   double& residual, double& dangling) {
    const double after = rule.base + rule.damping * sum;
    residual += std::fabs(after - rank);
    dangling += inverse == 0 ? after : 0;
    rank = after;
    share = after * inverse;
    sum = 0;
}

}  // namespace

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
    // Four sums side by side, which vectorizes: one alone would make every addition wait for the
    // one before, and branch on dangling vertices, which come in no order that can be foreseen.
    constexpr std::size_t lanes = 4;
    double residual[lanes] = {}, dangling[lanes] = {};
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes)
        for (std::size_t lane = 0; lane < lanes; ++lane)
            finish(rule, inverse[i + lane], sum[i + lane], rank[i + lane], share[i + lane],
                   residual[lane], dangling[lane]);
    for (; i < count; ++i)
        finish(rule, inverse[i], sum[i], rank[i], share[i], residual[0], dangling[0]);
    return {residual[0] + residual[1] + residual[2] + residual[3],
            dangling[0] + dangling[1] + dangling[2] + dangling[3]};
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
