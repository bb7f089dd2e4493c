// SPDX-License-Identifier: BSD-3-Clause
#include "memory_need.hpp"

#include "support/memory_need.hpp"

namespace pagerank {

double bytes_needed(const cli::Options& options, double vertices, double edges, int ranks,
                    int ranks_here, bool has_first) {
    // An edge is generated or read (8 bytes), sorted by owner (8), received (8), and becomes a
    // tile's code twice (4 + 4); the first two are gone when the last two are made.
    constexpr double per_edge = 24;
    // Degrees (4), the shares of both parities (16) and, at the end, labels and their forest (8).
    constexpr double per_vertex = 28;
    double bytes = ranks_here * (per_edge * edges / ranks + per_vertex * vertices);
    // Ranks that are written while they are being saved are there twice.
    if (!options.checkpoints.directory.empty()) bytes += 8 * vertices * ranks_here / ranks;
    // Rank 0 keeps the edges of a file of the machine, and holds the whole graph to run serially.
    const bool from_file = options.input != cli::InputKind::rmat && options.volumes.empty();
    if (has_first && from_file) bytes += per_edge * edges;
    if (has_first && (options.serial || options.verify)) bytes += 16 * edges + 40 * vertices;
    return bytes;
}

std::string memory_problem(ssi::Session& session, const cli::Options& options, double vertices,
                           double edges, bool& fits) {
    const auto host = support::this_host(session);
    const double needed = bytes_needed(options, vertices, edges, session.size(), host.ranks,
                                       host.has_first);
    return support::memory_problem(session, host, needed, "the graph",
                                   "use more hosts, a smaller graph, or --no-serial", fits);
}

}  // namespace pagerank
