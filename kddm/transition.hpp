// SPDX-License-Identifier: BSD-3-Clause
// Transition: the surroundings of one step of an object's state machine: what it may read, and
// where it puts what has to happen. The machine (cache.cpp, directory.cpp) is sans-I/O: no threads,
// locks, clocks or network inside; the engine runs it under the shard lock and carries out the
// outcome after unlocking.
#pragma once

#include <boost/container/small_vector.hpp>

#include <cstdint>

#include "entry.hpp"
#include "ssi/kddm/engine.hpp"

namespace ssi::kddm {

struct ShardCounters;

struct Outgoing {
    NodeId to;
    Message message;
    Block* block = nullptr;   // one reference is held until it is sent
};

// Where bytes come from; implemented by the engine over its arenas.
class BlockSource {
public:
    virtual ~BlockSource() = default;
    // A zeroed block for an object of this length, in home or cache memory. Null: out of memory.
    virtual Block* make(SetId set, ObjectId id, std::uint32_t length, bool at_home) = 0;
    virtual void keep(Block* block) = 0;      // one more reference
    virtual void release(Block* block) = 0;   // one less; the last frees it
};

struct Transition {
    // given
    NodeId self;
    NodeId home;                        // of this object
    std::uint32_t slot_version = 0;
    std::uint32_t fixed_length = 0;     // 0 for variable kinds
    bool home_coherence = false;
    bool has_hook = false;
    Plant plant = Plant::none;
    const node::Membership* members = nullptr;
    BlockSource* blocks = nullptr;
    ShardCounters* counters = nullptr;
    std::uint64_t (*next_txn)(void*) = nullptr;
    void* next_txn_context = nullptr;

    // outcome
    template <class T>
    using List = boost::container::small_vector<T, 4>;
    List<Outgoing> out;       // to other nodes
    List<Queued> local;       // to this node: the engine feeds them back before unlocking
    List<Waiter*> granted;    // pinned on their behalf, failed, or to look again: to be notified
    bool run_hook = false;              // the release hook must run, then `released`

    bool at_home() const { return self == home; }
    std::uint64_t new_txn() { return next_txn(next_txn_context); }

    // Takes over one reference of `block`.
    void send(NodeId to, const Message& message, Block* block = nullptr) {
        if (to == self)
            local.push_back({message, block});
        else
            out.push_back({to, message, block});
    }
};

// Counters of one shard, under its lock; see SetStats.
struct ShardCounters {
    std::uint64_t misses = 0;     // acquisitions that had to wait
    std::uint64_t remote_gets = 0;
    std::uint64_t remote_grabs = 0;
    std::uint64_t invalidations = 0;
    std::uint64_t transfers = 0;
    std::uint64_t recalls = 0;
    std::uint64_t evictions = 0;
    std::uint64_t evicting = 0;   // on their way home now
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t objects = 0;
};

Busy& busy_of(Entry& entry);
Home& home_of(Entry& entry, const Transition& t);   // made with owner == self

}  // namespace ssi::kddm
