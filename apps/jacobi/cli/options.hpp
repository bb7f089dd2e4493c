// SPDX-License-Identifier: BSD-3-Clause
// The command line of jacobi and of its plain-MPI twin.
#pragma once

#include <tl/expected.hpp>

#include <string>

#include "grid/types.hpp"
#include "support/checkpoint_options.hpp"
#include "support/leave.hpp"

namespace jacobi {

struct Options {
    Plate plate{1024, 1024};
    std::uint64_t iterations = 100;
    std::int64_t block = 512;    // most cells on a block's side
    double speed = 0.2;          // thermal diffusivity x time step / cell size^2
    bool verify = false;
    bool json = false;
    bool progress = false;
    std::string png;             // a picture of the end
    std::string frames;          // a folder of pictures
    std::uint64_t every = 0;     // steps between frames
    std::int64_t pixels = 1024;  // at most, on a picture's longer side
    std::string beside;          // another run's report
    support::CheckpointOptions checkpoints;

    // Two planes of doubles.
    double state_bytes() const { return 16.0 * static_cast<double>(plate.cells()); }
};

enum class Program : std::uint8_t { kddm, mpi_twin };

tl::expected<Options, support::Leave> parse(Program program, int argc, const char* const* argv);

}  // namespace jacobi
