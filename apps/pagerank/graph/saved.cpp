// SPDX-License-Identifier: BSD-3-Clause
#include "graph/saved.hpp"

#include <fmt/core.h>

#include <cstring>

namespace graph {

std::string read_saved(std::span<const std::byte> bytes, Saved& saved) {
    if (bytes.size() >= sizeof saved.format)
        std::memcpy(&saved.format, bytes.data(), sizeof saved.format);
    if (bytes.size() >= sizeof saved.format && saved.format > Saved::newest_format)
        return fmt::format("was saved in format {}, of which this program knows up to {}",
                           saved.format, Saved::newest_format);
    if (bytes.size() != sizeof saved || saved.format != Saved::newest_format)
        return "has no state of a ranking";
    std::memcpy(&saved, bytes.data(), sizeof saved);
    return {};
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
