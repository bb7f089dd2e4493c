// SPDX-License-Identifier: BSD-3-Clause
// Reading records: from the buffers of what is not written yet, else from the disk, verified.
#include <fmt/format.h>

#include "segment_state.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::io {

Result<LogRead> SegmentLog::Impl::decode(std::span<const std::byte> bytes, const LogPlace& place,
                                         const std::string& path) const {
    const std::string file = fmt::format("{} of {}", path, options.disk->name());
    auto record = decode_record(bytes, key(place.segment));
    if (record && record->found.place.payload_bytes != place.payload_bytes)
        record = fail(Errc::io, fmt::format("a record of {} bytes, {} were expected",
                                            record->found.place.payload_bytes,
                                            place.payload_bytes));
    if (!record) return tl::unexpected(log_failure(record.error(), file, place.offset));
    LogRead out{record->found, {record->payload.begin(), record->payload.end()}};
    out.record.place = place;
    return out;
}

// Copied under the lock, verified without it.
std::optional<SegmentLog::Impl::Buffered> SegmentLog::Impl::find_buffered(
    const LogPlace& place) const {
    const auto search = [&](const std::deque<GroupPtr>& groups) -> std::optional<Buffered> {
        for (const GroupPtr& group : groups) {
            if (group->segment->generation != place.segment || place.offset < group->start ||
                place.offset >= group->start + group->used)
                continue;
            const auto rest = group->bytes.first(group->used).subspan(place.offset - group->start);
            const auto bytes = rest.first(std::min<std::size_t>(
                rest.size(), record_bytes(place.payload_bytes)));
            return Buffered{{bytes.begin(), bytes.end()}, group->segment->path};
        }
        return {};
    };
    if (auto found = search(in_flight)) return found;
    return search(pending);
}

Result<SegmentPtr> SegmentLog::Impl::pin(Lock& lock, std::uint64_t generation) {
    const auto found = segments.find(generation);
    if (found == segments.end())
        return fail(Errc::not_found, fmt::format("segment {} of log {} is no more", generation,
                                                 options.directory));
    SegmentPtr segment = found->second;
    ++segment->users;
    segment->last_use = ++uses;
    if (segment->file) return segment;
    // One more file: another, the one that was not used for longest, is closed.
    SegmentPtr idle;
    std::size_t open = 0;
    for (const auto& [number, other] : segments) {
        if (!other->file || !other->complete) continue;
        ++open;
        if (other->users == 0 && (!idle || other->last_use < idle->last_use)) idle = other;
    }
    std::unique_ptr<DiskFile> closing;
    if (open >= options.open_files && idle) closing = std::move(idle->file);
    lock.unlock();
    closing.reset();
    auto file = options.disk->open(segment->path, OpenMode::write);
    lock.lock();
    if (!file) {
        unpin(lock, *segment);
        Failure gone = std::move(file).error();   // also when it is not there: it has to be
        gone.code = Errc::io;
        return tl::unexpected<Failure>(std::move(gone));
    }
    if (!segment->file) segment->file = std::move(*file);
    return segment;
}

void SegmentLog::Impl::unpin(Lock&, Segment& segment) {
    SSI_ASSERT(segment.users > 0, "unpin belongs to a pin");
    if (--segment.users > 0) return;
    const auto zombie = std::ranges::find_if(
        zombies, [&](const SegmentPtr& other) { return other.get() == &segment; });
    if (zombie == zombies.end()) return;
    give_back(segment);
    zombies.erase(zombie);
}

Result<LogRead> SegmentLog::Impl::read(const LogPlace& place) {
    Lock lock(mutex);
    if (const auto found = find_buffered(place)) {
        lock.unlock();
        return decode(found->bytes, place, found->path);
    }
    auto pinned = pin(lock, place.segment);
    if (!pinned) return tl::unexpected<Failure>(std::move(pinned).error());
    const SegmentPtr segment = *pinned;
    const std::uint64_t segment_end = whole_blocks(segment->end);
    lock.unlock();
    auto out = read_file(place, *segment, segment_end);
    lock.lock();
    unpin(lock, *segment);
    return out;
}

// From a piece that was read ahead, if that has the record; else, and whenever there is doubt, from
// the file.
Result<LogRead> SegmentLog::Impl::read_file(const LogPlace& place, const Segment& segment,
                                            std::uint64_t segment_end) {
    const std::uint64_t first = place.offset / log_block_bytes * log_block_bytes;
    const std::uint64_t end = whole_blocks(place.offset + record_bytes(place.payload_bytes));
    const auto load = [&](std::uint64_t at, std::span<std::byte> out) {
        const auto moved = io::read(*options.disk, *segment.file, out, at);
        return moved && *moved == out.size();
    };
    if (const auto piece = ahead.find(place.segment, first, end, segment_end, load)) {
        auto out = decode(piece->part(place.offset, end), place, segment.path);
        if (out) return out;
        ahead.drop(piece);
    }
    auto bytes = read_bytes(*options.disk, *segment.file, first, end - first);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    return decode(bytes->first(end - first).subspan(place.offset - first), place, segment.path);
}

// All records of a complete segment: from its footer, or batch by batch.
Result<void> SegmentLog::Impl::visit(std::uint64_t generation, const RecordVisitor& visitor) {
    Lock lock(mutex);
    auto pinned = pin(lock, generation);
    if (!pinned) return tl::unexpected<Failure>(std::move(pinned).error());
    const SegmentPtr segment = *pinned;
    const SegmentHeader header{options.identity, generation, segment->first_batch,
                               segment->file_bytes, segment->header_bytes, {}};
    const std::uint64_t end = segment->end, bytes = segment->file_bytes;
    lock.unlock();
    const auto work = [&]() -> Result<void> {
        const auto footer = read_footer(*options.disk, *segment->file, bytes, key(generation));
        if (footer && *footer && (*footer)->has_index && (*footer)->end == end) {
            for (const FoundRecord& found : (*footer)->index) visitor(found);
            return {};
        }
        auto all = read_bytes(*options.disk, *segment->file, 0, bytes);
        if (!all) return tl::unexpected<Failure>(all.error());
        const auto scan = scan_content(all->first(bytes), header, end, key(generation),
                                       [&](const BatchView& batch, std::uint64_t offset) {
                                           for (FoundRecord found : found_in(batch, offset))
                                               visitor(found);
                                       });
        if (!scan.damage) return {};
        return tl::unexpected(log_failure({Errc::io, 0, no_node, *scan.damage}, segment->path,
                                          scan.damage_offset));
    };
    auto worked = work();
    lock.lock();
    unpin(lock, *segment);
    return worked;
}

Result<LogRead> SegmentLog::read(const LogPlace& place) { return impl_->read(place); }

Result<void> SegmentLog::visit_segment(std::uint64_t generation, const RecordVisitor& visit) {
    return impl_->visit(generation, visit);
}

}  // namespace ssi::io
