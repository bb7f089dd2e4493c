// SPDX-License-Identifier: BSD-3-Clause
// Bucket: the object that holds the directory entries whose name hash has certain low bits. A
// directory is an extendible hash of buckets: it begins as bucket 0 of depth 0; a bucket of depth d
// that is full gives the entries whose hash has bit d to bucket index | 1 << d, and both have depth
// d + 1. Where the new one lies is chosen then, and told to whoever looks by the old one. Functions
// here look at the bytes of one bucket, or plan how they change.
// docs/formats/kdfs.md has the layout.
#pragma once

#include <array>
#include <bit>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "fs_edit.hpp"
#include "fs_ids.hpp"

namespace ssi::fs {

struct BucketHead {
    std::uint32_t format = 1;
    std::uint16_t depth = 0;
    std::uint16_t shared = 0;        // 1: several nodes have added entries since the split
    std::uint32_t used = 0;          // bytes, head and places included; behind them: nothing
    std::uint32_t dead = 0;          // bytes of these that belong to removed entries
    std::uint32_t entries = 0;
    std::uint32_t directories = 0;   // of the entries
    std::int64_t modify_ns = 0;
    std::uint32_t writer = 0;        // 1 + the node that added an entry last; 0: none since then
    std::uint32_t unused[7] = {};
};
static_assert(sizeof(BucketHead) == 64);

// Behind the head. [b]: of the bucket whose index has b as its highest bit, on the way from bucket
// 0 to this one or split off from this one.
inline constexpr unsigned most_depth = 32;
using BucketPlaces = std::array<std::uint16_t, most_depth>;
inline constexpr std::uint32_t bucket_entries_at = sizeof(BucketHead) + sizeof(BucketPlaces);

// The bucket of index `of` cut to its low b + 1 bits, where b is set in it.
constexpr BucketKey key_on_way(std::uint32_t of, unsigned b, const BucketPlaces& places) {
    return {of & static_cast<std::uint32_t>((std::uint64_t{2} << b) - 1), places[b]};
}
constexpr std::uint32_t elder_index(std::uint32_t index) { return index & ~std::bit_floor(index); }
// The bucket that split `index` off; index is not 0.
constexpr BucketKey elder_of(std::uint32_t index, const BucketPlaces& places) {
    const std::uint32_t elder = elder_index(index);
    if (elder == 0) return {};
    return {elder, places[static_cast<unsigned>(std::bit_width(elder)) - 1]};
}

struct EntryHead {
    std::uint64_t hash = 0;
    std::uint64_t inode = 0;         // 0: removed
    std::uint16_t bytes = 0;         // of the entry, a multiple of 8
    std::uint8_t name_bytes = 0;
    std::uint8_t type = 0;           // S_IFMT >> 12
    std::uint32_t unused = 0;
};
static_assert(sizeof(EntryHead) == 24);

struct EntryView {
    EntryHead head;
    std::string_view name;           // in the bucket
    std::uint32_t offset = 0;
};


std::uint64_t name_hash(std::string_view name);
// Where an entry comes in a listing, and what is handed out as its cookie: splits do not move it.
std::uint64_t cookie_of(std::uint64_t hash);      // 1 .. 2^63 - 1
std::uint64_t hash_at(std::uint64_t cookie);      // the least hash, in listing order, that has it

constexpr std::uint64_t low_bits(std::uint64_t hash, unsigned depth) {
    return depth >= 64 ? hash : hash & ((std::uint64_t{1} << depth) - 1);
}

class BucketView {
public:
    explicit BucketView(std::span<const std::byte> bytes);   // empty: an empty bucket of depth 0
    bool exists() const { return exists_; }
    const BucketHead& head() const { return head_; }
    BucketPlaces places() const;
    // Whether entries of this hash belong here, where this is bucket `key`.
    bool covers(std::uint64_t hash, BucketKey key) const {
        return low_bits(hash, head_.depth) == key.index;
    }
    // Where to look next for a hash that is not covered: a bucket that was split off from here.
    BucketKey next_key(std::uint64_t hash, BucketKey key) const;
    // The least cookie behind all that bucket `key` may have; 0: that is the end.
    std::uint64_t end_cookie(BucketKey key) const;

    std::optional<EntryView> find(std::string_view name, std::uint64_t hash) const;
    template <class F>
    void for_each(F&& f) const {
        EntryView entry;
        for (std::uint32_t at = bucket_entries_at; next(at, entry); at += entry.head.bytes)
            if (entry.head.inode != 0) f(entry);
    }
    bool valid() const;              // every length fits: for recovery and tests

    struct NewEntry {
        std::string_view name;
        std::uint64_t hash;
        InodeId inode;
        std::uint8_t type;
        NodeId by = no_node;         // who adds it
    };
    Edit insert(const NewEntry& entry, std::int64_t now) const;
    Edit erase(const EntryView& entry, std::int64_t now) const;
    Edit replace(const EntryView& entry, InodeId inode, std::uint8_t type, std::int64_t now) const;
    // Several at once, as one whole value.
    bool should_split(std::uint32_t most_bytes) const {
        return head_.used - head_.dead > most_bytes && head_.depth < most_depth;
    }
    struct Halves {
        std::vector<std::byte> stays, goes;
    };
    Halves split(std::uint16_t place) const;   // of what goes, which bit `depth` tells
    // The node that alone has added entries since the last split.
    NodeId only_writer() const {
        return head_.shared || head_.writer == 0 ? no_node : NodeId(head_.writer - 1);
    }

private:
    bool next(std::uint32_t at, EntryView& entry) const;
    std::vector<std::byte> compacted(std::size_t more) const;
    std::vector<std::byte> without_entries(const BucketPlaces& places) const;

    std::span<const std::byte> bytes_;
    BucketHead head_;
    bool exists_ = false;
};

}  // namespace ssi::fs
