// SPDX-License-Identifier: BSD-3-Clause
// TiledSolver: PageRank on one whole graph in one process with the kernel of the parallel programs:
// the serial time that they are compared with. Owns everything. Not thread-safe.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "graph/step.hpp"
#include "graph/tiles.hpp"

namespace graph {

class TiledSolver {
public:
    // block_vertices as in Partition.
    TiledSolver(Vertex vertices, std::span<const Edge> edges, std::uint32_t block_vertices);
    // Exactly `iterations` iterations from the start. Returns the last residual.
    double run(double damping, std::uint32_t iterations);
    std::span<const double> ranks() const { return ranks_; }

private:
    template <class Vector>
    auto of_block(Vector& by_vertex, std::uint32_t block) const {
        return std::span(by_vertex).subspan(partition_.first_vertex(block),
                                            partition_.vertices_in(block));
    }

    Partition partition_;
    std::vector<LargeVector<std::uint32_t>> pieces_;  // a piece is a multiple of 4 bytes
    TileIndex index_;
    std::vector<double> inverse_degree_;
    LargeVector<double> ranks_;
    LargeVector<Amount> shares_, sums_;
};

// 1 / out-degree, 0 for 0.
std::vector<double> invert_degrees(std::span<const std::uint32_t> out_degree);

}  // namespace graph
