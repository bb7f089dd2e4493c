// SPDX-License-Identifier: BSD-3-Clause
// The command line of gups and of its plain-MPI peers.
#pragma once

#include <tl/expected.hpp>

#include <cstdint>
#include <string>

#include "support/leave.hpp"

namespace gups {

enum class Mode : std::uint8_t { accumulate, shm, alltoallv };   // of the peers

struct Options {
    std::uint64_t words = std::uint64_t{1} << 20;
    std::uint64_t updates = 0;        // of each rank; 0: four for each word, over all ranks
    std::uint64_t seed = 1;
    std::uint32_t object_bytes = 65536;
    std::uint64_t batch = 1024;       // updates that a peer may hold back
    Mode mode = Mode::accumulate;
    bool verify = false;
    bool json = false;
    bool progress = false;
};

enum class Program : std::uint8_t { kddm, mpi_peer };

tl::expected<Options, support::Leave> parse(Program program, int argc, const char* const* argv);

}  // namespace gups
