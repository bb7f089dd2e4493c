// SPDX-License-Identifier: BSD-3-Clause
// Resident memory of this process, in bytes: anonymous, file and shared pages; now and at most.
#pragma once

#include <unistd.h>

#include <fstream>
#include <stdexcept>
#include <string>

namespace ssi::bench {

inline double resident_bytes() {
    std::ifstream statm("/proc/self/statm");
    double total_pages = 0, resident_pages = 0;
    if (!(statm >> total_pages >> resident_pages))
        throw std::runtime_error("cannot read /proc/self/statm");
    return resident_pages * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

// Not getrusage: its maximum is inherited from whoever started this program.
inline double peak_bytes() {
    std::ifstream status("/proc/self/status");
    std::string word;
    double kib = 0;
    while (status >> word)
        if (word == "VmHWM:" && status >> kib) return kib * 1024;
    throw std::runtime_error("no VmHWM in /proc/self/status");
}

}  // namespace ssi::bench
