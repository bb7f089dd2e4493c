// SPDX-License-Identifier: BSD-3-Clause
// A job that fails now and then, in simulated time: what the shipped strategies of checkpoints are
// worth. The same failures come whatever the strategy; they are exponentially distributed, and also
// hit checkpoints and restarts.
#pragma once

#include <cstdint>

#include "ssi/base/result.hpp"
#include "ssi/ckpt/policies.hpp"

namespace ssi::cli {

struct SimulatedJob {
    double mtbf_s = 0;
    double cost_s = 0;                   // the program stands, and then it is durable; any level
    double restart_s = 0;
    double seconds = 0;
    std::uint64_t seed = 1;
};

struct SimulatedRun {
    double useful_s = 0;                 // work that is there at the end
    double lost_s = 0;                   // work that was done once more
    double saving_s = 0, restarting_s = 0;
    std::uint64_t taken = 0, failures = 0;
    double total_s = 0;
    double efficiency() const { return useful_s / total_s; }
};

// unsupported: it decides too often for so long a job.
Result<SimulatedRun> simulate(ckpt::Policies& policies, const SimulatedJob& job);

}  // namespace ssi::cli
