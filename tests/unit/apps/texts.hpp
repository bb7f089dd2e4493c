// SPDX-License-Identifier: BSD-3-Clause
// Helpers for tests of the readers.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "graph/edge_list.hpp"
#include "graph/packages.hpp"

namespace test {

using NamedEdge = std::pair<std::string, std::string>;

inline graph::Outcome<graph::Graph> edge_list(std::string_view text, bool skip = false) {
    auto reader = graph::LineReader::over_text(text, "test.txt");
    return graph::read_edge_list(reader, skip);
}

inline graph::Outcome<graph::Graph> packages(std::string_view text, bool skip = false,
                                             graph::PackageCounts* counts = nullptr) {
    auto reader = graph::LineReader::over_text(text, "index");
    return graph::read_packages(reader, skip, counts);
}

// Sorted; empty when reading failed.
inline std::vector<NamedEdge> named_edges(const graph::Outcome<graph::Graph>& graph) {
    std::vector<NamedEdge> edges;
    if (!graph) return edges;
    for (const graph::Edge& edge : graph->edges)
        edges.emplace_back(graph->names[edge.source], graph->names[edge.target]);
    std::sort(edges.begin(), edges.end());
    return edges;
}

inline std::string error_text(const graph::Outcome<graph::Graph>& graph) {
    return graph ? "" : graph.error().text;
}

}  // namespace test
