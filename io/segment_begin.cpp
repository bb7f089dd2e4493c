// SPDX-License-Identifier: BSD-3-Clause
// Beginning a segment: the one before is durable and gets its footer, a spare file becomes the new
// one, its header lists what the log consists of. The file has its name, durably, before the last
// writes of the segment before are done; footer and header go to the disk together.
#include <fmt/format.h>

#include <array>

#include "disk_parts.hpp"
#include "segment_state.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::io {

// One of the two things that the first pending group needs. By the writer.
void SegmentLog::Impl::begin_front(Lock& lock) {
    const GroupPtr group = pending.front();
    if (!group->file) {
        if (auto named = name_file(lock, *group); !named) fail_for_good(std::move(named).error());
        return;
    }
    beginning = true;
    auto begun = begin(lock, *group);
    beginning = false;
    if (!begun) return fail_for_good(std::move(begun).error());
    group->begins = false;
    if (group->used == 0) pending.pop_front();
}

// The spare gets the segment's name. For recovery a file without a header of its generation is
// free, so this may come early.
Result<void> SegmentLog::Impl::name_file(Lock& lock, Group& group) {
    const std::vector<std::string> unwanted = std::move(removals);
    removals.clear();
    const std::string path = group.segment->path;
    lock.unlock();
    const auto work = [&]() -> Result<void> {
        SSI_TRY(options.disk->rename(group.spare.path, path));
        SSI_TRY(options.disk->sync_directory(options.directory));
        auto file = options.disk->open(path, OpenMode::write);
        if (!file) return tl::unexpected<Failure>(std::move(file).error());
        group.file = std::move(*file);
        // Not before: one of them may be the file that the footer of the newest segment tells of.
        for (const std::string& gone : unwanted)
            if (auto removed = options.disk->remove(gone);
                !removed && removed.error().code != Errc::not_found)
                return removed;
        return {};
    };
    auto worked = work();
    lock.lock();
    return worked;
}

// The segment before gets its footer, this one its header, both durably. Nothing is in flight.
Result<void> SegmentLog::Impl::begin(Lock& lock, Group& group) {
    Segment& segment = *group.segment;
    SegmentHeader header{options.identity, segment.generation, segment.first_batch,
                         segment.file_bytes, segment.header_bytes, {}};
    std::vector<SegmentPtr> gone;
    for (const auto& [generation, other] : segments) {
        if (generation >= segment.generation) break;
        if (other->freed)
            gone.push_back(other);
        else
            header.live.push_back({generation, other->end});
    }
    if (group.seals) ++group.seals->users;
    const bool must_sync = group.seals && group.seals->unsynced;
    lock.unlock();

    BlockBuffer bytes(segment.header_bytes);
    std::memset(bytes.data(), 0, segment.header_bytes);
    encode_header(header, bytes.first(segment.header_bytes));
    DiskRequest write;
    write.file = group.file.get();
    write.memory = bytes.data();
    write.length = segment.header_bytes;
    const auto work = [&]() -> Result<void> {
        if (must_sync) SSI_TRY(sync(*options.disk, *group.seals->file));
        return seal(group.seals.get(), &write);
    };
    auto worked = work();

    lock.lock();
    if (group.seals) --group.seals->users;
    if (!worked) return worked;
    if (must_sync) {
        group.seals->unsynced = false;
        durable = written;
    }
    segment.file = std::move(group.file);
    segment.begun = true;
    for (auto& [generation, other] : segments)
        if (generation < segment.generation) other->complete = true;
    ++statistics.segments_begun;
    if (group.spare.reused) ++statistics.segments_reused;
    statistics.written_bytes += segment.header_bytes;
    release(lock, gone);
    return {};
}

