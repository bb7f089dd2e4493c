// SPDX-License-Identifier: BSD-3-Clause
#include "graph/reference.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace graph {

InEdges::InEdges(Vertex vertices, std::span<const Edge> edges)
    : begin(std::size_t{vertices} + 1), sources(edges.size()), out_degree(vertices) {
    for (const Edge& edge : edges) {
        ++begin[std::size_t{edge.target} + 1];
        ++out_degree[edge.source];
    }
    for (std::size_t v = 0; v < vertices; ++v) begin[v + 1] += begin[v];
    std::vector<std::uint64_t> next(begin.begin(), begin.end() - 1);
    for (const Edge& edge : edges) sources[next[edge.target]++] = edge.source;
}

ReferenceRanks reference_pagerank(const InEdges& graph, double damping, std::uint32_t iterations) {
    const std::size_t n = graph.out_degree.size();
    ReferenceRanks result;
    result.ranks.assign(n, 1.0 / static_cast<double>(n));
    std::vector<double> shares(n);
    for (std::uint32_t iteration = 0; iteration < iterations; ++iteration) {
        double dangling = 0;
        for (std::size_t v = 0; v < n; ++v) {
            shares[v] = graph.out_degree[v] ? result.ranks[v] / graph.out_degree[v] : 0;
            if (!graph.out_degree[v]) dangling += result.ranks[v];
        }
        result.residual = 0;
        for (std::size_t v = 0; v < n; ++v) {
            double sum = 0;
            for (std::uint64_t e = graph.begin[v]; e < graph.begin[v + 1]; ++e)
                sum += shares[graph.sources[e]];
            const double rank = (1 - damping) / static_cast<double>(n) +
                                damping * (sum + dangling / static_cast<double>(n));
            result.residual += std::fabs(rank - result.ranks[v]);
            result.ranks[v] = rank;
        }
    }
    return result;
}

std::vector<Vertex> reference_components(Vertex vertices, std::span<const Edge> edges) {
    // Breadth first over both directions, starting from the smallest vertex not yet reached.
    std::vector<std::uint64_t> begin(std::size_t{vertices} + 1);
    for (const Edge& edge : edges) {
        ++begin[std::size_t{edge.source} + 1];
        ++begin[std::size_t{edge.target} + 1];
    }
    for (std::size_t v = 0; v < vertices; ++v) begin[v + 1] += begin[v];
    LargeVector<Vertex> neighbours(2 * edges.size());
    std::vector<std::uint64_t> next(begin.begin(), begin.end() - 1);
    for (const Edge& edge : edges) {
        neighbours[next[edge.source]++] = edge.target;
        neighbours[next[edge.target]++] = edge.source;
    }
    constexpr Vertex unreached = std::numeric_limits<Vertex>::max();
    std::vector<Vertex> label(vertices, unreached);
    std::vector<Vertex> queue;
    for (Vertex start = 0; start < vertices; ++start) {
        if (label[start] != unreached) continue;
        label[start] = start;
        queue.assign(1, start);
        for (std::size_t at = 0; at < queue.size(); ++at)
            for (std::uint64_t e = begin[queue[at]]; e < begin[std::size_t{queue[at]} + 1]; ++e)
                if (label[neighbours[e]] == unreached) {
                    label[neighbours[e]] = start;
                    queue.push_back(neighbours[e]);
                }
    }
    return label;
}

double max_relative_difference(std::span<const double> a, std::span<const double> b) {
    double worst = 0;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (!std::isfinite(a[i]) || !std::isfinite(b[i]))
            return std::numeric_limits<double>::infinity();
        const double scale = std::max(std::fabs(a[i]), std::fabs(b[i]));
        if (scale > 0) worst = std::max(worst, std::fabs(a[i] - b[i]) / scale);
    }
    return worst;
}

}  // namespace graph
