// SPDX-License-Identifier: BSD-3-Clause
// What a log is made of, for whoever writes or reads one: records, their kinds and places.
// docs/formats/segment-log.md is the format.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "ssi/base/ids.hpp"

namespace ssi::io {

// Names a volume for ever; random, made when the volume is.
struct VolumeId {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    friend constexpr auto operator<=>(const VolumeId&, const VolumeId&) = default;
    std::string text() const;   // 32 hexadecimal digits
};

// Which log: a volume may have several.
struct LogIdentity {
    VolumeId volume;
    std::uint64_t log = 0;
    friend constexpr auto operator<=>(const LogIdentity&, const LogIdentity&) = default;
};

// Number of a batch in its log: consecutive from 1. 0: none.
using Sequence = std::uint64_t;

enum class RecordKind : std::uint8_t {
    raw = 1,      // the payload is the value
    zero = 2,     // value_bytes zeroes, no payload
    ref = 3,      // the payload tells where the value lies; what it means is its owner's business
    lz4 = 4,      // reserved: no program writes or reads it
    delta = 5,    // the payload changes the value before (object_delta.hpp)
    remove = 6,   // the object is no more; with record_whole_set: all objects of the set
    intent = 7,   // something that spans several logs has begun; its ids are no objects'
    done = 8,     // the intent of that name is settled
};
const char* record_kind_name(RecordKind kind);

// Flags of a record.
inline constexpr std::uint8_t record_whole_set = 1;   // remove: every object of the set
inline constexpr std::uint8_t record_copied = 2;      // moved here by compaction
inline constexpr std::uint8_t record_piece = 4;       // part of a value: sealed_log.hpp

// Version of what a record says: ascends over a log. 0 in a record to append: the log makes one.
using Version = std::uint64_t;

inline constexpr std::size_t max_value_bytes = std::size_t{64} << 20;
inline constexpr std::size_t max_batch_bytes = std::size_t{256} << 20;
inline constexpr std::size_t max_batch_records = 65536;

// The version of record `index` of a batch.
constexpr Version version_of(Sequence batch, std::size_t index) { return batch << 16 | index; }
constexpr Sequence batch_of(Version version) { return version >> 16; }

// Where a record lies: the segment's generation and the byte of its file.
struct LogPlace {
    std::uint64_t segment = 0;        // 0: nowhere
    std::uint64_t offset = 0;         // of the record's head
    std::uint32_t payload_bytes = 0;
    friend constexpr auto operator<=>(const LogPlace&, const LogPlace&) = default;
};

struct LogRecord {
    RecordKind kind = RecordKind::raw;
    std::uint8_t flags = 0;
    SetId set;
    ObjectId id;
    Version version = 0;
    std::uint32_t value_bytes = 0;           // of the value after this record
    std::span<const std::byte> payload;      // not owned
};

// A record met by recovery or by a reader. No payload: it is read when it is wanted.
struct FoundRecord {
    RecordKind kind = RecordKind::raw;
    std::uint8_t flags = 0;
    SetId set;
    ObjectId id;
    Version version = 0;
    std::uint32_t value_bytes = 0;
    Sequence batch = 0;
    LogPlace place;
};
using RecordVisitor = std::function<void(const FoundRecord&)>;

// What a record takes in a segment: its head and the payload, in steps of 8 bytes.
inline constexpr std::size_t record_head_bytes = 72;
constexpr std::uint64_t record_bytes(std::size_t payload) {
    return record_head_bytes + ((payload + 7) & ~std::size_t{7});
}

}  // namespace ssi::io
