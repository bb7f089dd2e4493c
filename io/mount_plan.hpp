// SPDX-License-Identifier: BSD-3-Clause
// MountPlan: what the volumes that the nodes of a session found add up to: all of one map, all new,
// or an error that names what is wrong. A pure function, so that every node comes to the same.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "superblock.hpp"
#include "ssi/base/ids.hpp"

namespace ssi::io {

// A directory as its node found it.
struct FoundVolume {
    enum class State : std::uint32_t { blank, forming, formed };
    NodeId node;
    State state = State::blank;
    VolumeId id;                     // not of a blank one
    VolumeId whole;
    std::uint64_t map_version = 0;
    std::uint64_t clean = 0;         // 1: it was closed cleanly
    char label[label_bytes] = {};    // host and directory
    std::string name() const;        // for messages
};

struct MountPlan {
    bool forming = false;            // volumes are to be made of all that was found
    std::size_t newest = 0;          // of `found`: a volume with the newest map
};

// `found`: of all nodes, by node.
Result<MountPlan> plan_mount(const std::vector<FoundVolume>& found);
// When `map` is the newest: whether each of its volumes was found, once.
Result<void> check_complete(const std::vector<FoundVolume>& found, const Superblock& map);

}  // namespace ssi::io
