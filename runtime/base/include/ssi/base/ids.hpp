// SPDX-License-Identifier: BSD-3-Clause
// Strong identifier types. All are trivially copyable, ordered, hashable and cross the wire as is.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace ssi {

// A distinct integer type per noun, so that a NodeId is never passed where a SlotId is meant.
template <class Tag, class Int>
struct StrongId {
    using Value = Int;
    Int value{};
    constexpr StrongId() = default;
    constexpr explicit StrongId(Int v) : value(v) {}
    friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
};

// One member process of a session. 32 bit, sparse, never reused; the MPI rank is only its first
// value.
using NodeId = StrongId<struct NodeTag, std::uint32_t>;
// How often the process behind a NodeId was (re)started; a message of an older one is fenced.
using Incarnation = StrongId<struct IncarnationTag, std::uint32_t>;
// Version of the membership.
using Epoch = StrongId<struct EpochTag, std::uint64_t>;
// Unit of placement; the slot table maps slots to nodes.
using SlotId = StrongId<struct SlotTag, std::uint32_t>;
// A KDDM set. Ids ascend in creation order within a session.
using SetId = StrongId<struct SetTag, std::uint32_t>;
// A request of one node; unique per (node, incarnation), never reused. 0 means none.
using TxnId = StrongId<struct TxnTag, std::uint64_t>;

inline constexpr NodeId no_node{0xffffffffu};
inline constexpr TxnId no_txn{0};

// 128-bit object name within a set. Ordered by (hi, lo): the order in which guards are acquired.
struct ObjectId {
    std::uint64_t hi{};
    std::uint64_t lo{};
    constexpr ObjectId() = default;
    constexpr ObjectId(std::uint64_t low) : lo(low) {}  // NOLINT: integers are object ids
    constexpr ObjectId(std::uint64_t high, std::uint64_t low) : hi(high), lo(low) {}
    friend constexpr auto operator<=>(const ObjectId&, const ObjectId&) = default;
};

// Finalizer of MurmurHash3 (public domain, Austin Appleby): mixes 64 bits, bijective.
constexpr std::uint64_t mix64(std::uint64_t x) {
    x ^= x >> 33;
    x *= 0xff51afd7ed558ccdull;
    x ^= x >> 33;
    x *= 0xc4ceb9fe1a85ec53ull;
    x ^= x >> 33;
    return x;
}

// The one hash of an object name. Placement and the index use it, so it is part of the protocol.
constexpr std::uint64_t hash_object(SetId set, ObjectId id) {
    return mix64(id.lo + 0x9e3779b97f4a7c15ull * (set.value + 1) +
                 (id.hi ? mix64(id.hi) : 0));
}

}  // namespace ssi

template <class Tag, class Int>
struct std::hash<ssi::StrongId<Tag, Int>> {
    std::size_t operator()(const ssi::StrongId<Tag, Int>& id) const noexcept {
        return ssi::mix64(id.value);
    }
};
