// SPDX-License-Identifier: BSD-3-Clause
// How much memory this process may still take, and by whose word: the machine's free memory and
// the limits of its control groups, version 1 or 2, own and inherited. Shared memory counts against
// them like any other; passing one gets processes killed, so growth asks first.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace ssi::sys {

struct MemoryLimit {
    std::string name;               // "memory.max of cgroup /job/7", "memory of the machine"
    std::uint64_t limit_bytes = 0;
    std::uint64_t used_bytes = 0;   // without page cache that the kernel can drop
    std::uint64_t left_bytes() const { return limit_bytes - std::min(limit_bytes, used_bytes); }
};

// The machine first, then each control group that has a limit, innermost first. `root` is put in
// front of every path that is read (/proc/meminfo, /proc/self/cgroup, ...): for tests.
std::vector<MemoryLimit> read_memory_limits(const std::string& root = "");

// The one with the least left. `limits` must not be empty.
const MemoryLimit& tightest(const std::vector<MemoryLimit>& limits);

}  // namespace ssi::sys
