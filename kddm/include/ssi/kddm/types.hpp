// SPDX-License-Identifier: BSD-3-Clause
// What a set is made of: kind, placement, coherence, limits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ssi/base/ids.hpp"
#include "ssi/base/result.hpp"

namespace ssi::kddm {

inline constexpr std::uint32_t max_object_bytes = 64u << 20;  // 64 MiB

enum class ObjectKind : std::uint8_t {
    fixed,     // object_bytes each, born zeroed
    variable,  // 0 .. max_object_bytes, born empty; guards resize
    typed,     // variable, encoded by Boost.Serialization
};

enum class Coherence : std::uint8_t {
    coherent,  // read copies and ownership stay where they are used until somebody else wants them
    // Nothing stays: the last put sends the object home; apply and fetch_add never recall.
    home,
};

// A registered pure function of (set, id, number of slots) -> slot: every node can evaluate it
// without a message. Registered under the same name on every node before the set is opened.
using PlacementFunction = SlotId (*)(SetId set, ObjectId id, std::uint32_t slots);

// The slot of an object that does not depend on its set's number, and so is the same in every
// session: for what is kept outside memory. `slots` is a power of two.
constexpr SlotId stable_slot(ObjectId id, std::uint32_t slots) {
    return SlotId(static_cast<std::uint32_t>(hash_object(SetId(0), id) >> 16) & (slots - 1));
}
inline constexpr std::size_t most_home_slots = 1u << 20;

struct SetOptions {
    std::uint64_t count = 0;          // ids are 0 .. count-1 (with ObjectId::hi 0); 0: any id
    ObjectKind kind = ObjectKind::fixed;
    std::uint32_t object_bytes = 0;   // fixed kind: 1 .. max_object_bytes
    Coherence coherence = Coherence::coherent;
    // "hashed" (default), "node:<id>" (all objects at that node), "blocked" (count / nodes
    // consecutive ids per node; needs count), "first_touch" (runs of consecutive ids, each at the
    // node that first used one of it; needs count; the first use of a run on a node takes a message
    // to a third), "high_bits" (slot = id.hi % slots), or the name of a registered
    // PlacementFunction or table of homes (Engine::register_homes).
    std::string placement = "hashed";
    // Where objects are born and kept: "memory", or the name of a registered Linker (linker.hpp).
    std::string linker = "memory";
    // Most bytes that this set's objects take in the memory of each node; 0: no budget of its own.
    // See kddm.memory_bytes for what happens above it.
    std::uint64_t memory_bytes = 0;
    // Whether an object whose ownership goes from node to node is given out for one visit at a
    // time, until one node alone uses it: its last put sends it home, where the next one finds it.
    // After kddm.moves_to_visit moves; SetStats counts both. Ignored by Coherence::home.
    bool visits = true;

    friend bool operator==(const SetOptions&, const SetOptions&) = default;
};

// An object as a shipped function sees it: exclusive, at its home. Resizing is for variable kinds.
class ObjectView {
public:
    virtual ~ObjectView() = default;
    virtual ObjectId id() const = 0;
    virtual std::span<std::byte> bytes() = 0;
    virtual Result<void> resize(std::size_t length) = 0;
    // The same, but what is new is left as it comes: for whoever overwrites all of it.
    virtual Result<void> resize_for_overwrite(std::size_t length) { return resize(length); }
    // Where bytes() begins in the object: not 0 when the function was applied to a range, of which
    // it sees nothing else and which it cannot resize.
    virtual std::size_t offset() const { return 0; }
};

// Bytes [offset, offset + length) of an object.
struct Range {
    static constexpr std::size_t all = static_cast<std::size_t>(-1);
    std::size_t offset = 0;
    std::size_t length = all;      // all: the object, whatever `offset`
};

// A function that apply ships to an object's home. Registered under the same name on every node.
// What it appends to `reply` (<= 64 KiB) is apply's result; an error is reported as
// function_failed.
using ShippedFunction = std::function<Result<void>(ObjectView& object,
                                                   std::span<const std::byte> arguments,
                                                   std::vector<std::byte>& reply)>;

enum class Run : std::uint8_t {
    inline_in_handler,  // bounded, never blocks, makes no libssi call: lowest latency
    on_executor,        // may take long; may not block on objects
};

// Counters of one set on this node since it was opened here.
struct SetStats {
    std::uint64_t gets = 0;             // acquisitions, all
    std::uint64_t grabs = 0;
    std::uint64_t hits = 0;             // of these: served by what the node held
    std::uint64_t remote_gets = 0;      // requests sent or started at the home
    std::uint64_t remote_grabs = 0;
    std::uint64_t invalidations = 0;    // copies given up for another node's grab
    std::uint64_t transfers = 0;        // ownerships given away
    std::uint64_t applies = 0;          // shipped functions executed here
    std::uint64_t recalls = 0;          // of these: had to call the object home first
    std::uint64_t evictions = 0;        // objects sent home: flush, home coherence, a visit's end
    std::uint64_t bytes_in = 0;         // object bytes received, sent
    std::uint64_t bytes_out = 0;
    std::uint64_t reads = 0;            // one-sided reads, all
    std::uint64_t reads_by_message = 0; // of these: asked another node for the bytes
    std::uint64_t reads_mapped = 0;     // of these: out of the home's memory, mapped here
    std::uint64_t reads_by_rma = 0;     // of these: out of the home's memory, by the network
    std::uint64_t objects = 0;          // entries now
    std::uint64_t loads = 0;            // objects that the linker brought into memory
    std::uint64_t write_backs = 0;      // values that it was given
    std::uint64_t memory_bytes = 0;     // taken by its objects; counted where a budget is
    std::uint64_t drops = 0;            // clean copies, and objects of a linker, that left memory
    std::uint64_t bounces = 0;          // times that an object homed here was found to bounce
    std::uint64_t visits = 0;           // ownerships that this home gave out for one visit
    std::uint64_t atomics_in_place = 0; // atomics done in another node's memory, by no message
};

}  // namespace ssi::kddm
