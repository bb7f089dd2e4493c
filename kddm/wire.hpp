// SPDX-License-Identifier: BSD-3-Clause
// KDDM's messages (docs/protocol.md is the table). One struct, sent truncated: a kind that needs
// no route or range fields leaves them off. Little endian, as every machine we run on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ssi/base/ids.hpp"
#include "ssi/node/node.hpp"

namespace ssi::kddm {

enum class Kind : std::uint8_t {
    // requester -> home
    get_request = 1,   // a shared copy
    grab_request,      // ownership, everybody else invalidated
    evict,             // the owner's bytes come home
    done,              // the transition is complete, open the next
    atomic,            // operation shipped to the home
    apply,
    remove,
    read_request,      // a copy of some bytes, not to be kept: to the home, and on to the owner
    // home -> owner or reader
    fetch,             // send a copy to the requester
    yield,             // send ownership to the requester
    invalidate,        // drop your copy, ack to the requester
    invalidate_group,  // the same for members [range_lo, range_hi), down a tree
    // -> requester
    data,              // bytes, or "keep yours"
    grant,             // you own it already; wait for the acks
    ack,               // `acks` copies (or groups) are gone
    evict_ack,
    reply,             // result of a shipped operation
    read_reply,        // bytes, version; where the object stands in the sender's memory
    error,             // the request failed: code in `acks`
    served,            // to itself: the home's own copy answered a fetch
    // sets
    set_open,          // to the manager: name and options
    set_info,          // id, name, options
    set_needed,        // "I do not know this set: tell me"
    set_destroy,       // to the manager
    set_gone,          // manager -> all
    // many at once
    batch,             // messages one after another, see Unpacker; from anybody to anybody
    update,            // atomics on many objects, shipped to their home
    // placement
    migrate,           // to anybody: take ownership of these
    claim,             // to the keeper of a slot: I am the first to touch it, am I?
    // to the home, from a node that had pinned an object in its memory: somebody waits
    unpinned,
    last = unpinned,
};

namespace flag {
inline constexpr std::uint16_t write = 1;      // data: exclusive; grant, error: of a grab
inline constexpr std::uint16_t want_done = 2;  // tell the home when it is complete
inline constexpr std::uint16_t has_copy = 4;   // request: the requester holds `version`
inline constexpr std::uint16_t keep = 8;       // data: no bytes, the requester's copy is current
inline constexpr std::uint16_t renew = 16;     // grab_new: no bytes wanted, start from zero
inline constexpr std::uint16_t create = 32;    // set_open
inline constexpr std::uint16_t asked = 64;     // evict_ack: a yield sent earlier takes the bytes
inline constexpr std::uint16_t forwarded = 128;  // read_request: by the home to the owner
inline constexpr std::uint16_t stay = 1024;     // grab_request: by migrate, not for a visit
inline constexpr std::uint16_t visit = 512;     // yield, data: the last put sends it home
inline constexpr std::uint16_t dirty = 256;      // data to the home, evict: the linker lacks it
inline constexpr std::uint16_t part = 512;       // apply: sees bytes acks .. acks + after_node only
inline constexpr std::uint16_t placed = 1024;    // reply to atomic: where the object stands
// atomic: AtomicOp in bits 8 to 11, NumberKind in bits 12 to 15.
inline constexpr unsigned atomic_op_shift = 8, number_kind_shift = 12;
}  // namespace flag

struct Message {
    node::MessageHeader header;
    std::uint32_t set = 0;
    std::uint32_t requester = 0;     // node that the transition is for
    std::uint64_t hi = 0;
    std::uint64_t lo = 0;
    std::uint64_t txn = 0;           // of the requester
    // Held or sent; operand or result of an atomic; function of apply; length of a read_request.
    std::uint64_t version = 0;
    std::uint32_t acks = 0;          // expected or delivered; offset of an atomic or a read; code
    std::uint32_t length = 0;        // of the object bytes that follow
    // 64 bytes: enough for answers
    std::uint32_t slot_version = 0;  // the requester's view of the object's slot
    std::uint32_t after_node = 0;    // this node completes its transition `after_txn` first
    // 72: enough for requests
    std::uint64_t after_txn = 0;
    std::uint32_t range_lo = 0;      // member indexes
    std::uint32_t range_hi = 0;
    std::uint32_t ack_to = 0;        // who collects the acks of an invalidation
    std::uint32_t reserved = 0;
    // 96

    Kind kind() const { return static_cast<Kind>(header.kind); }
    bool has(std::uint16_t bits) const { return (header.flags & bits) == bits; }
    SetId set_id() const { return SetId(set); }
    ObjectId object() const { return ObjectId(hi, lo); }
};
static_assert(sizeof(Message) == 96);

// What a read_reply says beside the bytes, in fields of the message that it does not use otherwise.
struct ReadReply {
    std::uint32_t object_length = 0;
    std::uint64_t entry = 0;         // address in the sender; 0: it has none to show
    std::uint32_t fd = 0;            // of the sender's home memory, plus 1; 0: nobody maps it
    std::uint64_t inode = 0;         // of that file

    void write(Message& m) const {
        m.ack_to = object_length;
        m.after_txn = entry;
        m.slot_version = fd;
        m.range_lo = static_cast<std::uint32_t>(inode);
        m.range_hi = static_cast<std::uint32_t>(inode >> 32);
    }
    static ReadReply of(const Message& m) {
        return {m.ack_to, m.after_txn, m.slot_version,
                std::uint64_t{m.range_hi} << 32 | m.range_lo};
    }
};

inline std::size_t wire_bytes(Kind kind) {
    switch (kind) {
        case Kind::data:
        case Kind::grant:
        case Kind::ack:
        case Kind::evict_ack:
        case Kind::batch:
        case Kind::reply:
        case Kind::error:
        case Kind::done: return 64;
        case Kind::read_reply:
        case Kind::fetch:
        case Kind::yield:
        case Kind::invalidate:
        case Kind::invalidate_group: return 96;
        default: return 72;
    }
}

// False when the bytes cannot be a message of ours.
bool decode(std::span<const std::byte> bytes, Message& message);

// Fills in what every message has.
inline void address(Message& m, Kind kind, SetId set, ObjectId id, TxnId txn, NodeId requester) {
    m.header.channel = static_cast<std::uint8_t>(node::ChannelId::kddm);
    m.header.kind = static_cast<std::uint8_t>(kind);
    m.set = set.value;
    m.hi = id.hi;
    m.lo = id.lo;
    m.txn = txn.value;
    m.requester = requester.value;
}

inline Message make_message(Kind kind, SetId set, ObjectId id, TxnId txn, NodeId requester) {
    Message m;
    address(m, kind, set, id, txn, requester);
    return m;
}

}  // namespace ssi::kddm
