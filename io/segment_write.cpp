// SPDX-License-Identifier: BSD-3-Clause
// Writing: one thread at a time, whoever wants a batch durable first, writes for all. Groups go to
// the disk in order. Those of one segment may become durable together: a crash may then leave any
// of them, and recovery takes the batches up to the first that is not there, as a batch knows what
// was durable when it was made. A segment begins when all of the one before is durable, so what a
// crash leaves is a prefix.
#include <fmt/format.h>

#include "segment_state.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::io {

Result<void> SegmentLog::Impl::drive(Lock& lock, const std::function<bool()>& done) {
    while (!done()) {
        if (failure) return refused();
        if (writing)
            changed.wait(mutex);
        else
            write_pending(lock);
    }
    return {};
}

void SegmentLog::Impl::write_pending(Lock& lock) {
    writing = true;
    in_flight = std::move(pending);
    pending.clear();
    while (!in_flight.empty() && !failure) {
        Group& group = *in_flight.front();
        if (auto done = write_group(lock, group); !done) {
            failure = std::move(done).error();   // the groups stay, to be read
            break;
        }
        if (buffers.size() < 2 && group.bytes.capacity() != 0 &&
            group.bytes.capacity() <= 2 * options.segment_bytes)
            buffers.push_back(std::move(group.bytes));
        in_flight.pop_front();
        changed.notify_all();
    }
    if (!failure && wanted > durable && written > durable)
        if (auto done = sync_written(lock); !done) failure = std::move(done).error();
    writing = false;
    changed.notify_all();
}

// What was written to the newest segment that was.
Result<void> SegmentLog::Impl::sync_written(Lock& lock) {
    auto newest = segments.rbegin();
    while (newest != segments.rend() && !newest->second->unsynced) ++newest;
    SSI_ASSERT(newest != segments.rend(), "what is written and not durable is in some segment");
    const SegmentPtr segment = newest->second;
    const Sequence all = written;
    ++segment->users;
    lock.unlock();
    auto synced = sync(*options.disk, *segment->file);
    lock.lock();
    --segment->users;
    if (!synced) return synced;
    segment->unsynced = false;
    durable = all;
    return {};
}

Result<void> SegmentLog::Impl::drive_durable(Lock& lock, Sequence batch) {
    wanted = std::max(wanted, batch);
    return drive(lock, [&] { return durable >= batch; });
}

// Durable at once when that is awaited and nothing else of the segment has to be made so.
Result<void> SegmentLog::Impl::write_group(Lock& lock, Group& group) {
    if (group.begins) SSI_TRY(begin(lock, group));
    if (group.used == 0) return {};
    Segment& segment = *group.segment;
    ++segment.users;
    ++statistics.writes;
    const std::uint64_t length = whole_blocks(group.used);
    statistics.written_bytes += length;
    const bool at_once = wanted > durable && in_flight.size() == 1 && !segment.unsynced;
    lock.unlock();
    std::memset(group.bytes.data() + group.used, 0, length - group.used);
    auto done = io::write(*options.disk, *segment.file, group.bytes.first(length), group.start,
                          at_once);
    lock.lock();
    --segment.users;
    if (!done) return done;
    written = group.last;
    if (at_once)
        durable = written;
    else
        segment.unsynced = true;
    return {};
}

// The segment before gets its footer, a file becomes this segment, its header is made durable.
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
    std::vector<std::string> unwanted = std::move(removals);
    removals.clear();
    if (group.seals) ++group.seals->users;
    const bool must_sync = group.seals && group.seals->unsynced;
    lock.unlock();

    std::unique_ptr<DiskFile> begun;   // the segment's, once the lock is held again
    const auto work = [&]() -> Result<void> {
        for (const std::string& path : unwanted)
            if (auto removed = options.disk->remove(path);
                !removed && removed.error().code != Errc::not_found)
                return removed;
        if (must_sync) SSI_TRY(sync(*options.disk, *group.seals->file));
        if (group.seals) SSI_TRY(seal(*group.seals));
        SSI_TRY(options.disk->rename(group.spare.path, segment.path));
        SSI_TRY(options.disk->sync_directory(options.directory));
        auto file = options.disk->open(segment.path, OpenMode::write);
        if (!file) return tl::unexpected<Failure>(std::move(file).error());
        BlockBuffer bytes(segment.header_bytes);
        std::memset(bytes.data(), 0, segment.header_bytes);
        encode_header(header, bytes.first(segment.header_bytes));
        SSI_TRY(io::write(*options.disk, **file, bytes.first(segment.header_bytes), 0, true));
        begun = std::move(*file);
        return {};
    };
    auto worked = work();

    lock.lock();
    if (group.seals) --group.seals->users;
    if (!worked) return worked;
    if (must_sync) {
        group.seals->unsynced = false;
        durable = written;
    }
    segment.file = std::move(begun);
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
Result<void> SegmentLog::Impl::seal(Segment& segment) {
    // A batch that only just fits a segment of its own leaves room for a footer without an index.
    if (whole_blocks(segment.end) + footer_bytes_for(segment.index.size()) > segment.file_bytes)
        segment.indexed = false;
    if (!segment.indexed) segment.index.clear();
    const SegmentFooter footer{segment.first_batch, segment.last_batch, segment.end,
                               segment.indexed, std::move(segment.index)};
    segment.index = {};
    const std::uint64_t length = footer_bytes_for(footer.index.size());
    BlockBuffer bytes(length);
    std::memset(bytes.data(), 0, length);
    encode_footer(footer, key(segment.generation), bytes.first(length));
    const std::uint64_t least = whole_blocks(segment.end) + length;
    SSI_ASSERT(least <= segment.file_bytes, "a segment keeps room for its footer");
    // A batch that did not fit left much unused: the file is cut.
    const bool cut = segment.file_bytes - least > segment.file_bytes / 8;
    const std::uint64_t end = cut ? least : segment.file_bytes;
    SSI_TRY(io::write(*options.disk, *segment.file, bytes.first(length), end - length, true));
    if (cut) {
        SSI_TRY(segment.file->truncate(end));
        std::lock_guard lock(mutex);
        segment.file_bytes = end;
        statistics.written_bytes += length;
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

Result<void> SegmentLog::commit(Sequence batch) {
    Impl& log = *impl_;
    Impl::Lock lock(log.mutex);
    if (batch >= log.next_batch)
        return fail(Errc::invalid_argument,
                    fmt::format("batch {} of log {} was not appended: the last is {}", batch,
                                log.options.directory, log.next_batch - 1));
    return log.drive_durable(lock, batch);
}

Result<void> SegmentLog::commit_all() { return commit(last()); }

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
    return log.drive(lock, [&] { return segment->begun; });
}

Result<void> SegmentLog::close() {
    Impl& log = *impl_;
    log.stop_behind();
    Impl::Lock lock(log.mutex);
    if (log.closed) return {};
    if (log.failure) {
        log.closed = true;
        return log.refused();
    }
    log.closed = true;   // nothing is appended from here on
    const Sequence all = log.next_batch - 1;
    log.wanted = all;
    SSI_TRY(log.drive(lock, [&] { return log.durable >= all && log.pending.empty() &&
                                         !log.writing; }));
    if (!log.head || !log.head->begun) return {};
    const SegmentPtr head = log.head;
    log.writing = true;
    lock.unlock();
    auto sealed = log.seal(*head);
    lock.lock();
    log.writing = false;
    if (!sealed && !log.failure) log.failure = sealed.error();
    log.changed.notify_all();
    return sealed;
}

}  // namespace ssi::io