// The footer. Durable, so that recovery is as quick after a power cut; nothing else relies on it.
void SegmentLog::Impl::make_footer(Segment& segment, bool followed, Seal& seal) {
    // A batch that only just fits a segment of its own leaves room for a footer without an index.
    if (whole_blocks(segment.end) + footer_bytes_for(segment.index.size()) > segment.file_bytes)
        segment.indexed = false;
    if (!segment.indexed) segment.index.clear();
    const SegmentFooter footer{segment.first_batch, segment.last_batch, segment.end,
                               segment.indexed, followed, std::move(segment.index)};
    segment.index = {};
    const std::uint64_t length = footer_bytes_for(footer.index.size());
    seal.bytes.reserve(length);
    std::memset(seal.bytes.data(), 0, length);
    encode_footer(footer, key(segment.generation), seal.bytes.first(length));
    const std::uint64_t least = whole_blocks(segment.end) + length;
    SSI_ASSERT(least <= segment.file_bytes, "a segment keeps room for its footer");
    // A batch that did not fit left much unused: the file is cut.
    const bool cut = segment.file_bytes - least > segment.file_bytes / 8;
    seal.file_bytes = cut ? least : segment.file_bytes;
    seal.write.file = segment.file.get();
    seal.write.place = seal.file_bytes - length;
    seal.write.memory = seal.bytes.data();
    seal.write.length = length;
}

// The footer of the newest segment that open found says from now on that another follows: in its
// last block, or in one of its own when there is none.
Result<void> SegmentLog::Impl::mark_followed(const Segment& segment, Seal& seal) {
    auto file = options.disk->open(segment.path, OpenMode::write);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    seal.file = std::move(*file);
    auto found = read_footer(*options.disk, *seal.file, segment.file_bytes,
                             key(segment.generation));
    if (!found && found.error().sys_errno != 0)
        return tl::unexpected<Failure>(std::move(found).error());
    SegmentFooter footer{segment.first_batch, segment.last_batch, segment.end, false, true, {}};
    if (found && *found && (*found)->end == segment.end) footer = std::move(**found);
    footer.followed = true;
    const std::uint64_t length = footer_bytes_for(footer.index.size());
    seal.bytes.reserve(length);
    std::memset(seal.bytes.data(), 0, length);
    encode_footer(footer, key(segment.generation), seal.bytes.first(length));
    seal.file_bytes = segment.file_bytes;
    seal.write.file = seal.file.get();
    seal.write.place = segment.file_bytes - log_block_bytes;
    seal.write.memory = seal.bytes.data() + length - log_block_bytes;
    seal.write.length = log_block_bytes;
    return {};
}

// Without the lock. The footer of a segment whose content is durable, and the header of the one
// that follows. Either may be null.
Result<void> SegmentLog::Impl::seal(Segment* segment, DiskRequest* header) {
    Seal seal;
    std::vector<DiskRequest*> writes;
    if (segment && segment->recovered)
        SSI_TRY(mark_followed(*segment, seal));
    else if (segment)
        make_footer(*segment, header != nullptr, seal);
    if (segment) writes.push_back(&seal.write);
    if (header) writes.push_back(header);
    for (DiskRequest* write : writes) {
        write->kind = DiskRequest::Kind::write;
        write->durable = true;
    }
    options.disk->submit(writes);
    for (DiskRequest* write : writes) options.disk->wait(*write);
    for (DiskRequest* write : writes) SSI_TRY(outcome_of(*options.disk, *write, "write"));
    if (!segment) return {};
    if (seal.file_bytes < segment->file_bytes)
        SSI_TRY(segment->file->truncate(seal.file_bytes));
    std::lock_guard lock(mutex);
    segment->file_bytes = seal.file_bytes;
    statistics.written_bytes += seal.write.length;
    return {};
}

// What was freed before the header was written is no part of the log any more.
void SegmentLog::Impl::release(Lock& lock, const std::vector<SegmentPtr>& gone) {
    for (const SegmentPtr& segment : gone) {
        segments.erase(segment->generation);
        if (segment->users == 0)
            give_back(*segment);
        else
            zombies.push_back(segment);
    }
    if (!options.released || gone.empty()) return;
    lock.unlock();
    for (const SegmentPtr& segment : gone) options.released(segment->generation);
    lock.lock();
}

Result<void> SegmentLog::roll() {
    Impl& log = *impl_;
    Impl::Lock lock(log.mutex);
    while (true) {
        if (log.failure || log.closed) return log.refused();
        const auto spare = log.find_spare(log.options.segment_bytes, Urgency::reserve);
        if (spare) {
            log.begin_segment(*spare, log.options.segment_bytes);
            break;
        }
        SSI_TRY(log.make_spare(lock, log.options.segment_bytes));
    }
    const SegmentPtr segment = log.head;
    return log.drive(lock, 0, [&] { return segment->begun; });
}

}  // namespace ssi::io
