// SPDX-License-Identifier: BSD-3-Clause
// All batches of a segment, and the verdict on what follows the last whole one: nothing, a torn
// batch that nobody was promised, or damage to something that was committed.
#include <fmt/format.h>

#include <algorithm>

#include "log_format.hpp"

namespace ssi::io {
namespace {

// A batch begins where the last one ended, or, when a write of its own, at the next block.
struct Candidates {
    std::uint64_t place[2];
    std::size_t count;
};

Candidates candidates(std::uint64_t end) {
    const std::uint64_t block = whole_blocks(end);
    return block == end ? Candidates{{end, 0}, 1} : Candidates{{end, block}, 2};
}

bool is_zero(std::span<const std::byte> bytes) {
    return std::ranges::all_of(bytes.first(std::min<std::size_t>(bytes.size(), 8)),
                               [](std::byte b) { return b == std::byte{0}; });
}

class Walk {
public:
    Walk(std::span<const std::byte> segment, const HashKey& key, const BatchVisitor& visit)
        : segment_(segment), key_(key), visit_(visit) {}

    // The next batch, visited; false: there is none that is whole, and `failure` says why.
    bool step(ContentScan& scan) {
        failure = "no batch here";
        failed_at = scan.end;
        head_seen = false;
        const Candidates tried = candidates(scan.end);
        for (std::size_t i = 0; i < tried.count; ++i) {
            const std::uint64_t place = tried.place[i];
            if (place >= segment_.size()) break;
            const auto here = segment_.subspan(place);
            const auto head = decode_batch_head(here, key_);
            if (!head || head->id != scan.next_batch) {
                // Told of the first place, unless that is padding.
                if (!head && !head_seen && (i == 0 || is_zero(segment_.subspan(scan.end)))) {
                    failure = head.error().text;
                    failed_at = place;
                }
                continue;
            }
            failed_at = place;
            head_seen = true;
            const auto batch = decode_batch(here, key_);
            if (!batch) {
                failure = batch.error().text;
                unsupported = batch.error().code == Errc::unsupported;
                continue;
            }
            visit_(*batch, place);
            scan.end = place + batch->head.bytes;
            ++scan.next_batch;
            ++scan.batches;
            return true;
        }
        return false;
    }

    std::string failure;
    std::uint64_t failed_at = 0;
    bool head_seen = false;
    bool unsupported = false;

private:
    std::span<const std::byte> segment_;
    const HashKey& key_;
    const BatchVisitor& visit_;
};

// The newest batch that later batches of the segment call durable; 0: there are no later ones.
struct Later {
    bool any = false;
    Sequence durable = 0;
};

Later later_batches(std::span<const std::byte> segment, const HashKey& key, std::uint64_t from,
                    Sequence next) {
    Later later;
    for (std::uint64_t at = whole_blocks(from); at + batch_head_bytes <= segment.size();
         at += log_block_bytes) {
        const auto head = decode_batch_head(segment.subspan(at), key);
        if (!head || head->id <= next) continue;
        later.any = true;
        later.durable = std::max(later.durable, head->durable_before);
    }
    return later;
}

}  // namespace

ContentScan scan_content(std::span<const std::byte> segment, const SegmentHeader& header,
                         std::optional<std::uint64_t> end, const HashKey& key,
                         const BatchVisitor& visit) {
    ContentScan scan{.end = header.header_bytes, .next_batch = header.first_batch};
    if (end && (*end > segment.size() || *end < scan.end)) {
        scan.damage = fmt::format("the content ends at byte {} of {}", *end, segment.size());
        return scan;
    }
    const auto within = end ? segment.first(*end) : segment;
    Walk walk(within, key, visit);
    while (!end || scan.end < *end)
        if (!walk.step(scan)) break;
    if (end) {
        if (scan.end == *end) return scan;
        scan.damage = fmt::format("batch {} was committed and is damaged: {}", scan.next_batch,
                                  walk.failure);
        scan.damage_offset = walk.failed_at;
        return scan;
    }
    const Later later = later_batches(segment, key, scan.end, scan.next_batch);
    if (walk.unsupported) {
        scan.damage = walk.failure;
        scan.damage_offset = walk.failed_at;
    } else if (later.durable >= scan.next_batch) {
        scan.damage = fmt::format("batch {} was committed (a later one says so) and is damaged: {}",
                                  scan.next_batch, walk.failure);
        scan.damage_offset = walk.failed_at;
    } else if (later.any || walk.head_seen) {
        scan.torn = fmt::format("batch {} was not committed and is torn: {}", scan.next_batch,
                                walk.failure);
    }
    return scan;
}

Sequence told_durable(std::span<const std::byte> segment, const HashKey& key, std::uint64_t from,
                      Sequence next) {
    return later_batches(segment, key, from, next).durable;
}

bool holds_batches(std::span<const std::byte> segment, const HashKey& key) {
    for (std::uint64_t at = log_block_bytes; at + batch_head_bytes <= segment.size();
         at += log_block_bytes)
        if (decode_batch_head(segment.subspan(at), key)) return true;
    return false;
}

}  // namespace ssi::io
