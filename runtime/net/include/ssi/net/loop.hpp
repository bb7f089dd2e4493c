// SPDX-License-Identifier: BSD-3-Clause
// LoopWorld: the Transport twin for several nodes in one process, each polled by real threads: what
// ThreadSanitizer and stress tests run on. Messages go through mailboxes; a seed makes them
// overtake each other.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ssi/base/ids.hpp"
#include "ssi/net/transport.hpp"

namespace ssi::net {

struct LoopOptions {
    std::uint64_t reorder_seed = 0;  // 0: messages of one sender arrive in order
    bool duplicate = false;          // some small messages arrive twice; needs a reorder_seed
    bool event_fds = true;           // false: event_fd() is -1, as with transports that have none
};

// Owns the transports of all its nodes. Transports are thread-safe; make and destroy the world when
// nobody uses them.
class LoopWorld {
public:
    // Nodes 0 .. count-1, or the given ones.
    explicit LoopWorld(int count, LoopOptions options = {});
    explicit LoopWorld(const std::vector<NodeId>& nodes, LoopOptions options = {});
    ~LoopWorld();
    LoopWorld(const LoopWorld&) = delete;
    LoopWorld& operator=(const LoopWorld&) = delete;

    Transport& transport(NodeId node);
    // The node dies: it handles nothing any more, what it sends is lost, large payloads it was
    // sending never arrive, and who sends to it finds it suspect.
    void kill(NodeId node);

private:
    friend class LoopTransport;
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::net
