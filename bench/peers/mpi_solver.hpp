// SPDX-License-Identifier: BSD-3-Clause
// MpiSolver: PageRank over plain MPI with the partition, tiles and arithmetic of apps/pagerank, and
// MPI collectives where that has KDDM sets. Every function is collective over MPI_COMM_WORLD.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cli/options.hpp"
#include "graph/partition.hpp"
#include "graph/step.hpp"
#include "graph/tiles.hpp"
#include "graph/top.hpp"

namespace peers {

class MpiSolver {
public:
    // `edges`: this rank's share of the graph, any edges.
    MpiSolver(const cli::Options& options, graph::Vertex vertices, graph::Edges edges);

    struct Run {
        std::uint32_t iterations = 0;
        double residual = 0;
        bool converged = false;
        double seconds = 0;  // the slowest rank's
    };
    Run run();

    const graph::Partition& partition() const { return partition_; }
    std::vector<double> gather_ranks() const;                        // by vertex, on rank 0
    std::vector<graph::Ranked> gather_top(std::size_t count) const;  // on rank 0

private:
    graph::Edges exchange(const graph::Edges& edges) const;
    void count_degrees(const graph::Edges& edges);
    void sort_tiles(std::span<const graph::Edge> edges);
    graph::StepTotals step(graph::StepRule rule);
    void reduce(graph::StepTotals& totals) const;
    std::span<graph::Amount> shares_of(std::uint32_t block) {
        return std::span(shares_).subspan(partition_.first_vertex(block),
                                          partition_.vertices_in(block));
    }
    // Of an owned block.
    template <class Vector>
    auto of_block(Vector& of_owned, std::uint32_t block) const {
        return std::span(of_owned).subspan(
            partition_.first_vertex(block) - partition_.first_owned(rank_),
            partition_.vertices_in(block));
    }

    const cli::Options& options_;
    int rank_ = 0;
    int size_ = 1;
    graph::Partition partition_;
    std::vector<int> counts_, displacements_;  // owned vertices by rank, for MPI_Allgatherv
    std::vector<graph::LargeVector<std::uint32_t>> pieces_;
    graph::TileIndex tiles_;
    std::vector<double> inverse_degree_;  // of the owned vertices, as ranks_ and sums_
    graph::LargeVector<double> ranks_;
    graph::LargeVector<graph::Amount> sums_;
    graph::LargeVector<graph::Amount> shares_;  // of all vertices
};

}  // namespace peers
