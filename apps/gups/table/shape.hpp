// SPDX-License-Identifier: BSD-3-Clause
// Shape: a table of words in equal runs, one a rank; the last ranks' may be shorter, or empty.
#pragma once

#include <algorithm>
#include <cstdint>

namespace gups {

struct Shape {
    std::uint64_t words = 0;
    std::uint64_t per_rank = 0;   // of the first ranks
    int ranks = 1;

    // Runs are whole multiples of `unit` words.
    Shape(std::uint64_t all_words, int all_ranks, std::uint64_t unit = 1)
        : words(all_words), ranks(all_ranks) {
        const auto parts = static_cast<std::uint64_t>(all_ranks);
        const std::uint64_t units = (words + unit - 1) / unit;
        per_rank = std::max<std::uint64_t>(1, (units + parts - 1) / parts) * unit;
    }
    int owner(std::uint64_t word) const { return static_cast<int>(word / per_rank); }
    std::uint64_t first(int rank) const {
        return std::min(words, static_cast<std::uint64_t>(rank) * per_rank);
    }
    std::uint64_t count(int rank) const { return first(rank + 1) - first(rank); }
};

}  // namespace gups
