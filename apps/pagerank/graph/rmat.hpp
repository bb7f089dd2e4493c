// SPDX-License-Identifier: BSD-3-Clause
// R-MAT graphs (Chakrabarti, Zhan, Faloutsos: R-MAT, SDM 2004) with the Graph500 parameters
// 0.57, 0.19, 0.19, 0.05 and Graph500's scrambling of the vertex numbers. Edge i is a pure function
// of (scale, seed, i), so any number of ranks generates the same graph, each a part of it.
#pragma once

#include <cstdint>

#include "graph/quadrants.hpp"
#include "graph/types.hpp"

namespace graph {

class Rmat {
public:
    static constexpr unsigned max_scale = 30;
    // 2^scale vertices, edge_factor x 2^scale edges; 1 <= scale <= max_scale.
    Rmat(unsigned scale, std::uint64_t edge_factor, std::uint64_t seed);

    Vertex vertices() const { return Vertex{1} << scale_; }
    std::uint64_t edges() const { return edge_factor_ << scale_; }
    Edge edge(std::uint64_t index) const;
    // Edges [first, last), appended.
    void generate(std::uint64_t first, std::uint64_t last, Edges& out) const;

    // A permutation of the vertex numbers, so that hubs are not all at the low end.
    Vertex scramble(Vertex vertex) const;

private:
    unsigned scale_;
    std::uint64_t edge_factor_;
    std::uint64_t seed_;
    QuadrantTable top_levels_;   // all levels but the last few, four at a time
    QuadrantTable last_levels_;
    Vertex mask_;
    Vertex multiplier_[2];  // odd
    Vertex offset_;
};

}  // namespace graph
