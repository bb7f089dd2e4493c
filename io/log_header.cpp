// SPDX-License-Identifier: BSD-3-Clause
// The header of a segment: what it is, and which other segments the log had then.
#include <fmt/format.h>

#include <cstring>

#include "log_hash.hpp"

namespace ssi::io {
namespace {

constexpr std::uint64_t header_magic = 0x0067'6573'2d69'7373;   // "ssi-seg\0"
constexpr std::uint32_t flag_last_open = 1;
constexpr std::uint64_t max_header_bytes = 64 << 20;

struct WireHeader {
    std::uint64_t magic;
    std::uint32_t format_version;
    std::uint32_t header_bytes;
    std::uint64_t volume_high;
    std::uint64_t volume_low;
    std::uint64_t log;
    std::uint64_t generation;
    std::uint64_t first_batch;
    std::uint64_t segment_bytes;
    std::uint32_t live_segments;
    std::uint32_t flags;
};
static_assert(sizeof(WireHeader) == 72);

struct WireLive {
    std::uint32_t back;   // generations before this one
    std::uint32_t end;    // in steps of 8 bytes
};
static_assert(sizeof(WireLive) == 8);

}  // namespace

std::string VolumeId::text() const { return fmt::format("{:016x}{:016x}", high, low); }

std::uint64_t header_bytes_for(std::size_t live_segments) {
    return whole_blocks(sizeof(WireHeader) + live_segments * sizeof(WireLive) + sizeof(Hash128));
}

void encode_header(const SegmentHeader& header, std::span<std::byte> out) {
    const WireHeader wire{.magic = header_magic,
                          .format_version = log_format_version,
                          .header_bytes = static_cast<std::uint32_t>(out.size()),
                          .volume_high = header.identity.volume.high,
                          .volume_low = header.identity.volume.low,
                          .log = header.identity.log,
                          .generation = header.generation,
                          .first_batch = header.first_batch,
                          .segment_bytes = header.segment_bytes,
                          .live_segments = static_cast<std::uint32_t>(header.live.size()),
                          .flags = header.last_open ? flag_last_open : 0};
    std::memcpy(out.data(), &wire, sizeof wire);
    std::byte* at = out.data() + sizeof wire;
    for (const LiveSegment& live : header.live) {
        const WireLive entry{static_cast<std::uint32_t>(header.generation - live.generation),
                             static_cast<std::uint32_t>(live.end / 8)};
        std::memcpy(at, &entry, sizeof entry);
        at += sizeof entry;
    }
    const HashKey key{header.identity, header.generation, {}};
    const auto covered = out.first(out.size() - sizeof(Hash128));
    const Hash128 hash = hash_of(covered, key.seed(header_sequence));
    std::memcpy(out.data() + covered.size(), &hash, sizeof hash);
}

Result<std::uint64_t> header_length(std::span<const std::byte> block) {
    WireHeader wire;
    if (block.size() < sizeof wire)
        return fail(Errc::io, fmt::format("{} bytes are too short for a header", block.size()));
    std::memcpy(&wire, block.data(), sizeof wire);
    if (wire.magic != header_magic) return fail(Errc::io, "no segment header (magic)");
    if (wire.format_version != log_format_version)
        return fail(Errc::unsupported,
                    fmt::format("format version {}, this program reads version {}: written by "
                                "another release, or damaged",
                                wire.format_version, log_format_version));
    if (wire.header_bytes == 0 || wire.header_bytes % log_block_bytes != 0 ||
        wire.header_bytes > max_header_bytes)
        return fail(Errc::io, fmt::format("header of {} bytes", wire.header_bytes));
    return wire.header_bytes;
}

Result<SegmentHeader> decode_header(std::span<const std::byte> bytes) {
    const auto length = header_length(bytes);
    if (!length) return tl::unexpected<Failure>(length.error());
    if (bytes.size() < *length)
        return fail(Errc::io, fmt::format("header cut off after {} bytes", bytes.size()));
    WireHeader wire;
    std::memcpy(&wire, bytes.data(), sizeof wire);
    SegmentHeader header{.identity = {{wire.volume_high, wire.volume_low}, wire.log},
                         .generation = wire.generation,
                         .first_batch = wire.first_batch,
                         .segment_bytes = wire.segment_bytes,
                         .header_bytes = *length,
                         .live = {},
                         .last_open = (wire.flags & flag_last_open) != 0};
    const HashKey key{header.identity, header.generation, {}};
    Hash128 hash;
    std::memcpy(&hash, bytes.data() + *length - sizeof hash, sizeof hash);
    if (hash != hash_of(bytes.first(*length - sizeof hash), key.seed(header_sequence)))
        return fail(Errc::io, "the hash of the header does not match");
    // The hash holds from here on: what is wrong now was written so.
    if (header_bytes_for(wire.live_segments) > *length)
        return fail(Errc::io, fmt::format("header of {} bytes for {} segments", *length,
                                          wire.live_segments));
    header.live.reserve(wire.live_segments);
    std::uint64_t before = 0;
    for (std::uint32_t i = 0; i < wire.live_segments; ++i) {
        WireLive entry;
        std::memcpy(&entry, bytes.data() + sizeof wire + i * sizeof entry, sizeof entry);
        if (entry.back == 0 || entry.back >= wire.generation ||
            wire.generation - entry.back <= before)
            return fail(Errc::io, fmt::format("segment {} of the header's list is out of order",
                                              i));
        before = wire.generation - entry.back;
        header.live.push_back({before, std::uint64_t{entry.end} * 8});
    }
    if (wire.flags > flag_last_open || (header.last_open && header.live.empty()))
        return fail(Errc::io, fmt::format("header with flags {:#x} and {} segments", wire.flags,
                                          wire.live_segments));
    return header;
}

}  // namespace ssi::io
