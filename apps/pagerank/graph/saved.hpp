// SPDX-License-Identifier: BSD-3-Clause
// Saved: what is saved of a run beside the ranks, and by what its graph is known again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "graph/step.hpp"

namespace graph {

// Of a graph, however it is distributed.
struct Fingerprint {
    std::uint64_t vertices = 0;
    std::uint64_t edges = 0;
    std::uint64_t digest = 0;            // of the edges, see digest.hpp
    std::uint64_t block_vertices = 0;
    friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};

// As it lies in a checkpoint, in the order of bytes of the machine.
struct Saved {
    static constexpr std::uint32_t newest_format = 1;

    std::uint32_t format = newest_format;
    std::uint32_t iterations = 0;        // that were done
    StepTotals totals;                   // of the last one
    Fingerprint graph;
    double damping = 0;
    double seconds = 0;                  // that they took
};

// Of the bytes of a checkpoint; the fault, or an empty string.
std::string read_saved(std::span<const std::byte> bytes, Saved& saved);
// Why a run of this graph cannot go on from it, or an empty string.
std::string fault_of(const Saved& saved, const Fingerprint& graph, double damping,
                     std::uint32_t most_iterations);

}  // namespace graph
