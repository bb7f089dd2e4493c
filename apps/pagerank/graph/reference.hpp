// SPDX-License-Identifier: BSD-3-Clause
// The serial twins: the textbook algorithms on one whole graph, without tiles, blocks or ranks.
// --verify compares with them, so they share no code with the parallel programs.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/types.hpp"

namespace graph {

// Edges by target, compressed: the sources of v's in-edges are sources[begin[v] .. begin[v + 1]).
struct InEdges {
    InEdges(Vertex vertices, std::span<const Edge> edges);
    std::vector<std::uint64_t> begin;
    LargeVector<Vertex> sources;
    std::vector<Vertex> out_degree;
};

struct ReferenceRanks {
    std::vector<double> ranks;
    double residual = 0;  // of the last iteration
};
// Exactly `iterations` iterations.
ReferenceRanks reference_pagerank(const InEdges& graph, double damping, std::uint32_t iterations);

// Weakly connected components: by vertex, the smallest vertex of its component.
std::vector<Vertex> reference_components(Vertex vertices, std::span<const Edge> edges);

// The largest |a - b| / max(|a|, |b|); infinite when a value is not finite.
double max_relative_difference(std::span<const double> a, std::span<const double> b);

}  // namespace graph
