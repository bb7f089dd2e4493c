// SPDX-License-Identifier: BSD-3-Clause
// What the machine gives this process: cores, NUMA nodes, packages. The progress policy and
// `ssi info` read it; nothing here changes any setting.
#pragma once

#include <string>

namespace ssi::sys {

// Cores this process may run on: the affinity mask, lowered by a cgroup CPU quota (rounded up).
// At least 1. Reads the system at each call; cheap enough for start-up, not for a loop.
int usable_cores();

struct Topology {
    int usable_cores = 1;      // see above
    int affinity_cores = 1;    // in the affinity mask alone
    int online_cores = 1;      // of the machine
    double quota_cores = 0;    // cgroup CPU quota in cores; 0: no quota
    int numa_nodes = 1;
    int packages = 1;
    std::string affinity;      // "0-3,8"
};
// Takes some milliseconds (hwloc). Falls back to one package and node when hwloc finds none.
Topology read_topology();

// "0-3,8" for the CPUs that are set; shared with tests.
std::string format_cpu_list(const unsigned char* is_set, int count);

}  // namespace ssi::sys
