// SPDX-License-Identifier: BSD-3-Clause
// What the graph library speaks: vertices, edges, a graph as it was read, and why reading failed.
// Pure C++, no libssi and no MPI: the KDDM program and its plain-MPI twin share all of it.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "graph/large_vector.hpp"

namespace graph {

using Vertex = std::uint32_t;
inline constexpr std::uint64_t max_vertices = 1ull << 31;

struct Edge {
    Vertex source;
    Vertex target;
    friend bool operator==(const Edge&, const Edge&) = default;
};
using Edges = LargeVector<Edge>;

// Why an input cannot be used. `text` names the file and, for malformed input, the lines.
struct Problem {
    enum class Kind : std::uint8_t { not_found, unreadable, malformed, empty, too_large };
    Kind kind;
    std::string text;
};

template <class T>
using Outcome = tl::expected<T, Problem>;

// A graph as a file gave it. Vertices are numbered in the order in which the input names them.
struct Graph {
    std::vector<std::string> names;  // by vertex
    Edges edges;
    std::vector<std::string> notes;  // what the reader skipped or resolved, one sentence each
    Vertex vertices() const { return static_cast<Vertex>(names.size()); }
};

}  // namespace graph
