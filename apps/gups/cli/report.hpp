// SPDX-License-Identifier: BSD-3-Clause
// Report: how fast a table was updated and whether it holds what it must, as text or JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "support/counters.hpp"

namespace gups {

struct Report {
    std::string program;
    std::string method;          // how an update is made
    std::uint64_t words = 0;
    int ranks = 1;
    std::uint64_t updates = 0;   // of all ranks
    std::uint32_t object_bytes = 0;
    double seconds = 0;          // the slowest rank's
    std::optional<std::uint64_t> wrong_words;   // set by a verification
    std::vector<support::SetCounters> kddm;

    double updates_per_second() const {
        return seconds > 0 ? static_cast<double>(updates) / seconds : 0;
    }
    std::string text() const;
    std::string json() const;
};

}  // namespace gups
