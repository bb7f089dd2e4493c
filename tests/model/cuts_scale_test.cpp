// SPDX-License-Identifier: BSD-3-Clause
// What it costs to stop a session for a checkpoint grows as a tree gets deeper. bench/scale
// measures the same on up to 10,000 nodes.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <vector>

#include "cuts.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint64_t objects = 3;   // of each node
constexpr double passes = 10;          // five reductions, up and down

CutCost measure(std::uint32_t nodes) {
    World world(nodes);
    std::vector<kddm::RawSet> sets(nodes);
    world.run_all([&](std::uint32_t n) {
        sets[n] = value_or_throw(world.engine(n).create_or_open(
            "set", {.object_bytes = 8, .placement = "high_bits"}));
        for (std::uint64_t i = 0; i < objects; ++i) {
            auto guard = value_or_throw(sets[n].grab(ObjectId((n + 1) % nodes, i)));
            std::memcpy(guard.writable().data(), &i, sizeof i);
        }
    });
    (void)cut_everywhere(world, sets);
    const CutCost second = cut_everywhere(world, sets);
    world.close();
    return second;
}

TEST(CutsScale, an_idle_session_stops_within_ten_passes_over_a_tree) {
    for (const std::uint32_t nodes : {4u, 32u, 128u}) {
        const CutCost cut = measure(nodes);
        EXPECT_EQ(cut.objects, nodes * objects) << nodes << " nodes";
        EXPECT_LE(cut.stopping.delays, passes * std::bit_width(nodes - 1)) << nodes << " nodes";
        EXPECT_LE(cut.stopping.messages, passes * (nodes - 1)) << nodes << " nodes";
    }
}

}  // namespace
}  // namespace ssi::bench
