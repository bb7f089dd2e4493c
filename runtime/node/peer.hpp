// SPDX-License-Identifier: BSD-3-Clause
// Peer: what a Node keeps about one other member it exchanged messages with. One cache line.
#pragma once

#include <atomic>
#include <cstdint>

#include "sequence_window.hpp"
#include "ssi/base/ids.hpp"

namespace ssi::node {

struct alignas(64) Peer {
    Peer(NodeId id, Incarnation current) : node(id), incarnation(current.value) {}

    const NodeId node;
    const std::uint32_t incarnation;         // of the membership; messages of another are fenced
    std::atomic<bool> lost{false};
    std::atomic<std::uint64_t> sent{0};      // sequence number of the last message to it
    SequenceWindow received;                 // under the poller token
    std::atomic<std::uint64_t> arrived{0};   // messages accepted; written under the poller token
};

}  // namespace ssi::node
