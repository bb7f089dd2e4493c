// SPDX-License-Identifier: BSD-3-Clause
// Touched: the homes of a set whose objects live where they were first touched. Runs of
// consecutive ids make a slot; the node that the session's slot table names for it keeps the
// claim, and the first node that asks becomes the home. A claim is never taken back, so what a
// node has heard stays true. Thread-safe, without locks.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>

#include "ssi/base/ids.hpp"

namespace ssi::kddm {

class Touched {
public:
    Touched(std::uint64_t objects, std::uint32_t slots)
        : run_(objects / slots + (objects % slots != 0)), last_(slots - 1),
          homes_(std::make_unique<std::atomic<std::uint32_t>[]>(slots)) {}

    SlotId slot_of(ObjectId id) const {   // of an id that does not exist, some slot
        return SlotId(static_cast<std::uint32_t>(std::min(id.lo / run_, last_)));
    }
    NodeId home(SlotId slot) const {   // no_node: not known here
        return NodeId(homes_[slot.value].load(std::memory_order_acquire) - 1);
    }
    // Whoever comes first; returns the home.
    NodeId claim(SlotId slot, NodeId node) {
        std::uint32_t none = 0;
        const bool first = homes_[slot.value].compare_exchange_strong(none, node.value + 1,
                                                                      std::memory_order_acq_rel);
        return first ? node : NodeId(none - 1);
    }

private:
    const std::uint64_t run_;
    const std::uint64_t last_;
    std::unique_ptr<std::atomic<std::uint32_t>[]> homes_;   // 0: not known; else the node + 1
};
static_assert(no_node.value == UINT32_MAX);

}  // namespace ssi::kddm
