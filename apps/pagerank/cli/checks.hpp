// SPDX-License-Identifier: BSD-3-Clause
// What rank 0 of either program does after a run: times the serial kernel and verifies the ranks.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "graph/types.hpp"

namespace cli {

// Seconds from an arbitrary origin, monotonic.
using Seconds = std::function<double()>;

// Runs what the options ask for over the whole graph and fills `report`. `ranks` by vertex;
// `labels` by vertex, empty when no components were computed.
void check(const Options& options, graph::Vertex vertices, std::span<const graph::Edge> edges,
           std::span<const double> ranks, std::span<const graph::Vertex> labels,
           const Seconds& seconds, Report& report);

}  // namespace cli
