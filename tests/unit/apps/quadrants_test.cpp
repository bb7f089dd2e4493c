// SPDX-License-Identifier: BSD-3-Clause
#include "graph/quadrants.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace {

using graph::QuadrantTable;

// Every column is crossed in equal steps, so that the counts are the probabilities.
TEST(QuadrantTable, holds_the_products_of_the_levels_probabilities) {
    const double percent[2][2] = {{0.57, 0.19}, {0.19, 0.05}};
    for (unsigned levels = 1; levels <= QuadrantTable::max_levels; ++levels) {
        const QuadrantTable table(levels);
        const std::uint32_t outcomes = 1u << (2 * levels);
        std::vector<double> count(outcomes);
        constexpr std::uint64_t steps = 1 << 22;
        for (std::uint64_t step = 0; step < steps; ++step)
            ++count[table.draw(static_cast<std::uint32_t>((step << 32) / steps))];
        for (std::uint32_t outcome = 0; outcome < outcomes; ++outcome) {
            double expected = 1;
            for (unsigned level = 0; level < levels; ++level)
                expected *= percent[outcome >> (levels + level) & 1][outcome >> level & 1];
            EXPECT_NEAR(count[outcome] / steps, expected, 1e-4) << levels << " " << outcome;
        }
    }
}

TEST(QuadrantTable, draws_only_outcomes_of_its_levels) {
    for (unsigned levels = 1; levels <= QuadrantTable::max_levels; ++levels) {
        const QuadrantTable table(levels);
        for (const std::uint32_t random : {0u, 1u, 0x7fffffffu, 0x80000000u, 0xffffffffu})
            EXPECT_LT(table.draw(random), 1u << (2 * levels));
    }
}

}  // namespace
