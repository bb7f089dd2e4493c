// SPDX-License-Identifier: BSD-3-Clause
// Source: the graph that the options ask for, before it is distributed. An R-MAT graph comes in
// equal slices, one a rank; a graph from a file comes whole on rank 0.
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

    // What the other ranks must be told about a graph from a file.
    void set_size(graph::Vertex vertices, std::uint64_t edges);
    graph::Vertex vertices() const { return vertices_; }
    std::uint64_t edges() const { return edges_; }

    graph::Edges slice(int rank, int ranks) const;
    // On rank 0: all edges.
    graph::Edges whole() const { return slice(0, 1); }
    std::string name(graph::Vertex vertex) const;  // on rank 0
    const std::string& description() const { return description_; }
    const std::vector<std::string>& notes() const { return graph_.notes; }

private:
    std::string description_;
    graph::Vertex vertices_ = 0;
    std::uint64_t edges_ = 0;
    std::optional<graph::Rmat> rmat_;
    graph::Graph graph_;  // of a file, on rank 0
};

}  // namespace cli
