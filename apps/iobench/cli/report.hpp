// SPDX-License-Identifier: BSD-3-Clause
// What a run of iobench has measured.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace iobench {

struct Phase {
    std::string pattern, name;      // "easy", "write"
    double seconds = 0;             // of the slowest rank
    double bytes = 0;               // of all ranks; 0: operations count
    double operations = 0;
};

struct Report {
    std::string system;             // "kDFS on 2 volumes", "/dev/shm"
    int ranks = 1;
    std::vector<Phase> phases;
    std::string text() const;
    std::string json() const;
};

}  // namespace iobench
