// SPDX-License-Identifier: BSD-3-Clause
// Engine: KDDM on one node. For the layers above and for the simulator; applications use Session.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "ssi/kddm/linker.hpp"
#include "ssi/kddm/raw_set.hpp"
#include "ssi/node/node.hpp"

namespace ssi::kddm {

// Deliberate protocol bugs, for proving that the checkers catch them. Never set in real runs.
enum class Plant : std::uint8_t {
    none,
    skip_invalidation_ack,      // the last reader's ack is not waited for
    skip_invalidation,          // one copy is not invalidated
    lost_upgrade,               // an upgrade whose copy died is granted without data
    double_execution,           // a duplicated mutating request executes again
    early_grant,                // ownership leaves before the last local pin is gone
    stale_slot,                 // a request placed by an old slot table is accepted
    evict_without_ack,          // an evicting owner forgets the bytes at once
    forget_copy,                // the home does not record a reader
    stale_data,                 // an owner serves the bytes of the previous version
    lost_write,                 // an eviction ships home the bytes from before the last write
    unfair_queue,               // requests are served last in, first out, and may starve
    careless_compare,           // compare_exchange looks at the lowest bit only
    parallel_pinning,           // *_many pin objects as they arrive, not in ascending order
    update_twice,               // an element of update_many that had to wait is applied twice
    unverified_read,            // a one-sided read does not look again after it has copied
    unverified_rma,             // the same of a read over RMA
    drop_dirty,                 // an eviction drops what its linker has not got
    cut_ignores_gate,           // the fast path does not look at a closed gate
    cut_misses_write,           // a write after a cut does not keep the value before
    cut_misses_leaving,         // a value that leaves the node after a cut is not kept
    cut_takes_newborn,          // what comes into being after a cut is taken for part of it
};
const char* plant_name(Plant plant);
std::vector<Plant> all_plants();

// What a checker sees of one object on one node.
struct Inspection {
    bool present = false;
    Access access = Access::none;      // what local tasks could pin now
    bool owner = false;
    bool writer_held = false;
    bool in_transition = false;        // a request, eviction or revocation is under way
    std::uint32_t pins = 0;
    std::uint64_t version = 0;
    // At the home only:
    bool is_home = false;
    bool home_busy = false;
    NodeId home_owner = no_node;
    bool copyset_covers(NodeId node) const;  // superset of the true readers
    std::vector<NodeId> exact;               // inline copyset, or
    std::vector<std::uint8_t> groups;        // group bits
    std::uint32_t group_size = 0;            // nodes per group
    std::shared_ptr<const node::Membership> members;
};

class Engine {
public:
    struct Options {
        Plant plant = Plant::none;
        bool simulated = false;       // no executor thread, small arenas, one shard
        bool direct = true;           // short paths for what is common; off: to test the others
        bool peers_in_process = false;  // all nodes are in this process: they read each other
        // After every step of a state machine on this node, under the shard lock. For checkers.
        std::function<void(SetId, ObjectId)> on_step;
        // Between the two halves of the bytes of a one-sided read, so that the simulator tears it.
        std::function<void()> on_half_read;
    };
    Engine(node::Node& node, Options options);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    Result<RawSet> create_or_open(std::string_view name, const SetOptions& options);
    Result<RawSet> open(std::string_view name);
    Result<void> destroy(std::string_view name);

    void register_function(std::string_view name, Run run, ShippedFunction function);
    void register_placement(std::string_view name, PlacementFunction function);
    // A placement by a table: the object's home is homes[slot], where its slot is what `slot_of`
    // says, or stable_slot without it. The same table on every node, before a set that names it is
    // opened; a set keeps the table that it was opened with. invalid_argument when the number of
    // slots is no power of two up to most_home_slots, or a node is none of the session.
    Result<void> register_homes(std::string_view name, std::vector<NodeId> homes,
                                PlacementFunction slot_of = nullptr);
    void register_linker(std::string_view name, std::shared_ptr<Linker> linker);

    std::vector<RawSet> sets() const;
    void publish_stats();             // copies the sets' counters into the node's Stats
    Inspection inspect(SetId set, ObjectId id) const;  // simulator and tests; takes the shard lock
    // Simulator only: sends the object's home a fetch_add of 1 as a node with an old slot table
    // would (one version behind); a correct home refuses it. Does nothing when this is the home.
    void inject_stale_request(SetId set, ObjectId id);
    std::size_t bytes_in_use() const; // arenas, entries, indexes

    struct Impl;
    Impl& impl() { return *impl_; }

private:
    friend class RawSet;
    friend class RawGuard;
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::kddm
