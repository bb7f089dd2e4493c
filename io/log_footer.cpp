// SPDX-License-Identifier: BSD-3-Clause
// The footer of a sealed segment: where its content ends and, if that is small, what is in it.
#include <fmt/format.h>

#include <cstring>

#include "log_hash.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::io {
namespace {

constexpr std::uint64_t footer_magic = 0x746f'6f66'2d69'7373;   // "ssi-foot"
constexpr std::uint32_t flag_index = 1;
constexpr std::uint32_t flag_followed = 2;
constexpr std::uint64_t max_footer_bytes = 1 << 30;

struct WireEntry {
    std::uint8_t kind;
    std::uint8_t flags;
    std::uint16_t zero;
    std::uint32_t set;
    std::uint32_t payload_bytes;
    std::uint32_t value_bytes;
    std::uint64_t id_high;
    std::uint64_t id_low;
    std::uint64_t version;
    std::uint32_t offset;   // of the record in the file, in steps of 8 bytes
    std::uint32_t batch;    // counted from the segment's first
};
static_assert(sizeof(WireEntry) == footer_entry_bytes);

struct WireTrailer {
    std::uint64_t magic;
    std::uint64_t generation;
    std::uint64_t first_batch;
    std::uint64_t last_batch;
    std::uint64_t end;
    std::uint32_t entries;
    std::uint32_t flags;
    std::uint64_t footer_bytes;
    std::uint64_t zero;
    Hash128 hash;   // of the footer before it
};
static_assert(sizeof(WireTrailer) == footer_trailer_bytes);

WireTrailer trailer_of(std::span<const std::byte> bytes) {
    WireTrailer wire;
    std::memcpy(&wire, bytes.data() + bytes.size() - sizeof wire, sizeof wire);
    return wire;
}

}  // namespace

std::uint64_t footer_bytes_for(std::size_t index_entries) {
    return whole_blocks(index_entries * footer_entry_bytes + footer_trailer_bytes);
}

void encode_footer(const SegmentFooter& footer, const HashKey& key, std::span<std::byte> out) {
    SSI_ASSERT(out.size() == footer_bytes_for(footer.index.size()),
               "give encode_footer exactly the footer's bytes");
    std::byte* at = out.data();
    for (const FoundRecord& record : footer.index) {
        const WireEntry wire{.kind = static_cast<std::uint8_t>(record.kind),
                             .flags = record.flags,
                             .zero = 0,
                             .set = record.set.value,
                             .payload_bytes = record.place.payload_bytes,
                             .value_bytes = record.value_bytes,
                             .id_high = record.id.hi,
                             .id_low = record.id.lo,
                             .version = record.version,
                             .offset = static_cast<std::uint32_t>(record.place.offset / 8),
                             .batch = static_cast<std::uint32_t>(record.batch -
                                                                 footer.first_batch)};
        std::memcpy(at, &wire, sizeof wire);
        at += sizeof wire;
    }
    WireTrailer trailer{.magic = footer_magic,
                        .generation = key.generation,
                        .first_batch = footer.first_batch,
                        .last_batch = footer.last_batch,
                        .end = footer.end,
                        .entries = static_cast<std::uint32_t>(footer.index.size()),
                        .flags = (footer.has_index ? flag_index : 0) |
                                 (footer.followed ? flag_followed : 0),
                        .footer_bytes = out.size(),
                        .zero = 0,
                        .hash = {}};
    std::byte* place = out.data() + out.size() - sizeof trailer;
    std::memcpy(place, &trailer, sizeof trailer);
    trailer.hash = hash_of(out.first(out.size() - sizeof(Hash128)), key.seed(footer_sequence));
    std::memcpy(place, &trailer, sizeof trailer);
}

Result<std::uint64_t> footer_length(std::span<const std::byte> last_block,
                                    std::uint64_t generation) {
    if (last_block.size() < sizeof(WireTrailer))
        return fail(Errc::io, "too short for a footer");
    const WireTrailer wire = trailer_of(last_block);
    if (wire.magic != footer_magic) return fail(Errc::not_found, "no footer (magic)");
    if (wire.generation < generation)
        return fail(Errc::not_found, "no footer (the file's, of an earlier use)");
    if (wire.footer_bytes != footer_bytes_for(wire.entries) ||
        wire.footer_bytes > max_footer_bytes)
        return fail(Errc::io, fmt::format("footer of {} bytes for {} records", wire.footer_bytes,
                                          wire.entries));
    return wire.footer_bytes;
}

Result<SegmentFooter> decode_footer(std::span<const std::byte> bytes, const HashKey& key) {
    const auto length = footer_length(bytes, key.generation);
    if (!length) return tl::unexpected<Failure>(length.error());
    if (*length > bytes.size())
        return fail(Errc::io, fmt::format("footer of {} bytes in {}", *length, bytes.size()));
    bytes = bytes.last(*length);
    const WireTrailer wire = trailer_of(bytes);
    if (!key.plants.footers_trusted &&
        wire.hash != hash_of(bytes.first(bytes.size() - sizeof(Hash128)),
                             key.seed(footer_sequence)))
        return fail(Errc::io, "the hash of the footer does not match");
    if (wire.generation != key.generation)
        return fail(Errc::io, fmt::format("footer of segment generation {}", wire.generation));
    SegmentFooter footer{wire.first_batch, wire.last_batch, wire.end,
                         (wire.flags & flag_index) != 0, (wire.flags & flag_followed) != 0, {}};
    footer.index.reserve(wire.entries);
    for (std::uint32_t i = 0; i < wire.entries; ++i) {
        WireEntry entry;
        std::memcpy(&entry, bytes.data() + i * sizeof entry, sizeof entry);
        FoundRecord found{.kind = static_cast<RecordKind>(entry.kind),
                          .flags = entry.flags,
                          .set = SetId{entry.set},
                          .id = {entry.id_high, entry.id_low},
                          .version = entry.version,
                          .value_bytes = entry.value_bytes,
                          .batch = footer.first_batch + entry.batch,
                          .place = {key.generation, std::uint64_t{entry.offset} * 8,
                                    entry.payload_bytes}};
        if (entry.kind == 0 || entry.kind > static_cast<std::uint8_t>(RecordKind::done) ||
            found.place.offset + record_bytes(entry.payload_bytes) > footer.end)
            return fail(Errc::io, fmt::format("entry {} of the footer makes no sense", i));
        footer.index.push_back(found);
    }
    return footer;
}

}  // namespace ssi::io
