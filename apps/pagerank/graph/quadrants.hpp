// SPDX-License-Identifier: BSD-3-Clause
// QuadrantTable: draws the quadrants of several R-MAT levels at once, by Walker's alias method in
// Vose's form (IEEE Trans. Software Eng. 17, 1991). Integers only, so that every machine draws the
// same. Immutable.
#pragma once

#include <cstdint>
#include <vector>

namespace graph {

class QuadrantTable {
public:
    static constexpr unsigned max_levels = 4;
    explicit QuadrantTable(unsigned levels);  // 1 .. max_levels

    unsigned levels() const { return levels_; }
    // From 32 random bits: the levels' source bits above their target bits, 2 x levels bits.
    std::uint32_t draw(std::uint32_t random) const {
        const std::uint32_t column = random >> fraction_bits_;
        const std::uint32_t fraction = random & ((1u << fraction_bits_) - 1);
        const Column& entry = columns_[column];
        // Without a branch, which no predictor would foresee.
        const std::uint32_t is_alias = fraction >= entry.threshold;
        return column ^ ((column ^ entry.alias) & (0u - is_alias));
    }

private:
    struct Column {
        std::uint32_t threshold;  // of 2^fraction_bits_: below it the column itself
        std::uint32_t alias;
    };
    unsigned levels_;
    unsigned fraction_bits_;
    std::vector<Column> columns_;
};

}  // namespace graph
