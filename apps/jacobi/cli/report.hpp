// SPDX-License-Identifier: BSD-3-Clause
// Report: what a run found and how fast, the same for both programs, as text or as JSON.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cli/beside.hpp"
#include "cli/options.hpp"
#include "grid/serial.hpp"
#include "support/checkpoint_options.hpp"
#include "support/counters.hpp"

namespace jacobi {

struct Report {
    struct Verification {
        Difference difference;
        double seconds = 0;  // of the serial run
        bool passed() const { return difference.cells == 0; }
    };

    std::string program;
    Plate plate;
    double state_bytes = 0;
    double speed = 0;
    int ranks = 1, rank_rows = 1, rank_cols = 1;
    std::uint32_t blocks = 1;
    std::int64_t block_rows = 0, block_cols = 0;  // of the largest
    std::uint64_t iterations = 0;
    double build_seconds = 0;
    double seconds = 0;          // stepping, the slowest rank's; of all runs from the start
    double change = 0;           // largest of any cell in the last step
    std::uint64_t digest = 0;
    std::optional<Verification> verification;
    std::optional<Beside> beside;
    std::string picture;
    std::uint64_t frames = 0;
    support::CheckpointReport checkpoints;
    std::vector<support::SetCounters> kddm;

    double updates_per_second() const {
        const double updates = static_cast<double>(plate.cells()) * static_cast<double>(iterations);
        return seconds > 0 ? updates / seconds : 0;
    }
    std::string text() const;
    std::string json() const;
};

}  // namespace jacobi
