// SPDX-License-Identifier: BSD-3-Clause
// Refuses a graph that cannot fit before the kernel kills somebody over it.
#pragma once

#include <string>

#include "cli/options.hpp"
#include "ssi/ssi.hpp"

namespace pagerank {

// Bytes that the ranks of one host need at their peak, about: `ranks_here` of `ranks`, among them
// rank 0 or not.
double bytes_needed(const cli::Options& options, double vertices, double edges, int ranks,
                    int ranks_here, bool has_first);

// Collective. Empty when the graph fits everywhere; otherwise what one rank of a host that is too
// small has to say, and empty strings on the others. `fits` tells which it is, on every rank.
std::string memory_problem(ssi::Session& session, const cli::Options& options, double vertices,
                           double edges, bool& fits);

}  // namespace pagerank
