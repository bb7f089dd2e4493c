// SPDX-License-Identifier: BSD-3-Clause
// Bucket: the object that holds the directory entries whose name hash has certain low bits. A
// directory is an extendible hash of buckets: it begins as bucket 0 of depth 0; a bucket of depth d
// that is full gives the entries whose hash has bit d to bucket index | 1 << d, and both have depth
// d + 1. Functions here look at the bytes of one bucket, or plan how they change.
// docs/formats/kdfs.md has the layout.
#pragma once

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
    std::uint16_t reserved = 0;
    std::uint32_t used = 0;          // bytes, this head included; behind them: nothing
    std::uint32_t dead = 0;          // bytes of these that belong to removed entries
    std::uint32_t entries = 0;
    std::uint32_t directories = 0;   // of the entries
    std::int64_t modify_ns = 0;
    std::uint64_t unused[4] = {};
};
static_assert(sizeof(BucketHead) == 64);

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

inline constexpr std::uint32_t bucket_split_bytes = 4u << 10;
inline constexpr unsigned most_depth = 32;

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
    // Whether entries of this hash belong here, where this is bucket `index`.
    bool covers(std::uint64_t hash, std::uint64_t index) const {
        return low_bits(hash, head_.depth) == index;
    }
    // Where to look next for a hash that is not covered: a bucket that was split off from here.
    std::uint64_t next_index(std::uint64_t hash, std::uint64_t index) const;
    // The least cookie behind all that bucket `index` may have; 0: that is the end.
    std::uint64_t end_cookie(std::uint64_t index) const;

    std::optional<EntryView> find(std::string_view name, std::uint64_t hash) const;
    template <class F>
    void for_each(F&& f) const {
        EntryView entry;
        for (std::uint32_t at = sizeof(BucketHead); next(at, entry); at += entry.head.bytes)
            if (entry.head.inode != 0) f(entry);
    }
    bool valid() const;              // every length fits: for recovery and tests

    struct NewEntry {
        std::string_view name;
        std::uint64_t hash;
        InodeId inode;
        std::uint8_t type;
    };
    Edit insert(const NewEntry& entry, std::int64_t now) const;
    Edit erase(const EntryView& entry, std::int64_t now) const;
    Edit replace(const EntryView& entry, InodeId inode, std::uint8_t type, std::int64_t now) const;
    // Several at once, as one whole value.
    bool should_split() const {
        return head_.used - head_.dead > bucket_split_bytes && head_.depth < most_depth;
    }
    struct Halves {
        std::vector<std::byte> stays, goes;
    };
    Halves split() const;            // which goes is told by bit `depth`

private:
    bool next(std::uint32_t at, EntryView& entry) const;
    std::vector<std::byte> compacted(std::size_t more) const;

    std::span<const std::byte> bytes_;
    BucketHead head_;
    bool exists_ = false;
};

}  // namespace ssi::fs
