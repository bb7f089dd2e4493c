// SPDX-License-Identifier: BSD-3-Clause
// The vertices with the highest ranks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

#include "graph/types.hpp"

namespace graph {

struct Ranked {
    double rank;
    Vertex vertex;
    std::uint32_t zero = 0;  // no indeterminate bytes: these travel as they are
};

// Higher ranks first, equal ranks by vertex.
inline bool ranks_above(const Ranked& a, const Ranked& b) {
    return a.rank != b.rank ? a.rank > b.rank : a.vertex < b.vertex;
}

// Keeps the best `count` of `candidates`, best first.
inline void keep_top(std::vector<Ranked>& candidates, std::size_t count) {
    const std::size_t kept = std::min(count, candidates.size());
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(kept),
                      candidates.end(), ranks_above);
    candidates.resize(kept);
}

}  // namespace graph
