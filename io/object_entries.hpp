// SPDX-License-Identifier: BSD-3-Clause
// ObjectEntry: where the newest value of one object lies. ObjectEntries: those of a set by key; an
// entry is one cache line in a block of many and stays where it is, and the table that finds it has
// eight bytes for each, so that what is looked up costs two lines of memory. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ssi/base/assert.hpp"
#include "ssi/io/object_log.hpp"

namespace ssi::io {

struct ObjectKey {
    ObjectId id;
    bool intent = false;
    friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

class alignas(64) ObjectEntry {
public:
    ObjectId id;
    Version version = 0;
    std::unique_ptr<std::vector<LogPlace>> deltas;   // in order; null: none

private:
    std::uint64_t segment_ = 0;      // of the value
    std::uint32_t place_ = 0;        // in units of 8 bytes
    std::uint32_t payload_ = 0;

public:
    std::uint32_t value_bytes = 0;
    std::uint32_t records : 31 = 0;  // of this object in the log, needed or not
    std::uint32_t intent : 1 = 0;
    std::uint32_t values : 31 = 0;   // of those, all but removals
    std::uint32_t used : 1 = 0;      // by ObjectEntries
    // raw, zero, ref, intent; remove: there is none now; delta: changes whose value is not there.
    RecordKind kind = RecordKind::remove;
    bool covered : 1 = false;        // removed with its set: no record of its own says so
    bool counted : 1 = false;        // its bytes are in the live bytes of segments
    bool holds_set : 1 = false;      // counted in the set's entry

    ObjectKey key() const { return {id, intent != 0}; }
    LogPlace place() const { return {segment_, std::uint64_t{place_} * 8, payload_}; }
    void set_place(const LogPlace& at) {
        SSI_ASSERT(at.offset % 8 == 0 && at.offset / 8 <= UINT32_MAX,
                   "records lie at multiples of 8 bytes, in the first 32 GiB of a segment");
        segment_ = at.segment;
        place_ = static_cast<std::uint32_t>(at.offset / 8);
        payload_ = at.payload_bytes;
    }
    bool is_there() const { return kind != RecordKind::remove; }
    bool is_removal() const { return kind == RecordKind::remove && !covered; }
};
static_assert(sizeof(ObjectEntry) == 64);

class ObjectEntries {
public:
    ObjectEntry* find(const ObjectKey& key);
    const ObjectEntry* find(const ObjectKey& key) const {
        return const_cast<ObjectEntries*>(this)->find(key);
    }
    ObjectEntry& find_or_add(const ObjectKey& key);
    void erase(ObjectEntry& entry);
    std::size_t size() const { return size_; }
    std::size_t bytes() const {      // of memory, without deltas
        return slots_.capacity() * sizeof(Slot) + blocks_.size() * block_entries * 64 +
               free_.capacity() * sizeof free_[0];
    }
    template <class F>
    void for_each(F&& f) {
        for (std::uint32_t number = 0; number < made_; ++number)
            if (ObjectEntry& entry = at(number); entry.used) f(entry);
    }
    template <class F>
    void for_each(F&& f) const {
        const_cast<ObjectEntries*>(this)->for_each([&](const ObjectEntry& entry) { f(entry); });
    }

private:
    static constexpr std::uint32_t block_entries = 1024;
    static constexpr std::uint32_t none = UINT32_MAX, erased = UINT32_MAX - 1;
    struct Slot {
        std::uint32_t tag = 0;       // of the hash
        std::uint32_t number = none;
    };
    ObjectEntry& at(std::uint32_t number) {
        return blocks_[number / block_entries][number % block_entries];
    }
    Slot* slot_of(const ObjectKey& key, std::uint64_t hash);
    void insert(std::uint64_t hash, std::uint32_t number);
    void grow();

    std::vector<Slot> slots_;        // open addressing; a power of two
    std::size_t filled_ = 0;         // slots that are not `none`
    std::vector<std::unique_ptr<ObjectEntry[]>> blocks_;
    std::uint32_t made_ = 0;         // entries that were ever handed out
    std::vector<std::uint32_t> free_;
    std::size_t size_ = 0;
};

}  // namespace ssi::io
