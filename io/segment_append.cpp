// SPDX-License-Identifier: BSD-3-Clause
// Appending: where a batch will lie is decided here, under the lock and without waiting.
#include <fmt/format.h>

#include <cerrno>

#include "segment_state.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::io {
namespace {

Result<std::uint64_t> checked_bytes(std::span<const LogRecord> records) {
    if (records.empty() || records.size() > max_batch_records)
        return fail(Errc::invalid_argument, fmt::format("a batch has 1 to {} records, not {}",
                                                        max_batch_records, records.size()));
    for (const LogRecord& record : records)
        if (record.payload.size() > max_value_bytes || record.value_bytes > max_value_bytes)
            return fail(Errc::too_large,
                        fmt::format("set {} object {}:{} has {} bytes; a log takes {}",
                                    record.set.value, record.id.hi, record.id.lo,
                                    std::max<std::size_t>(record.payload.size(),
                                                          record.value_bytes),
                                    max_value_bytes));
    const std::uint64_t bytes = batch_bytes(records);
    if (bytes > max_batch_bytes)
        return fail(Errc::too_large, fmt::format("a batch of {} bytes; a log takes {}", bytes,
                                                 max_batch_bytes));
    return bytes;
}

std::uint64_t footer_room(const Segment& segment, std::size_t more_records) {
    const std::uint64_t with_index = footer_bytes_for(segment.index.size() + more_records);
    return segment.indexed && with_index <= segment.file_bytes / 8 ? with_index
                                                                   : footer_bytes_for(0);
}

}  // namespace

tl::unexpected<Failure> SegmentLog::Impl::refused() const {
    if (!failure)
        return fail(Errc::cancelled, fmt::format("log {} is closed", options.directory));
    Failure cause = *failure;
    cause.text = fmt::format("log {} takes nothing any more, since a write failed: {}",
                             options.directory, cause.text);
    return tl::unexpected(std::move(cause));
}

// Whether it goes with the batch before it: unless that is being written, or makes a long write.
bool SegmentLog::Impl::joins_last_group(std::uint64_t bytes) const {
    if (pending.empty() || pending.back()->segment != head) return false;
    const std::uint64_t used = pending.back()->used;
    return used == 0 || used + bytes <= options.write_behind_bytes;
}

// Where the next batch of the head goes: behind the last one, or to a block of its own.
std::uint64_t SegmentLog::Impl::place_in_head(std::uint64_t bytes) const {
    return joins_last_group(bytes) ? head->end : whole_blocks(head->end);
}

SegmentLog::Impl::Fit SegmentLog::Impl::fit(std::uint64_t bytes, std::size_t records) const {
    if (head && whole_blocks(place_in_head(bytes) + bytes) + footer_room(*head, records) <=
                    head->file_bytes)
        return {.in_head = true};
    const std::uint64_t needed = header_bytes_for(segments.size()) + whole_blocks(bytes) +
                                 footer_bytes_for(0);
    return {.in_head = false, .new_segment_bytes = std::max(needed, options.segment_bytes)};
}

std::size_t SegmentLog::Impl::regular_spares() const {
    return static_cast<std::size_t>(std::ranges::count_if(
        spares, [&](const Spare& spare) { return spare.bytes == options.segment_bytes; }));
}

std::optional<std::size_t> SegmentLog::Impl::find_spare(std::uint64_t bytes,
                                                        Urgency urgency) const {
    const bool regular = bytes == options.segment_bytes;
    const std::size_t reserve = urgency == Urgency::reserve ? 0 : options.reserve_segments;
    if (regular_spares() < reserve + (regular ? 1 : 0)) return {};
    std::optional<std::size_t> best;
    for (std::size_t i = 0; i < spares.size(); ++i) {
        const std::uint64_t has = spares[i].bytes;
        if (has < bytes || (!regular && has == options.segment_bytes)) continue;
        if (regular && has != bytes) continue;
        // The first that was written before: its blocks need no more work of the file system.
        if (!best || has < spares[*best].bytes ||
            (has == spares[*best].bytes && spares[i].written && !spares[*best].written))
            best = i;
    }
    return best;
}

