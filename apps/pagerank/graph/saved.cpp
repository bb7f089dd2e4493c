// SPDX-License-Identifier: BSD-3-Clause
#include "graph/saved.hpp"

#include <fmt/core.h>

#include "support/saved_state.hpp"

namespace graph {

std::string read_saved(std::span<const std::byte> bytes, Saved& saved) {
    return support::read_saved_state(bytes, "a ranking", saved);
}

std::string fault_of(const Saved& saved, const Fingerprint& graph, double damping,
                     std::uint32_t most_iterations) {
    if (saved.graph.vertices != graph.vertices || saved.graph.edges != graph.edges)
        return fmt::format("is of a graph of {} vertices and {} edges, not {} and {}",
                           saved.graph.vertices, saved.graph.edges, graph.vertices, graph.edges);
    if (saved.graph.digest != graph.digest)
        return fmt::format("is of another graph: the digest of its edges is {:016x}, not {:016x}",
                           saved.graph.digest, graph.digest);
    if (saved.graph.block_vertices != graph.block_vertices)
        return fmt::format("has blocks of {} vertices, not {}: give the --block it was saved with",
                           saved.graph.block_vertices, graph.block_vertices);
    if (saved.damping != damping)
        return fmt::format("is of a run with --damping {}, not {}", saved.damping, damping);
    if (saved.iterations > most_iterations)
        return fmt::format("is of iteration {}, beyond --iterations {}", saved.iterations,
                           most_iterations);
    return {};
}

}  // namespace graph
