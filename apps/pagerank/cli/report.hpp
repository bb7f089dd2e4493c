// SPDX-License-Identifier: BSD-3-Clause
// Report: what a run found and how fast, the same for both programs, as text or as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "support/checkpoint_options.hpp"
#include "support/counters.hpp"

namespace cli {

struct Report {
    struct Serial {  // the same kernel in one process
        double seconds = 0;
        double edges_per_second = 0;
    };
    struct Verification {
        double difference = 0;  // maximum relative difference from the textbook run
        double limit = 1e-9;    // what is accepted
        double seconds = 0;     // of the textbook run
        bool components_agree = true;
        bool passed() const { return difference <= limit && components_agree; }
    };
    struct Components {
        std::uint64_t count = 0;
        std::uint64_t largest = 0;  // vertices of the largest
        std::uint32_t rounds = 0;
        double seconds = 0;
    };
    struct Top {
        std::string name;
        double rank = 0;
    };

    std::string program;
    std::string input;
    std::vector<std::string> notes;
    int ranks = 1;
    std::uint64_t vertices = 0;
    std::uint64_t edges = 0;
    std::uint32_t block_vertices = 0;
    std::uint32_t iterations = 0;  // of one run
    std::uint32_t repeats = 1;     // runs
    bool converged = false;
    double residual = 0;
    double build_seconds = 0;     // generate or read, distribute, sort
    double seconds = 0;           // iterating, mean of the runs, the slowest rank's
    double edges_per_second = 0;  // edges x iterations / seconds
    std::uint64_t digest = 0;     // of the bits of all ranks, see graph/digest.hpp
    std::optional<Serial> serial;
    std::optional<Verification> verification;
    std::optional<Components> components;
    std::vector<Top> top;
    support::CheckpointReport checkpoints;
    std::vector<support::SetCounters> kddm;

    void set_time(double all_seconds, std::uint32_t runs);
    std::string text() const;
    std::string json() const;
};

}  // namespace cli
