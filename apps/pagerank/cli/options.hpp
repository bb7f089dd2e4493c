// SPDX-License-Identifier: BSD-3-Clause
// The command line of pagerank and of its plain-MPI twin, which understands the same options except
// those that only the KDDM program has.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/checkpoint_options.hpp"
#include "support/leave.hpp"

namespace cli {

enum class InputKind : std::uint8_t { edges, packages, debian, rmat };

struct Options {
    InputKind input = InputKind::rmat;
    std::string path;
    unsigned rmat_scale = 0;
    std::uint64_t edge_factor = 16;
    std::uint64_t seed = 1;
    bool skip_malformed = false;
    std::vector<std::string> volumes;   // not empty: `path` is in kDFS

    double damping = 0.85;
    double tolerance = 1e-10;
    std::uint32_t max_iterations = 200;
    std::uint32_t block_vertices = 0;  // 0: chosen from the graph
    bool components = false;

    std::uint32_t repeat = 1;
    double min_seconds = 0;

    std::uint32_t top = 20;
    bool verify = false;
    double verify_limit = 1e-9;
    bool serial = true;
    bool json = false;
    bool log_iterations = false;
    bool progress = false;
    support::CheckpointOptions checkpoints;
};

enum class Program : std::uint8_t { kddm, mpi_twin };

tl::expected<Options, support::Leave> parse(Program program, int argc, const char* const* argv);

}  // namespace cli
