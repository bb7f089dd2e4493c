// SPDX-License-Identifier: BSD-3-Clause
// Who is in the session and where slots live. Immutable versions shared by all nodes of a process;
// a change makes a new version (static in this release).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "ssi/base/ids.hpp"

namespace ssi::node {

struct Member {
    NodeId node;
    Incarnation incarnation;
    std::uint64_t host_id = 0;  // same value: same host
    std::int32_t process_id = 0;
    std::string host_name;
    std::string control_socket;        // path on its host; empty: none
};

struct SlotEntry {
    NodeId node;
    std::uint32_t version = 1;  // of this slot: a receiver refuses a slot it does not hold at it
};

struct SlotTable {
    std::uint64_t version = 1;
    std::vector<SlotEntry> slots;
    const SlotEntry& at(SlotId slot) const { return slots[slot.value]; }
    std::uint32_t size() const { return static_cast<std::uint32_t>(slots.size()); }
};

struct Membership {
    Epoch epoch{1};
    std::vector<Member> members;                 // ascending by NodeId
    std::shared_ptr<const SlotTable> slot_table;
    // Position in `members`, or -1. O(log n).
    int index_of(NodeId node) const;
    const Member* find(NodeId node) const;
};

// Slot s -> member s % n. Slots: the next power of two >= 16 n, at least 1024.
std::shared_ptr<const Membership> make_membership(std::vector<Member> members);

}  // namespace ssi::node
