// SPDX-License-Identifier: BSD-3-Clause
#include "memory_need.hpp"

#include <fmt/core.h>

#include "ssi/node/node.hpp"
#include "ssi/sys/memory_limits.hpp"

namespace pagerank {
namespace {

constexpr double gibibyte = 1024.0 * 1024 * 1024;

}  // namespace

double bytes_needed(const cli::Options& options, double vertices, double edges, int ranks,
                    int ranks_here, bool has_first) {
    // An edge is generated or read (8 bytes), sorted by owner (8), received (8), and becomes a
    // tile's code twice (4 + 4); the first two are gone when the last two are made.
    constexpr double per_edge = 24;
    // Degrees (4), the shares of both parities (16) and, at the end, labels and their forest (8).
    constexpr double per_vertex = 28;
    double bytes = ranks_here * (per_edge * edges / ranks + per_vertex * vertices);
    // Rank 0 keeps a file's edges, and holds the whole graph to run serially.
    const bool from_file = options.input != cli::InputKind::rmat;
    if (has_first && from_file) bytes += per_edge * edges;
    if (has_first && (options.serial || options.verify)) bytes += 16 * edges + 40 * vertices;
    return bytes;
}

std::string memory_problem(ssi::Session& session, const cli::Options& options, double vertices,
                           double edges, bool& fits) {
    const auto& members = session.internal_node().membership()->members;
    const auto mine = members[static_cast<std::size_t>(session.rank())].host_id;
    int ranks_here = 0;
    for (const auto& member : members) ranks_here += member.host_id == mine;
    const double needed = bytes_needed(options, vertices, edges, session.size(), ranks_here,
                                       members.front().host_id == mine);
    const auto limits = ssi::sys::read_memory_limits();
    const auto& limit = ssi::sys::tightest(limits);
    const bool fits_here = needed <= static_cast<double>(limit.left_bytes());
    const auto ranks = static_cast<std::uint64_t>(session.size());
    const std::uint64_t speaker = session.reduce(
        fits_here ? ranks : static_cast<std::uint64_t>(session.rank()), ssi::Reduce::min);
    fits = speaker == ranks;
    if (speaker != static_cast<std::uint64_t>(session.rank())) return {};
    return fmt::format(
        "the graph needs about {:.1f} GiB on a host of {} ranks, where {:.1f} GiB are "
        "left ({}): use more hosts, a smaller graph, or --no-serial",
        needed / gibibyte, ranks_here, static_cast<double>(limit.left_bytes()) / gibibyte,
        limit.name);
}

}  // namespace pagerank
