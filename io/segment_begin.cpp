// SPDX-License-Identifier: BSD-3-Clause
// Beginning a segment: a spare file becomes the new one, its header lists what the log consists of.
// The file has its name and its header, durably, while the last writes of the segment before are
// under way, so that the disk does not wait for that. That one gets its footer when it is durable.
#include <fmt/format.h>

#include <utility>

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

// All but the last one before it is durable, or can be made so at once. When nothing is in flight,
// and the disk has nothing else to do, the last one is, too.
bool SegmentLog::Impl::may_begin(const Group& group) const {
    if (syncing || sealing) return false;
    if (in_flight.empty()) return true;
    return group.before && in_flight.front()->segment == group.before;
}

// This segment gets its header, those before that are durable their footers, all durably. What the
// disk still writes is of the one just before: the header says so.
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
    header.last_open = !in_flight.empty();
    std::vector<SegmentPtr> sealed, to_sync;
    if (open_before) sealed.push_back(open_before);
    if (group.before && !header.last_open) sealed.push_back(group.before);
    for (const SegmentPtr& one : sealed) {
        ++one->users;
        if (std::exchange(one->unsynced, false)) to_sync.push_back(one);
    }
    const Sequence all = header.last_open ? group.before->first_batch - 1 : written;
    lock.unlock();

    BlockBuffer bytes(segment.header_bytes);
    std::memset(bytes.data(), 0, segment.header_bytes);
    encode_header(header, bytes.first(segment.header_bytes));
    DiskRequest write;
    write.file = group.file.get();
    write.memory = bytes.data();
    write.length = segment.header_bytes;
    const auto work = [&]() -> Result<void> {
        for (const SegmentPtr& one : to_sync) SSI_TRY(sync(*options.disk, *one->file));
        return seal(sealed, true, &write);
    };
    auto worked = work();

    lock.lock();
    for (const SegmentPtr& one : sealed) --one->users;
    if (!worked) return worked;
    if (!to_sync.empty()) durable = std::max(durable, all);
    segment.file = std::move(group.file);
    segment.begun = true;
    open_before = header.last_open ? group.before : nullptr;
    for (auto& [generation, other] : segments)
        if (generation < segment.generation && other != open_before) other->complete = true;
    ++statistics.segments_begun;
    if (group.spare.reused) ++statistics.segments_reused;
    statistics.written_bytes += segment.header_bytes;
    release(lock, gone);
    return {};
}

bool SegmentLog::Impl::can_seal_before() const {
    return open_before && !failure && !beginning && !sealing && !open_before->unsynced &&
           durable >= open_before->last_batch;
}

void SegmentLog::Impl::seal_before(Lock& lock) {
    const SegmentPtr segment = open_before;
    sealing = true;
    ++segment->users;
    lock.unlock();
    auto sealed = seal({&segment, 1}, true, nullptr);
    lock.lock();
    --segment->users;
    sealing = false;
    if (!sealed) return fail_for_good(std::move(sealed).error());
    segment->complete = true;
    open_before = nullptr;
    changed.notify_all();
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

// Without the lock. The footers of segments whose content is durable, and the header of the one
// that follows, which may be null.
Result<void> SegmentLog::Impl::seal(std::span<const SegmentPtr> sealed, bool followed,
                                    DiskRequest* header) {
    std::vector<Seal> seals(sealed.size());
    std::vector<DiskRequest*> writes;
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        if (sealed[i]->recovered)
            SSI_TRY(mark_followed(*sealed[i], seals[i]));
        else
            make_footer(*sealed[i], followed, seals[i]);
        writes.push_back(&seals[i].write);
    }
    if (header) writes.push_back(header);
    for (DiskRequest* write : writes) {
        write->kind = DiskRequest::Kind::write;
        write->durable = true;
    }
    options.disk->submit(writes);
    for (DiskRequest* write : writes) options.disk->wait(*write);
    for (DiskRequest* write : writes) SSI_TRY(outcome_of(*options.disk, *write, "write"));
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        Segment& segment = *sealed[i];
        if (seals[i].file_bytes < segment.file_bytes)
            SSI_TRY(segment.file->truncate(seals[i].file_bytes));
        std::lock_guard lock(mutex);
        segment.file_bytes = seals[i].file_bytes;
        statistics.written_bytes += seals[i].write.length;
    }
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