void SegmentLog::Impl::begin_segment(std::size_t spare, std::uint64_t bytes) {
    auto segment = std::make_shared<Segment>();
    segment->generation = next_generation++;
    segment->path = path_of(segment_name(segment->generation));
    segment->header_bytes = header_bytes_for(segments.size());
    segment->file_bytes = spares[spare].bytes;
    segment->end = segment->header_bytes;
    segment->first_batch = next_batch;
    segment->last_batch = next_batch - 1;
    SSI_ASSERT(segment->file_bytes >= bytes, "find_spare gave a file that is too short");
    auto group = std::make_shared<Group>();
    group->segment = segment;
    group->start = segment->header_bytes;
    group->begins = true;
    group->before = head ? head : found_head;
    if (group->before && group->before->followed) group->before = nullptr;
    group->spare = std::move(spares[spare]);
    spares.erase(spares.begin() + static_cast<std::ptrdiff_t>(spare));
    segments.emplace(segment->generation, segment);
    head = segment;
    pending.push_back(std::move(group));
}

Group& SegmentLog::Impl::group_for(std::uint64_t place, std::uint64_t bytes) {
    const bool much = !pending.empty();
    if (!joins_last_group(bytes)) {
        auto group = std::make_shared<Group>();
        group->segment = head;
        group->start = place;
        pending.push_back(std::move(group));
    }
    Group& group = *pending.back();
    if (group.bytes.capacity() == 0 && !buffers.empty()) {
        group.bytes = std::move(buffers.back());
        buffers.pop_back();
    }
    // Where much is written at once no group grows step by step.
    if (much && group.used == 0)
        group.bytes.reserve(std::min<std::uint64_t>(options.write_behind_bytes,
                                                    options.segment_bytes));
    return group;
}

std::uint64_t SegmentLog::Impl::backlog() const {
    std::uint64_t bytes = 0;
    for (const GroupPtr& group : pending) bytes += group->used;
    return bytes;
}

void SegmentLog::Impl::keep_index(Segment& segment, std::span<const LogRecord> records,
                                  const Appended& appended) {
    if (!segment.indexed) return;
    if (footer_bytes_for(segment.index.size() + records.size()) > segment.file_bytes / 8) {
        segment.indexed = false;
        segment.index = {};
        return;
    }
    for (std::size_t i = 0; i < records.size(); ++i) {
        const LogRecord& record = records[i];
        segment.index.push_back({record.kind, record.flags, record.set, record.id,
                                 record.version ? record.version : version_of(appended.batch, i),
                                 record.value_bytes, appended.batch, appended.places[i]});
    }
}

Result<Appended> SegmentLog::try_append(std::span<const LogRecord> records, Urgency urgency) {
    const auto bytes = checked_bytes(records);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    Impl& log = *impl_;
    std::lock_guard lock(log.mutex);
    if (log.failure || log.closed) return log.refused();
    if (log.backlog() > log.options.backlog_bytes)
        return fail(Errc::would_block, "the log has much to write: call prepare");
    const auto fit = log.fit(*bytes, records.size());
    if (!fit.in_head) {
        const auto spare = log.find_spare(fit.new_segment_bytes, urgency);
        if (!spare) return fail(Errc::would_block, "the log needs a new segment: call prepare");
        log.begin_segment(*spare, fit.new_segment_bytes);
    }
    Segment& segment = *log.head;
    const std::uint64_t place = log.place_in_head(*bytes);
    Group& group = log.group_for(place, *bytes);
    const std::uint64_t at = place - group.start;
    group.bytes.reserve(whole_blocks(at + *bytes), group.used);
    Appended appended{log.next_batch++, {}};
    encode_batch(records, log.key(segment.generation), appended.batch, log.durable,
                 group.bytes.first(at + *bytes).subspan(at));
    group.used = at + *bytes;
    group.last = appended.batch;
    segment.end = place + *bytes;
    segment.last_batch = appended.batch;
    std::uint64_t offset = place + batch_head_bytes;
    appended.places.reserve(records.size());
    for (const LogRecord& record : records) {
        appended.places.push_back({segment.generation, offset,
                                   static_cast<std::uint32_t>(record.payload.size())});
        offset += record_bytes(record.payload.size());
    }
    log.keep_index(segment, records, appended);
    log.call_behind();
    ++log.statistics.batches;
    log.statistics.appended_bytes += *bytes;
    return appended;
}

Result<Appended> SegmentLog::append(std::span<const LogRecord> records, Urgency urgency) {
    while (true) {
        auto appended = try_append(records, urgency);
        if (appended || appended.error().code != Errc::would_block) return appended;
        SSI_TRY(prepare(batch_bytes(records), records.size(), urgency));
    }
}

}  // namespace ssi::io
