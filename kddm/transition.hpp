// SPDX-License-Identifier: BSD-3-Clause
// Transition: the surroundings of one step of an object's state machine: what it may read, and
// where it puts what has to happen. The machine (cache.cpp, directory.cpp) is sans-I/O: no threads,
// locks, clocks or network inside; the engine runs it under the shard lock and carries out the
// outcome after unlocking.
#pragma once

#include <boost/container/deque.hpp>
#include <boost/container/small_vector.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

#include "entry.hpp"
#include "pool.hpp"
#include "ssi/kddm/engine.hpp"

namespace ssi::kddm {

struct ShardCounters;

struct Outgoing {
    NodeId to;
    Message message;
    Body body;   // of a block one reference is held until it is sent
};

// Messages of a step to its own node, in order. They stay where they are while others are added, as
// the one that is being handled may cause more.
class LocalMessages {
public:
    Queued& add() {
        if (size_ == first_size) return more_.emplace_back();
        return *::new (first_ + size_++ * sizeof(Queued)) Queued;
    }
    std::size_t size() const { return size_ + more_.size(); }
    Queued& at(std::size_t i) {
        if (i >= first_size) return more_[i - first_size];
        return *std::launder(reinterpret_cast<Queued*>(first_ + i * sizeof(Queued)));
    }
    void clear() {
        size_ = 0;
        more_.clear();
    }

private:
    static constexpr std::size_t first_size = 4;
    static_assert(std::is_trivially_destructible_v<Queued>);
    alignas(Queued) std::byte first_[first_size * sizeof(Queued)];   // made when they are added
    std::size_t size_ = 0;                                           // of those
    boost::container::deque<Queued> more_;   // allocates nothing while it is empty
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

// Who keeps values as of a cut; implemented by the engine.
class Keepsakes {
public:
    virtual ~Keepsakes() = default;
    // The bytes of an object that nobody has pinned leave the node, or end. Under the shard lock.
    virtual void keep(Entry& entry) = 0;
};

// Memory for the parts of entries that come and go; of one shard, under its lock.
struct Pools {
    Pool<Busy> busies;
    std::uint64_t last_version = 0;   // the highest count of writes in an entry that was recycled
};

// What the direct paths (directory::answer, cache::ask, cache::arrive) need to know: of an object
// with which nothing unusual is going on.
struct Surroundings {
    NodeId self;
    std::uint32_t slot_version;
    bool has_hook;
    std::uint8_t moves_to_visit;        // see Bounce
    const node::Membership* members;
    BlockSource* blocks;
    Pools* pools;
    ShardCounters* counters;
    std::uint64_t generation;           // of what comes into being or arrives, as in pin words
    Keepsakes* keepsakes;               // null: no cut of the set is being read out
};

struct Transition {
    // given
    NodeId self;
    NodeId home;                        // of this object
    std::uint32_t slot_version = 0;
    std::uint32_t fixed_length = 0;     // 0 for variable kinds
    bool home_coherence = false;
    bool has_hook = false;
    bool linked = false;                // the set has a linker
    std::uint8_t moves_to_visit = 0;    // see Bounce
    Plant plant = Plant::none;
    const node::Membership* members = nullptr;
    BlockSource* blocks = nullptr;
    Pools* pools = nullptr;
    ShardCounters* counters = nullptr;
    std::uint64_t generation = 0;       // the last two as in Surroundings
    Keepsakes* keepsakes = nullptr;
    void* engine = nullptr;             // of the next two
    std::uint64_t (*next_txn)(void* engine) = nullptr;
    bool (*is_lost)(void* engine, NodeId node) = nullptr;

    // outcome
    template <class T>
    using List = boost::container::small_vector<T, 4>;
    List<Outgoing> out;       // to other nodes
    LocalMessages local;      // to this node: the engine feeds them back before unlocking
    List<Waiter*> granted;    // pinned on their behalf, failed, or to look again: to be notified
    bool run_hook = false;              // the release hook must run, then `released`
    bool load = false;                  // the linker must bring the bytes, then `loaded`

    bool at_home() const { return self == home; }
    std::uint64_t new_txn() { return next_txn(engine); }
    bool lost(NodeId node) const { return is_lost(engine, node); }

    // A message about the object of `about`, on its way already: the caller fills in the rest
    // before it sends another. Takes `body` over. Built in place, as copying
    // what has just been written is slow.
    Message& send(NodeId to, Kind kind, const Message& about, const Body& body = {}) {
        return send(to, kind, about.set_id(), about.object(), TxnId(about.txn),
                    NodeId(about.requester), body);
    }
    Message& send(NodeId to, Kind kind, SetId set, ObjectId id, TxnId txn, NodeId requester,
                  const Body& body = {}) {
        Message& m = slot(to, body);
        address(m, kind, set, id, txn, requester);
        return m;
    }
    // A copy of `message`, for those that pass one on.
    void forward(NodeId to, const Message& message) { slot(to, {}) = message; }

    void release(const Body& body) {
        if (Block* block = body.block()) blocks->release(block);
    }

private:
    Message& slot(NodeId to, const Body& body) {
        if (to == self) {
            Queued& queued = local.add();
            queued.body = body;
            return queued.message;
        }
        Outgoing& outgoing = out.emplace_back();
        outgoing.to = to;
        outgoing.body = body;
        return outgoing.message;
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
    std::uint64_t hooks = 0;      // release hooks under way
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t objects = 0;
    std::uint64_t loads = 0;      // from the linker
    std::uint64_t write_backs = 0;
    std::uint64_t bounces = 0;    // objects found to go from node to node
    std::uint64_t visits = 0;     // ownerships given out for one visit
    std::uint64_t drops = 0;      // clean copies, and objects of the linker's, dropped from memory
};

Busy& busy_of(Entry& entry, const Transition& t);   // made when there is none

}  // namespace ssi::kddm
