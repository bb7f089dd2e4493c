// SPDX-License-Identifier: BSD-3-Clause
#include "graph/quadrants.hpp"

namespace graph {
namespace {

// In percent, by source bit and target bit: the parameters of Graph500.
constexpr std::uint64_t percent[2][2] = {{57, 19}, {19, 5}};

}  // namespace

QuadrantTable::QuadrantTable(unsigned levels)
    : levels_(levels), fraction_bits_(32 - 2 * levels), columns_(std::size_t{1} << (2 * levels)) {
    // Every column has room for `share`; the probabilities are in units of 1 / (share x columns).
    std::uint64_t share = 1;
    for (unsigned level = 0; level < levels; ++level) share *= 100;
    std::vector<std::uint64_t> weights(columns_.size(), columns_.size());
    std::vector<std::uint32_t> small, large;
    for (std::uint32_t outcome = 0; outcome < columns_.size(); ++outcome) {
        for (unsigned level = 0; level < levels; ++level)
            weights[outcome] *= percent[outcome >> (levels + level) & 1][outcome >> level & 1];
        (weights[outcome] < share ? small : large).push_back(outcome);
    }
    while (!small.empty()) {
        const std::uint32_t poor = small.back();
        const std::uint32_t rich = large.back();
        small.pop_back();
        columns_[poor].threshold =
            static_cast<std::uint32_t>((weights[poor] << fraction_bits_) / share);
        columns_[poor].alias = rich;
        weights[rich] -= share - weights[poor];
        if (weights[rich] < share) {
            large.pop_back();
            small.push_back(rich);
        }
    }
    // What is left fills its column exactly.
    for (const std::uint32_t outcome : large) columns_[outcome] = {1u << fraction_bits_, outcome};
}

}  // namespace graph
