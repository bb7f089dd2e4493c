// SPDX-License-Identifier: BSD-3-Clause
// Source: the graph that the options ask for, before it is distributed. An R-MAT graph comes in
// equal slices, one a rank; a graph from a file of the machine whole on rank 0, one that all ranks
// read together in the slices that they read.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/options.hpp"
#include "graph/rmat.hpp"
#include "graph/types.hpp"

namespace cli {

class Source {
public:
    // Reads the input where that is this rank's job.
    static graph::Outcome<Source> open(const Options& options, bool first_rank);

    // Of a graph that all ranks have read together: this rank's edges, all names. Its size is yet
    // to be set, and all edges, on rank 0, when somebody wants the whole.
    static Source of_slice(graph::Graph slice, std::string description);
    void set_whole(graph::Edges edges) { whole_ = std::move(edges); }
    // Each rank has a slice, not rank 0 all.
    bool is_sliced() const { return rmat_ || is_slice_; }

    // What the other ranks must be told about a graph from a file.
    void set_size(graph::Vertex vertices, std::uint64_t edges);
    graph::Vertex vertices() const { return vertices_; }
    std::uint64_t edges() const { return edges_; }

    graph::Edges slice(int rank, int ranks) const;
    // On rank 0: all edges.
    graph::Edges whole() const { return is_slice_ ? whole_ : slice(0, 1); }
    std::string name(graph::Vertex vertex) const;  // on rank 0
    const std::string& description() const { return description_; }
    const std::vector<std::string>& notes() const { return graph_.notes; }

private:
    std::string description_;
    graph::Vertex vertices_ = 0;
    std::uint64_t edges_ = 0;
    std::optional<graph::Rmat> rmat_;
    graph::Graph graph_;  // of a file, on rank 0; or this rank's slice
    bool is_slice_ = false;
    graph::Edges whole_;
};

}  // namespace cli
