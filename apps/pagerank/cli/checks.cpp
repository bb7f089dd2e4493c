// SPDX-License-Identifier: BSD-3-Clause
#include "cli/checks.hpp"

#include <algorithm>

#include "graph/reference.hpp"
#include "graph/tiled_solver.hpp"

namespace cli {

void check(const Options& options, graph::Vertex vertices, std::span<const graph::Edge> edges,
           std::span<const double> ranks, std::span<const graph::Vertex> labels,
           const Seconds& seconds, Report& report) {
    if (options.serial) {
        graph::TiledSolver solver(vertices, edges, options.block_vertices);
        const double begin = seconds();
        solver.run(options.damping, report.iterations);
        Report::Serial serial;
        serial.seconds = seconds() - begin;
        serial.edges_per_second = serial.seconds > 0 ? static_cast<double>(edges.size()) *
                                                           report.iterations / serial.seconds
                                                     : 0;
        report.serial = serial;
    }
    if (!options.verify) return;
    const graph::InEdges in_edges(vertices, edges);
    Report::Verification verification;
    verification.limit = options.verify_limit;
    const double begin = seconds();
    const auto reference = graph::reference_pagerank(in_edges, options.damping, report.iterations);
    verification.seconds = seconds() - begin;
    verification.difference = graph::max_relative_difference(ranks, reference.ranks);
    if (!labels.empty())
        verification.components_agree =
            std::ranges::equal(labels, graph::reference_components(vertices, edges));
    report.verification = verification;
}

}  // namespace cli
