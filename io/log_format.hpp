// SPDX-License-Identifier: BSD-3-Clause
// The segment log's format (docs/formats/segment-log.md) as pure functions on bytes: no files, no
// state, no locks. Encoders trust what they are given; decoders trust nothing and say what is
// wrong.
// Failures of decoders are io, or unsupported for another version of the format.
#pragma once

#include <bit>
#include <optional>

#include "ssi/base/result.hpp"
#include "ssi/io/log_record.hpp"

namespace ssi::io {

static_assert(std::endian::native == std::endian::little, "structures are written as they are");

inline constexpr std::uint32_t log_format_version = 1;
inline constexpr std::size_t log_block_bytes = 4096;
constexpr std::uint64_t whole_blocks(std::uint64_t bytes) {
    return (bytes + log_block_bytes - 1) & ~std::uint64_t{log_block_bytes - 1};
}

struct Hash128 {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(const Hash128&, const Hash128&) = default;
};

// Deliberate bugs, which tests switch on to see that they would be caught. Never set otherwise.
struct LogPlants {
    bool unseeded_hashes = false;   // no hash depends on volume, generation or batch
    bool marks_ignored = false;     // the whole records of a torn batch are taken
    bool footers_trusted = false;   // a footer is taken without its hash
    bool order_ignored = false;     // the last write done counts for those before it
    bool early_ends_ignored = false;  // a segment counts whatever is missing of the one before
    bool tombstones_dropped = false;  // compaction drops a remove while older records remain
};

// What every hash of a segment is seeded with.
struct HashKey {
    LogIdentity identity;
    std::uint64_t generation = 0;
    LogPlants plants;
    // `sequence`: the batch id; header_sequence and footer_sequence for those.
    std::uint64_t seed(std::uint64_t sequence) const;
};
inline constexpr std::uint64_t header_sequence = 0;
inline constexpr std::uint64_t footer_sequence = ~std::uint64_t{0};

// ---- segment header

// A segment that was part of the log when a later header was written: what a header lists.
struct LiveSegment {
    std::uint64_t generation = 0;
    std::uint64_t end = 0;          // of its content; later bytes mean nothing
    friend bool operator==(const LiveSegment&, const LiveSegment&) = default;
};

struct SegmentHeader {
    LogIdentity identity;
    std::uint64_t generation = 0;
    Sequence first_batch = 0;
    std::uint64_t segment_bytes = 0;   // of the file
    std::uint64_t header_bytes = 0;    // whole blocks; batches begin behind them
    std::vector<LiveSegment> live;     // ascending; without this one
    bool last_open = false;            // the last of them may not be durable up to its end
};

std::uint64_t header_bytes_for(std::size_t live_segments);
// `out`: header.header_bytes, zeroed.
void encode_header(const SegmentHeader& header, std::span<std::byte> out);
// How long the header is, from its first block; not yet verified.
Result<std::uint64_t> header_length(std::span<const std::byte> block);
// `bytes`: at least the whole header. The hash is that of the header's own identity: the caller
// compares identity and generation with what it expects.
Result<SegmentHeader> decode_header(std::span<const std::byte> bytes);

// ---- batches

inline constexpr std::size_t batch_head_bytes = 48;
inline constexpr std::size_t commit_mark_bytes = 24;

struct BatchHead {
    Sequence id = 0;
    std::uint32_t records = 0;
    std::uint64_t bytes = 0;            // with head and mark; a multiple of 8
    Sequence durable_before = 0;        // newest batch known durable when this one was made
};

std::uint64_t batch_bytes(std::span<const LogRecord> records);
// `out`: batch_bytes, any content before. Records of version 0 get version_of(id, index).
void encode_batch(std::span<const LogRecord> records, const HashKey& key, Sequence id,
                  Sequence durable_before, std::span<std::byte> out);

// The same in steps, for a batch whose records are not all known at once: each where it will stand,
// from byte batch_head_bytes on, its version as it is; then head and mark around so many of them.
// `before`: bytes of the payload that precede the record's own.
void encode_record(const LogRecord& record, std::span<const std::byte> before, const HashKey& key,
                   Sequence batch, std::span<std::byte> out);
void close_batch(std::span<std::byte> batch, std::size_t records, const HashKey& key, Sequence id,
                 Sequence durable_before);

// The head alone: verified by itself, whatever became of the rest.
Result<BatchHead> decode_batch_head(std::span<const std::byte> bytes, const HashKey& key);

struct RecordView {
    FoundRecord found;                       // place.offset counts from the batch's first byte
    std::span<const std::byte> payload;
};
struct BatchView {
    BatchHead head;
    std::vector<RecordView> records;
};
// All of a batch that begins at the first of `bytes`, which may go on behind it.
Result<BatchView> decode_batch(std::span<const std::byte> bytes, const HashKey& key);

// The records of a batch that begins at byte `offset` of its file.
std::vector<FoundRecord> found_in(const BatchView& batch, std::uint64_t offset);

// One record, as read from its place.
Result<RecordView> decode_record(std::span<const std::byte> bytes, const HashKey& key);

// ---- footer

inline constexpr std::size_t footer_entry_bytes = 48;
inline constexpr std::size_t footer_trailer_bytes = 80;

struct SegmentFooter {
    Sequence first_batch = 0;
    Sequence last_batch = 0;              // first_batch - 1: no batch
    std::uint64_t end = 0;                // of the content
    bool has_index = false;
    bool followed = false;                // the file of a later segment is there, begun or not
    std::vector<FoundRecord> index;       // in the order of the log; empty without has_index
};

std::uint64_t footer_bytes_for(std::size_t index_entries);
// `out`: footer_bytes_for(index.size()), zeroed: the last bytes of the file.
void encode_footer(const SegmentFooter& footer, const HashKey& key, std::span<std::byte> out);
// How long the footer is, from the last block of the file; not yet verified. not_found: there is
// none of this generation; a file that is used again has an older one until it is sealed.
Result<std::uint64_t> footer_length(std::span<const std::byte> last_block,
                                    std::uint64_t generation);
// `bytes`: the whole footer, to the file's last byte.
Result<SegmentFooter> decode_footer(std::span<const std::byte> bytes, const HashKey& key);

// ---- content: all batches of a segment

struct ContentScan {
    std::uint64_t end = 0;              // behind the last whole batch
    Sequence next_batch = 0;            // the id the next one would have
    std::uint64_t batches = 0;
    std::optional<std::string> damage;  // something that was certainly committed is not whole
    std::uint64_t damage_offset = 0;
    std::optional<std::string> torn;    // a batch that was not committed was dropped
};
using BatchVisitor = std::function<void(const BatchView& batch, std::uint64_t offset)>;

// Walks the batches of a segment. `segment`: its bytes from the file's first. `end`: where the
// content ends, when a later header or a footer tells; then all before it was committed.
ContentScan scan_content(std::span<const std::byte> segment, const SegmentHeader& header,
                         std::optional<std::uint64_t> end, const HashKey& key,
                         const BatchVisitor& visit);
// The newest batch that batches behind `next`, in blocks from byte `from` on, call durable.
Sequence told_durable(std::span<const std::byte> segment, const HashKey& key, std::uint64_t from,
                      Sequence next);
// Whether some block begins with a whole batch head of this key: the header was durable once.
bool holds_batches(std::span<const std::byte> segment, const HashKey& key);

}  // namespace ssi::io
