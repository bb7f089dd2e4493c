// SPDX-License-Identifier: BSD-3-Clause
// Batches and their records: encoded in one go, decoded with every hash checked.
#include <fmt/format.h>

#include <cstring>

#include "log_hash.hpp"
#include "ssi/base/assert.hpp"
#include "ssi/base/small_vector.hpp"

namespace ssi::io {
namespace {

constexpr std::uint32_t batch_magic = 0x4269'7373;    // "ssiB"
constexpr std::uint32_t record_magic = 0x5269'7373;   // "ssiR"
constexpr std::uint32_t mark_magic = 0x4369'7373;     // "ssiC"
constexpr std::uint8_t known_flags = record_whole_set | record_copied | record_piece;

struct WireBatch {
    std::uint32_t magic;
    std::uint32_t records;
    std::uint64_t id;
    std::uint64_t bytes;
    std::uint64_t durable_before;
    Hash128 hash;   // of what stands before it
};
static_assert(sizeof(WireBatch) == batch_head_bytes);
constexpr std::size_t batch_hashed = offsetof(WireBatch, hash);

struct WireRecord {
    std::uint32_t magic;
    std::uint8_t kind;
    std::uint8_t flags;
    std::uint16_t zero;
    std::uint32_t payload_bytes;
    std::uint32_t value_bytes;
    std::uint32_t set;
    std::uint32_t reserved;
    std::uint64_t id_high;
    std::uint64_t id_low;
    std::uint64_t version;
    std::uint64_t batch;
    Hash128 hash;   // of what stands before it and the padded payload
};
static_assert(sizeof(WireRecord) == record_head_bytes);
constexpr std::size_t record_hashed = offsetof(WireRecord, hash);

struct WireMark {
    std::uint32_t magic;
    std::uint32_t records;
    Hash128 hash;   // of the batch's head and the records' heads, which hold hashes themselves
};
static_assert(sizeof(WireMark) == commit_mark_bytes);

constexpr std::size_t padded(std::size_t bytes) { return (bytes + 7) & ~std::size_t{7}; }

template <class T>
T load(std::span<const std::byte> bytes) {
    T out;
    std::memcpy(&out, bytes.data(), sizeof out);
    return out;
}

FoundRecord found_in(const WireRecord& wire, std::uint64_t generation) {
    return {.kind = static_cast<RecordKind>(wire.kind),
            .flags = wire.flags,
            .set = SetId{wire.set},
            .id = {wire.id_high, wire.id_low},
            .version = wire.version,
            .value_bytes = wire.value_bytes,
            .batch = wire.batch,
            .place = {generation, 0, wire.payload_bytes}};
}

// The record at `out`, whose payload is `before` and the record's own.
WireRecord put_record(const LogRecord& record, std::span<const std::byte> before, Sequence batch,
                      Version version, std::uint64_t seed, std::byte* out) {
    const std::size_t length = before.size() + record.payload.size();
    std::byte* const payload = out + sizeof(WireRecord);
    if (!before.empty()) std::memcpy(payload, before.data(), before.size());
    if (!record.payload.empty())
        std::memcpy(payload + before.size(), record.payload.data(), record.payload.size());
    std::memset(payload + length, 0, padded(length) - length);
    WireRecord wire{.magic = record_magic,
                    .kind = static_cast<std::uint8_t>(record.kind),
                    .flags = record.flags,
                    .zero = 0,
                    .payload_bytes = static_cast<std::uint32_t>(length),
                    .value_bytes = record.value_bytes,
                    .set = record.set.value,
                    .reserved = 0,
                    .id_high = record.id.hi,
                    .id_low = record.id.lo,
                    .version = version,
                    .batch = batch,
                    .hash = {}};
    wire.hash = hash_of(bytes_of(wire).first(record_hashed), {payload, padded(length)}, seed);
    std::memcpy(out, &wire, sizeof wire);
    return wire;
}

// The head and the mark of a batch of `heads`, which stand in it.
void put_ends(std::span<const WireRecord> heads, Sequence id, Sequence durable_before,
              std::uint64_t seed, std::span<std::byte> batch) {
    WireBatch head{batch_magic, static_cast<std::uint32_t>(heads.size()), id, batch.size(),
                   durable_before, {}};
    head.hash = hash_of(bytes_of(head).first(batch_hashed), seed);
    std::memcpy(batch.data(), &head, sizeof head);
    const WireMark mark{mark_magic, head.records,
                        hash_of(bytes_of(head), std::as_bytes(heads), seed)};
    std::memcpy(batch.data() + batch.size() - sizeof mark, &mark, sizeof mark);
}

}  // namespace

const char* record_kind_name(RecordKind kind) {
    constexpr const char* names[] = {"none",  "raw",    "zero",   "ref", "lz4",
                                     "delta", "remove", "intent", "done"};
    const auto index = static_cast<std::size_t>(kind);
    return index < std::size(names) ? names[index] : "unknown";
}

std::uint64_t batch_bytes(std::span<const LogRecord> records) {
    std::uint64_t bytes = batch_head_bytes + commit_mark_bytes;
    for (const LogRecord& record : records) bytes += record_bytes(record.payload.size());
    return bytes;
}

void encode_batch(std::span<const LogRecord> records, const HashKey& key, Sequence id,
                  Sequence durable_before, std::span<std::byte> out) {
    SSI_ASSERT(out.size() == batch_bytes(records), "give encode_batch exactly the batch's bytes");
    const std::uint64_t seed = key.seed(id);
    SmallVector<WireRecord, 4> heads;
    heads.reserve(records.size());
    std::byte* at = out.data() + batch_head_bytes;
    for (const LogRecord& record : records) {
        const Version version = record.version ? record.version : version_of(id, heads.size());
        heads.push_back(put_record(record, {}, id, version, seed, at));
        at += record_bytes(record.payload.size());
    }
    put_ends(std::span(heads), id, durable_before, seed, out);
}

void encode_record(const LogRecord& record, std::span<const std::byte> before, const HashKey& key,
                   Sequence batch, std::span<std::byte> out) {
    SSI_ASSERT(out.size() == record_bytes(before.size() + record.payload.size()),
               "give encode_record exactly the record's bytes");
    put_record(record, before, batch, record.version, key.seed(batch), out.data());
}

void close_batch(std::span<std::byte> batch, std::size_t records, const HashKey& key, Sequence id,
                 Sequence durable_before) {
    std::vector<WireRecord> heads;
    heads.reserve(records);
    std::size_t at = batch_head_bytes;
    for (std::size_t i = 0; i < records; ++i) {
        heads.push_back(load<WireRecord>(batch.subspan(at)));
        at += record_bytes(heads.back().payload_bytes);
    }
    SSI_ASSERT(at + commit_mark_bytes == batch.size(), "a batch ends with its mark");
    put_ends(heads, id, durable_before, key.seed(id), batch);
}

Result<BatchHead> decode_batch_head(std::span<const std::byte> bytes, const HashKey& key) {
    if (bytes.size() < sizeof(WireBatch))
        return fail(Errc::io, fmt::format("{} bytes are too short for a batch", bytes.size()));
    const auto wire = load<WireBatch>(bytes);
    if (wire.magic != batch_magic) return fail(Errc::io, "no batch here (magic)");
    if (wire.hash != hash_of(bytes.first(batch_hashed), key.seed(wire.id)))
        return fail(Errc::io, "the hash of the batch's head does not match");
    if (wire.bytes < batch_head_bytes + commit_mark_bytes || wire.bytes % 8 != 0)
        return fail(Errc::io, fmt::format("batch {} of {} bytes", wire.id, wire.bytes));
    return BatchHead{wire.id, wire.records, wire.bytes, wire.durable_before};
}

Result<RecordView> decode_record(std::span<const std::byte> bytes, const HashKey& key) {
    if (bytes.size() < sizeof(WireRecord)) return fail(Errc::io, "the record is cut off");
    const auto wire = load<WireRecord>(bytes);
    if (wire.magic != record_magic) return fail(Errc::io, "no record here (magic)");
    const std::size_t length = padded(wire.payload_bytes);
    if (length > bytes.size() - sizeof wire)
        return fail(Errc::io, fmt::format("a record's payload of {} bytes is cut off",
                                          wire.payload_bytes));
    const auto payload = bytes.subspan(sizeof wire, length);
    if (wire.hash != hash_of(bytes.first(record_hashed), payload, key.seed(wire.batch)))
        return fail(Errc::io, fmt::format("the hash of the record does not match (it says {}, set "
                                          "{} object {}:{})",
                                          record_kind_name(static_cast<RecordKind>(wire.kind)),
                                          wire.set, wire.id_high, wire.id_low));
    if (wire.kind == 0 || wire.kind > static_cast<std::uint8_t>(RecordKind::done) ||
        wire.kind == static_cast<std::uint8_t>(RecordKind::lz4) ||
        (wire.flags & ~known_flags) != 0)
        return fail(Errc::unsupported,
                    fmt::format("record of kind {} with flags {}: written by a newer release",
                                wire.kind, wire.flags));
    return RecordView{found_in(wire, key.generation), payload.first(wire.payload_bytes)};
}

Result<BatchView> decode_batch(std::span<const std::byte> bytes, const HashKey& key) {
    const auto head = decode_batch_head(bytes, key);
    if (!head) return tl::unexpected<Failure>(head.error());
    if (head->bytes > bytes.size())
        return fail(Errc::io, fmt::format("batch {} is cut off after {} of {} bytes", head->id,
                                          bytes.size(), head->bytes));
    const std::size_t end = head->bytes - commit_mark_bytes;
    BatchView batch{*head, {}};
    std::vector<WireRecord> heads;
    std::size_t at = batch_head_bytes;
    Result<void> verdict;
    for (std::uint32_t i = 0; i < head->records && verdict; ++i) {
        auto record = decode_record(bytes.subspan(at, end - at), key);
        if (record && record->found.batch != head->id)
            record = fail(Errc::io, fmt::format("it belongs to batch {}", record->found.batch));
        if (!record) {
            verdict = fail(record.error().code,
                           fmt::format("batch {}, record {} at byte {} of it: {}", head->id, i, at,
                                       record.error().text));
            break;
        }
        heads.push_back(load<WireRecord>(bytes.subspan(at)));
        record->found.place.offset = at;
        at += record_bytes(record->found.place.payload_bytes);
        batch.records.push_back(std::move(*record));
    }
    if (verdict && at != end)
        verdict = fail(Errc::io, fmt::format("batch {} has {} bytes of records, its head says {}",
                                             head->id, at - batch_head_bytes,
                                             end - batch_head_bytes));
    if (verdict) {
        const auto mark = load<WireMark>(bytes.subspan(end));
        if (mark.magic != mark_magic || mark.records != head->records ||
            mark.hash != hash_of(bytes.first(batch_head_bytes), std::as_bytes(std::span(heads)),
                                 key.seed(head->id)))
            verdict = fail(Errc::io, fmt::format("the commit mark of batch {} does not match",
                                                 head->id));
    }
    if (!verdict && !key.plants.marks_ignored)
        return tl::unexpected<Failure>(std::move(verdict).error());
    return batch;
}

std::vector<FoundRecord> found_in(const BatchView& batch, std::uint64_t offset) {
    std::vector<FoundRecord> out;
    out.reserve(batch.records.size());
    for (const RecordView& record : batch.records) {
        out.push_back(record.found);
        out.back().place.offset += offset;
    }
    return out;
}

}  // namespace ssi::io
