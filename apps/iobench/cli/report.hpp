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

// What a directory of many files means for one rank.
struct Share {
    std::uint64_t files = 0;        // whose inodes, and so their names' buckets, it was given
    double before_bytes = 0;        // resident, before the files were made
    double after_bytes = 0;         // and when all are there and were listed
};

struct Report {
    std::string system;             // "kDFS on 2 volumes", "/dev/shm"
    int ranks = 1;
    std::vector<Phase> phases;
    std::vector<Share> shares;      // of pattern crowd, by ranks
    std::string text() const;
    std::string json() const;
};

}  // namespace iobench
