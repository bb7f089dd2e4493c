// SPDX-License-Identifier: BSD-3-Clause
// Names of kDFS objects, and where each lies: pure functions that every node evaluates without a
// message. docs/formats/kdfs.md is the same in words.
#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

#include "ssi/base/ids.hpp"

namespace ssi::fs {

// slot (16 bits, of the volume where the inode lives for ever), serial (48 bits, never used again)
using InodeId = StrongId<struct InodeTag, std::uint64_t>;
inline constexpr InodeId no_inode{0};
inline constexpr InodeId root_inode{1};
inline constexpr unsigned serial_bits = 48;
constexpr InodeId make_inode(SlotId slot, std::uint64_t serial) {
    return InodeId(std::uint64_t{slot.value} << serial_bits | serial);
}
// Placements: functions of (set, id, slots) as kddm::PlacementFunction.
constexpr SlotId slot_of_inode(SetId, ObjectId id, std::uint32_t slots) {
    return SlotId(static_cast<std::uint32_t>(id.lo >> serial_bits) & (slots - 1));
}

// Which bucket of a directory. It lies where `place` tells: 1 + slot, or 0: the first with the
// directory's inode, others by chance. One index has one place, which its elder knows.
struct BucketKey {
    std::uint32_t index = 0;
    std::uint16_t place = 0;
    constexpr std::uint64_t word() const { return std::uint64_t{index} << 16 | place; }
    static constexpr BucketKey of(std::uint64_t word) {
        return {static_cast<std::uint32_t>(word >> 16), static_cast<std::uint16_t>(word)};
    }
    friend constexpr auto operator<=>(const BucketKey&, const BucketKey&) = default;
};
// Buckets: {inode, word of the key}.
constexpr ObjectId bucket_id(InodeId directory, BucketKey key) {
    return {directory.value, key.word()};
}
constexpr SlotId slot_of_bucket(SetId, ObjectId id, std::uint32_t slots) {
    const BucketKey key = BucketKey::of(id.lo);
    if (key.place != 0) return SlotId((key.place - 1u) & (slots - 1));
    if (key.index == 0)
        return SlotId(static_cast<std::uint32_t>(id.hi >> serial_bits) & (slots - 1));
    return SlotId(static_cast<std::uint32_t>(mix64(id.hi ^ mix64(key.index)) >> 16) & (slots - 1));
}

// Pages of a file: {inode, layout (28 bits) and index (36 bits)}.
inline constexpr std::uint32_t page_bytes = 64u << 10;
inline constexpr unsigned page_shift = 16;
inline constexpr unsigned page_index_bits = 36;

// How the pages of a file lie on slots, which lie on volumes in turn (slot s on volume s % V).
struct Layout {
    std::uint16_t start = 0;       // slot of the first unit
    std::uint8_t unit_shift = 0;   // pages in a unit: 1 << unit_shift, at most 15
    std::uint8_t count = 1;        // slots, from `start` upwards
    friend constexpr bool operator==(const Layout&, const Layout&) = default;
    constexpr std::uint32_t packed() const {
        return std::uint32_t{start} << 12 | std::uint32_t{unit_shift} << 8 | count;
    }
    static constexpr Layout unpack(std::uint32_t v) {
        return {static_cast<std::uint16_t>(v >> 12), static_cast<std::uint8_t>((v >> 8) & 15),
                static_cast<std::uint8_t>(v & 255)};
    }
};

constexpr ObjectId page_id(InodeId inode, Layout layout, std::uint64_t index) {
    return {inode.value, std::uint64_t{layout.packed()} << page_index_bits | index};
}
constexpr std::uint64_t page_index(ObjectId id) {
    return id.lo & ((std::uint64_t{1} << page_index_bits) - 1);
}
constexpr SlotId slot_of_page(SetId, ObjectId id, std::uint32_t slots) {
    const Layout layout = Layout::unpack(static_cast<std::uint32_t>(id.lo >> page_index_bits));
    const std::uint64_t unit = page_index(id) >> layout.unit_shift;
    const std::uint64_t turn = unit % std::max<std::uint32_t>(layout.count, 1);
    return SlotId(static_cast<std::uint32_t>(layout.start + turn) & (slots - 1));
}

}  // namespace ssi::fs
