// SPDX-License-Identifier: BSD-3-Clause
// SetState: one set on one node: options, placement, shards of entries, counters. Lives as long as
// the engine, also after the set is destroyed, because guards and hints point into it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "blocks.hpp"
#include "held.hpp"
#include "index.hpp"
#include "read_hints.hpp"
#include "memory_use.hpp"
#include "slab.hpp"
#include "ssi/kddm/linker.hpp"
#include "ssi/sys/task.hpp"
#include "touched.hpp"
#include "transition.hpp"

namespace ssi::kddm {

struct alignas(64) Shard {
    mutable sys::Mutex mutex;
    Index index;
    Entry* free_entries = nullptr;   // linked through Entry::busy
    std::vector<Slab> slabs;
    std::uint8_t inline_length = 0;  // of all entries here, see there
    Blocks* blocks = nullptr;        // where slabs come from
    Pools pools;
    ShardCounters counters;
    MemoryUse* node_use = nullptr;   // entries count where there is a budget
    MemoryUse* set_use = nullptr;

    // An entry for a name that has none. Null: out of memory. Under `mutex`.
    Entry* make(std::uint64_t hash, SetId set, ObjectId id);
    void recycle(std::uint64_t hash, Entry* entry);
    void count(std::int64_t bytes) {
        if (node_use) node_use->add(bytes);
        if (set_use) set_use->add(bytes);
    }
};

// See Engine::register_homes.
struct HomeTable {
    std::vector<NodeId> homes;             // by slot; a power of two
    PlacementFunction slot_of = nullptr;

    NodeId home(SetId set, ObjectId id) const {
        const auto slots = static_cast<std::uint32_t>(homes.size());
        const SlotId slot = slot_of ? slot_of(set, id, slots) : stable_slot(id, slots);
        return homes[slot.value & (slots - 1)];
    }
};

// How a set maps objects to slots; parsed once from SetOptions::placement.
struct Placement {
    enum class Kind : std::uint8_t {
        hashed, node, blocked, high_bits, first_touch, function, homes
    };
    Kind kind = Kind::hashed;
    NodeId node = no_node;
    PlacementFunction function = nullptr;
    std::shared_ptr<const HomeTable> homes;
};

// Bits of SetState::control; bits 8-15 are the generation, as in pin words.
namespace control {
inline constexpr std::uint64_t troubled = 1;   // destroyed, or a failure waits to be told
inline constexpr std::uint64_t gated = 2;      // outermost acquisitions wait
inline constexpr std::uint64_t chosen = 4;     // part of a cut
inline constexpr std::uint64_t reading = 8;    // the values of the cut are being read out
inline constexpr std::uint64_t stops = troubled | gated;
}  // namespace control

struct SetState {
    // read by the fast path: one line
    SetId id;
    std::uint32_t shard_mask = 0;
    std::unique_ptr<Shard[]> shards;
    std::uint64_t limit = UINT64_MAX;    // ids below it exist
    std::uint64_t uid = 0;               // unique in the process
    std::atomic<std::uint64_t> control{0};   // looked at after pinning
    Engine* owner = nullptr;

    std::string name;
    SetOptions options;
    Placement placement;
    std::atomic<bool> destroyed{false};
    std::atomic<bool> has_hook{false};
    std::atomic<std::uint64_t> applies{0};
    std::atomic<std::uint64_t> message_reads{0};
    std::atomic<std::uint64_t> rma_reads{0};
    std::atomic<ReadHints*> hints{nullptr};       // made by the first read of another node's object
    std::unique_ptr<Touched> touched;    // of placement first_touch
    std::uint8_t moves_to_visit = 0;     // see Bounce; 0: never
    std::shared_ptr<Linker> linker;      // null: memory
    std::atomic<std::uint32_t> storing{0};   // write-backs under way at the linker
    std::atomic<std::uint64_t> inside{0};    // verbs that passed the gate and have not ended
    std::atomic<std::uint64_t> heard{0};     // messages about objects, while part of a cut
    MemoryUse use;

    struct Hand {                        // of the clock; under Impl::sweep_mutex
        std::uint32_t shard = 0;
        std::uint64_t slot = 0;
    } hand;

    mutable sys::Mutex mutex;            // of what follows
    std::optional<Failure> failure;      // of a put that nobody could be told about
    std::string linker_failure;          // the last
    std::function<void(ObjectId, std::span<const std::byte>)> hook;
    std::vector<std::shared_ptr<TaskCounters>> task_counters;
    std::unique_ptr<ReadHints> owned_hints;

    Shard& shard(std::uint64_t hash) { return shards[(hash >> 40) & shard_mask]; }
    const Shard& shard(std::uint64_t hash) const { return shards[(hash >> 40) & shard_mask]; }
    // What nobody could be told about; the next verb and sync tell it.
    void fail_later(Failure&& trouble);
    std::uint32_t fixed_length() const {
        return options.kind == ObjectKind::fixed ? options.object_bytes : 0;
    }
    // Not 0: the objects live in their entries.
    std::uint8_t inline_length() const {
        const std::uint32_t length = fixed_length();
        return length <= max_inline_bytes ? static_cast<std::uint8_t>(length) : std::uint8_t{0};
    }
};

// Gives back a pin that the fast path took on another object than it wanted, or that it may not
// have.
void unpin_stranger(SetState& set, Entry* entry, Access access);

// The set is gated, or troubled, and the task holds nothing: false unless it goes on all the same.
bool passes_stop(SetState& set, std::uint64_t control);

// The value is as it was at the last cut, as far as the word tells.
inline bool is_older(const Entry& entry, std::uint64_t control) {
    return pin::generation_of(entry.word.load(std::memory_order_relaxed) ^ control) != 0;
}
// By a task that has the write pin and has changed nothing yet.
void keep_before_write(SetState& set, Entry& entry);

}  // namespace ssi::kddm
