// SPDX-License-Identifier: BSD-3-Clause
// Volumes on a command line: `DIR/%n` stands for DIR/0, DIR/1, ... Volume k belongs to rank k, or,
// when there are fewer ranks, to rank k modulo their number, so that a session of any size finds
// what one of another size has made. Without %n the k-th name is volume k.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <vector>

namespace support {

// Those of `rank`. `make`: a volume of this rank that is not there is one to be made.
inline std::vector<std::string> volumes_of(const std::vector<std::string>& names, int rank,
                                           int ranks, bool make) {
    constexpr int most = 65536;   // as many as a map of volumes has slots at most
    std::vector<std::string> mine;
    const auto there = [](const std::string& path) {
        struct stat of {};
        return ::stat(path.c_str(), &of) == 0;
    };
    int plain = 0;
    for (const std::string& name : names) {
        const auto at = name.find("%n");
        if (at == std::string::npos) {
            if (plain++ % ranks == rank) mine.push_back(name);
            continue;
        }
        for (int k = rank; k < most; k += ranks) {
            const std::string path = std::string(name).replace(at, 2, std::to_string(k));
            if (there(path) || (make && k == rank))
                mine.push_back(path);
            else
                break;
        }
    }
    return mine;
}

}  // namespace support
