// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/sys/topology.hpp"

#include <hwloc.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <vector>

namespace ssi::sys {
namespace {

// One byte per CPU the affinity mask names. Grows the mask until the kernel's fits.
std::vector<unsigned char> affinity_mask() {
    for (int cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
        std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> mask(CPU_ALLOC(cpus),
                                                              [](cpu_set_t* m) { CPU_FREE(m); });
        const std::size_t bytes = CPU_ALLOC_SIZE(cpus);
        CPU_ZERO_S(bytes, mask.get());
        if (sched_getaffinity(0, bytes, mask.get()) != 0) continue;
        std::vector<unsigned char> set(static_cast<std::size_t>(cpus));
        for (int i = 0; i < cpus; ++i)
            set[static_cast<std::size_t>(i)] = CPU_ISSET_S(i, bytes, mask.get()) != 0;
        return set;
    }
    return {1};
}

// The tightest CPU quota of this process's cgroup v2 and its ancestors, in cores; 0: none.
double cgroup_quota() {
    std::ifstream self("/proc/self/cgroup");
    std::string line, group;
    while (std::getline(self, line))
        if (line.starts_with("0::")) group = line.substr(3);
    double quota = 0;
    while (true) {
        std::ifstream file("/sys/fs/cgroup" + (group == "/" ? std::string() : group) + "/cpu.max");
        std::string limit;
        double period = 0;
        if (file >> limit >> period && limit != "max" && period > 0) {
            const double cores = std::stod(limit) / period;
            quota = quota == 0 ? cores : std::min(quota, cores);
        }
        const auto slash = group.rfind('/');
        if (group.empty() || group == "/" || slash == std::string::npos) return quota;
        group.resize(slash);
    }
}

int lower_by_quota(int cores, double quota) {
    if (quota <= 0) return cores;
    return std::max(1, std::min(cores, static_cast<int>(std::ceil(quota))));
}

int count_set(const std::vector<unsigned char>& mask) {
    return std::max(1, static_cast<int>(std::count(mask.begin(), mask.end(), 1)));
}

}  // namespace

int usable_cores() { return lower_by_quota(count_set(affinity_mask()), cgroup_quota()); }

std::string format_cpu_list(const unsigned char* is_set, int count) {
    std::ostringstream out;
    for (int i = 0; i < count; ++i) {
        if (!is_set[i]) continue;
        int last = i;
        while (last + 1 < count && is_set[last + 1]) ++last;
        if (out.tellp() > 0) out << ',';
        out << i;
        if (last > i) out << '-' << last;
        i = last;
    }
    return out.str();
}

Topology read_topology() {
    Topology found;
    const auto mask = affinity_mask();
    found.affinity_cores = count_set(mask);
    found.quota_cores = cgroup_quota();
    found.usable_cores = lower_by_quota(found.affinity_cores, found.quota_cores);
    found.online_cores = std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
    found.affinity = format_cpu_list(mask.data(), static_cast<int>(mask.size()));
    hwloc_topology_t topology = nullptr;
    if (hwloc_topology_init(&topology) != 0) return found;
    if (hwloc_topology_load(topology) == 0) {
        found.numa_nodes = std::max(1, hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_NUMANODE));
        found.packages = std::max(1, hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_PACKAGE));
    }
    hwloc_topology_destroy(topology);
    return found;
}

}  // namespace ssi::sys
