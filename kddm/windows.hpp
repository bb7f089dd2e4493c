// SPDX-License-Identifier: BSD-3-Clause
// Windows: the home memory of other nodes of this host, as far as this process can map it. A peer
// becomes known by its first answer to a read; it is then mapped, once, by a task of its own, as
// that may take a while, and reads of its objects need no message any more. A peer that cannot be
// mapped is told once in the log and costs nothing but messages.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>

#include "blocks.hpp"
#include "executor.hpp"
#include "ssi/base/log.hpp"
#include "ssi/node/node.hpp"
#include "ssi/sys/arena_view.hpp"

namespace ssi::kddm {

// The memory of one peer, or, in tests and the simulator, of all nodes of this process.
struct Window {
    NodeId node = no_node;
    std::unique_ptr<sys::ArenaView> view;    // null: this process's own memory

    const std::byte* at(std::uint64_t address, std::size_t bytes) const {
        if (!view) return reinterpret_cast<const std::byte*>(address);
        return view->at(address, bytes);
    }
    // Null also when it is mapped for reading only.
    std::byte* writable_at(std::uint64_t address, std::size_t bytes) const {
        return !view || view->writable() ? const_cast<std::byte*>(at(address, bytes)) : nullptr;
    }
};

class Windows {
public:
    // A window's number, which fits a hint; 0: there is none.
    using Number = std::uint16_t;
    static constexpr Number most = 1024;
    // In a hint, instead of a window: the place is in memory that is read over the network.
    static constexpr Number remote = 0xffff;

    // By which a node hands its memory out over its control socket.
    static constexpr const char* fd_name = "kddm.memory";

    // The node outlives it.
    Windows(node::Node& node, bool same_host, bool in_process);
    ~Windows();

    // The window with that number onto this node's memory, or null.
    const Window* find(Number number, NodeId node) const {
        if (number == 0 || number >= capacity_) return nullptr;
        const Window* window = slots_[number].load(std::memory_order_acquire);
        return window && (!window->view || window->node == node) ? window : nullptr;
    }
    Number number_of(NodeId node) const;
    std::size_t count() const { return count_.load(std::memory_order_acquire); }
    // Memory of that node is mapped, or may be.
    bool may_map(NodeId node) const;
    // The node offers its memory: maps it, unless that was tried before.
    void consider(NodeId node, Blocks::Offer offer);

private:
    void open(NodeId node, Blocks::Offer offer);

    node::Node& node_;
    Log& log_;
    const bool enabled_;
    const Number capacity_;
    const std::unique_ptr<std::atomic<const Window*>[]> slots_;
    std::atomic<Number> count_{0};            // slots 1 .. count_ are in use
    sys::Mutex mutex_;                        // of tried_
    std::set<std::uint32_t> tried_;
    Executor opener_;                         // last: ends before the rest does
};

}  // namespace ssi::kddm
