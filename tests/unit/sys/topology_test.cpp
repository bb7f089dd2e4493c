// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/sys/topology.hpp"

#include <gtest/gtest.h>
#include <sched.h>

namespace ssi::sys {
namespace {

TEST(Topology, counts_at_least_one_of_everything) {
    const Topology found = read_topology();
    EXPECT_GE(found.usable_cores, 1);
    EXPECT_LE(found.usable_cores, found.affinity_cores);
    EXPECT_LE(found.affinity_cores, found.online_cores);
    EXPECT_GE(found.numa_nodes, 1);
    EXPECT_GE(found.packages, 1);
    EXPECT_FALSE(found.affinity.empty());
    EXPECT_EQ(found.usable_cores, usable_cores());
}

TEST(Topology, follows_the_affinity_mask) {
    cpu_set_t before;
    ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
    int first = 0;
    while (!CPU_ISSET(first, &before)) ++first;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    EXPECT_EQ(usable_cores(), 1);
    EXPECT_EQ(read_topology().affinity, std::to_string(first));
    ASSERT_EQ(sched_setaffinity(0, sizeof(before), &before), 0);
}

TEST(Topology, formats_ranges_of_cpus) {
    const unsigned char set[] = {1, 1, 1, 0, 1, 0, 0, 1, 1};
    EXPECT_EQ(format_cpu_list(set, 9), "0-2,4,7-8");
    EXPECT_EQ(format_cpu_list(set, 0), "");
}

}  // namespace
}  // namespace ssi::sys
