// SPDX-License-Identifier: BSD-3-Clause
// What writing and reading sealed logs share: sizes, and the digest.
#pragma once

#include "log_hash.hpp"
#include "ssi/io/sealed_log.hpp"

namespace ssi::io {

// Segments of 16 MiB: a reader holds two in memory. Each write is one batch, each batch a write.
inline constexpr std::uint64_t sealed_segment_bytes = 16 << 20;
inline constexpr std::size_t sealed_write_bytes = 4 << 20;
// A segment is not longer than its last batch and the footer make it.
inline constexpr std::uint64_t longest_sealed_segment =
    sealed_segment_bytes + sealed_segment_bytes / 8 + 2 * log_block_bytes;
constexpr std::size_t most_sealed_entries =
    (sealed_segment_bytes / 8 - footer_trailer_bytes) / footer_entry_bytes;

static_assert(max_sealed_payload_bytes + record_head_bytes + batch_head_bytes + commit_mark_bytes <=
              sealed_write_bytes);

// Takes the hash that ends a header, a batch or a footer into the digest.
inline void digest_end_of(std::span<const std::byte> bytes, LogDigest& digest) {
    const Hash128 hash = hash_of(bytes_of(digest), bytes.last(sizeof(Hash128)), 0);
    digest = {hash.low, hash.high};
}

}  // namespace ssi::io
