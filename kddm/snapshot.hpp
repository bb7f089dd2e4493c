// SPDX-License-Identifier: BSD-3-Clause
// Snapshot: copies an object out of an entry, this node's or a mapped one of another process,
// without a lock, a pin or anybody's help: a seqlock whose sequence is the pin word and the version
// together. docs/decisions/0010-one-sided-reads.md reasons why what it returns is whole and was
// current; each rule it needs of the writers is a comment there and at the writer.
//
//   reader                                   writer
//   word   acquire: readable, no writer      word: closed (a writer's pin, or access taken away)
//   version v1, acquire                      fence, release (pin::before_bytes_change)
//   name, length, bytes, relaxed             bytes, plain
//   fence, acquire                           version, release (Entry::set_version)
//   word   acquire: readable, no writer      word: opened, release
//   version again: v1; name again
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "entry.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/sys/arena.hpp"
#include "ssi/sys/racing.hpp"

namespace ssi::kddm {

// What of which object is wanted, and, when it was seen, what it was.
struct Reading {
    static constexpr std::uint32_t to_the_end = std::numeric_limits<std::uint32_t>::max();
    SetId set;
    ObjectId id;
    std::uint32_t offset = 0;
    std::uint32_t length = to_the_end;    // replaced by the true length once seen
    // outcome
    std::uint64_t version = 0;
    std::uint32_t object_length = 0;

    // In an object of `object_length` bytes.
    bool fits() const {
        return offset <= object_length &&
               (length == to_the_end || length <= object_length - offset);
    }
    std::uint32_t true_length() const {
        return length == to_the_end ? object_length - offset : length;
    }
    std::span<const std::byte> part_of(std::span<const std::byte> bytes) const {
        return fits() ? bytes.subspan(offset, true_length()) : std::span<const std::byte>();
    }
};

// One read on its way: what is wanted, and where it goes.
struct ReadJob {
    Reading reading;
    std::byte* fixed = nullptr;              // room for reading.length bytes, else
    std::vector<std::byte>* grown = nullptr; // made as long as what is read
    std::byte* room(std::size_t length) {
        if (fixed || !grown) return fixed;   // null for no bytes at all
        grown->resize(length);
        return grown->data();
    }
};

enum class Look : std::uint8_t {
    seen,
    outside,   // whole and current, but the object ends before the range does
    changing,  // a writer is at work: look again
    away,      // no valid copy here
    another,   // the entry is another object's
    unknown,   // bytes that cannot be reached from here
};

// `view.at(address, bytes)`: where the memory of the entry's owner is here, or null.
// `room(length)`: where `length` bytes go. `halfway`: called between the halves of the bytes.
template <class View, class Room, class Halfway>
Look look(const Entry& entry, Reading& wish, const View& view, Room&& room, Halfway&& halfway,
          bool verify = true) {
    constexpr std::uint64_t access = pin::readable | pin::writer_held;
    const auto closed = [](std::uint64_t word) {
        return word & pin::writer_held ? Look::changing : Look::away;
    };
    const auto named = [&] {
        return sys::racing_load(entry.id.lo) == wish.id.lo &&
               sys::racing_load(entry.id.hi) == wish.id.hi &&
               sys::racing_load(entry.set) == wish.set.value;
    };
    const std::uint64_t before = entry.word.load(std::memory_order_acquire);
    const std::uint64_t version = entry.version.load(std::memory_order_acquire);
    if (!named()) return Look::another;
    if ((before & access) != pin::readable) return closed(before);

    const std::byte* bytes = entry.small;
    std::uint32_t length = sys::racing_load(entry.inline_length);
    if (length == 0) {
        const auto block = reinterpret_cast<std::uint64_t>(sys::racing_load(entry.block));
        const auto* header =
            reinterpret_cast<const Block*>(view.at(block, sizeof(Block)));
        if (!header) return Look::unknown;
        length = sys::racing_load(header->length);
        bytes = view.at(block, sizeof(Block) + length);
        if (!bytes) return Look::unknown;
        bytes += sizeof(Block);
    }
    wish.object_length = length;
    const bool inside = wish.fits();
    const std::uint32_t wanted = inside ? wish.true_length() : 0;
    if (inside) {
        std::byte* to = room(wanted);
        const std::uint32_t half = wanted / 16 * 8;
        sys::racing_copy(to, bytes + wish.offset, half);
        halfway();
        sys::racing_copy(to + half, bytes + wish.offset + half, wanted - half);
    }

    std::atomic_thread_fence(std::memory_order_acquire);
    const std::uint64_t after = entry.word.load(std::memory_order_acquire);
    const bool same = (after & access) == pin::readable &&
                      entry.version.load(std::memory_order_relaxed) == version && named();
    if (!same && verify) return (after & access) == pin::readable ? Look::changing : closed(after);
    wish.version = version & version_writes_mask;
    if (!inside) return Look::outside;
    wish.length = wanted;
    return Look::seen;
}

// The view of memory that is this process's own.
struct OwnMemory {
    const std::byte* at(std::uint64_t address, std::size_t) const {
        return reinterpret_cast<const std::byte*>(address);
    }
};

}  // namespace ssi::kddm
