// SPDX-License-Identifier: BSD-3-Clause
#include "graph/step.hpp"

#include <algorithm>
#include <cmath>

namespace graph {
namespace {

// So many vertices at a time: what is handed from loop to loop stays in the nearest cache.
constexpr std::size_t strip = 256;
// Sums side by side, which vectorizes: one alone would make every addition wait for the one before,
// and branch on dangling vertices, which come in no order that can be foreseen.
constexpr std::size_t lanes = 4;

struct Partial {
    double residual[lanes] = {};
    double dangling[lanes] = {};
};

double total(const double (&parts)[lanes]) { return parts[0] + parts[1] + parts[2] + parts[3]; }

// One vertex; `part` is its sum and becomes its share.
inline void finish(const StepRule& rule, double inverse, double& part, double& rank,
                   double& residual, double& dangling) {
    const double after = rule.base + rule.damping * part;
    residual += std::fabs(after - rank);
    dangling += inverse == 0 ? after : 0;
    rank = after;
    part = after * inverse;
}

void finish_strip(const StepRule& rule, std::size_t count, const double* __restrict inverse,
                  double* __restrict part, double* __restrict rank, Partial& partial) {
    std::size_t i = 0;
    for (; i + lanes <= count; i += lanes)
        for (std::size_t lane = 0; lane < lanes; ++lane)
            finish(rule, inverse[i + lane], part[i + lane], rank[i + lane],
                   partial.residual[lane], partial.dangling[lane]);
    for (; i < count; ++i)
        finish(rule, inverse[i], part[i], rank[i], partial.residual[0], partial.dangling[0]);
}

}  // namespace

void accumulate(const Code* codes, std::size_t count, const Amount* __restrict shares,
                Amount* __restrict sums) {
    for (std::size_t i = 0; i < count; ++i)
        sums[target_offset(codes[i])] += shares[source_offset(codes[i])];
}

StepRule StepRule::of(std::uint64_t vertices, double damping, Amount dangling) {
    return {((1 - damping) + damping * from_amount(dangling)) / static_cast<double>(vertices),
            damping};
}

StepTotals finish_block(StepRule rule, std::span<const double> inverse_degree,
                        std::span<Amount> sums, std::span<double> ranks,
                        std::span<Amount> shares) {
    Partial partial;
    double parts[strip];
    for (std::size_t first = 0; first < ranks.size(); first += strip) {
        const std::size_t count = std::min(strip, ranks.size() - first);
        for (std::size_t i = 0; i < count; ++i) parts[i] = from_amount(sums[first + i]);
        finish_strip(rule, count, &inverse_degree[first], parts, &ranks[first], partial);
        for (std::size_t i = 0; i < count; ++i) shares[first + i] = to_amount(parts[i]);
    }
    std::fill(sums.begin(), sums.end(), 0);
    return {to_amount(total(partial.residual)), to_amount(total(partial.dangling))};
}

Amount start_block(std::uint64_t vertices, std::span<const double> inverse_degree,
                   std::span<double> ranks, std::span<Amount> shares) {
    const double rank = 1 / static_cast<double>(vertices);
    double dangling = 0;
    for (std::size_t i = 0; i < ranks.size(); ++i) {
        ranks[i] = rank;
        dangling += inverse_degree[i] == 0 ? rank : 0;
    }
    share_block(inverse_degree, ranks, shares);
    return to_amount(dangling);
}

void share_block(std::span<const double> inverse_degree, std::span<const double> ranks,
                 std::span<Amount> shares) {
    for (std::size_t i = 0; i < ranks.size(); ++i)
        shares[i] = to_amount(ranks[i] * inverse_degree[i]);
}

}  // namespace graph
