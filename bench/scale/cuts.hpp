// SPDX-License-Identifier: BSD-3-Clause
// Cuts of a World as checkpoints make them, and what they cost.
#pragma once

#include <cstdint>
#include <span>

#include "world.hpp"

namespace ssi::bench {

struct CutCost {
    Cost stopping;               // from the closing of the gate until it is open again everywhere
    std::uint64_t objects = 0;   // that the cut handed out, on all nodes
};

// One cut of all nodes: `sets` has the set by node.
CutCost cut_everywhere(World& world, std::span<const kddm::RawSet> sets);

}  // namespace ssi::bench
