// SPDX-License-Identifier: BSD-3-Clause
// A digest of a plate: a sum over cells in any order, in which every bit of every cell counts; and
// how much a row changed in a step.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <span>

#include "grid/types.hpp"

namespace jacobi {

inline std::uint64_t digest_of(const Plate& plate, std::int64_t row, std::int64_t first_col,
                               std::span<const double> cells) {
    auto place = static_cast<std::uint64_t>(row * plate.cols + first_col);
    std::uint64_t sum = 0;
    for (const double cell : cells) {
        std::uint64_t word = std::bit_cast<std::uint64_t>(cell) ^ (++place * 0x9e3779b97f4a7c15);
        word = (word ^ (word >> 32)) * 0xd6e8feb86659fd93;
        sum += word ^ (word >> 29);
    }
    return sum;
}

inline double change_of(std::span<const double> before, std::span<const double> after) {
    double largest = 0;
    for (std::size_t i = 0; i < before.size(); ++i)
        largest = std::max(largest, std::abs(after[i] - before[i]));
    return largest;
}

}  // namespace jacobi
