// SPDX-License-Identifier: BSD-3-Clause
// Writing. One thread at a time gives groups to the disk, in order, and goes on: several are under
// way, done in any order, and counted as written in the order of the log. Whoever waits for the
// oldest reaps for all. Those of one segment may become durable in any order: a crash may then
// leave any of them, and recovery takes the batches up to the first that is not there, as a batch
// knows what was durable when it was made. A segment begins when all of the one before the last is
// durable: its header tells that the last one may end early, and then nothing of it counts.
#include <fmt/format.h>

#include "disk_parts.hpp"
#include "segment_state.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::io {
namespace {

constexpr std::size_t kept_buffers = 4;   // what is new costs more to touch than to write

}  // namespace

void SegmentLog::Impl::fail_for_good(Failure cause) {
    if (!failure) failure = std::move(cause);   // the groups stay, to be read
    changed.notify_all();
}

Result<void> SegmentLog::Impl::drive(Lock& lock, Sequence batch,
                                     const std::function<bool()>& done) {
    while (!done()) {
        if (failure) return refused();
        step(lock, batch);
    }
    call_behind();   // what is left is its
    return {};
}

Result<void> SegmentLog::Impl::drive_durable(Lock& lock, Sequence batch) {
    wanted = std::max(wanted, batch);
    return drive(lock, batch, [&] { return durable >= batch; });
}

// Something that brings `batch` nearer to being durable, or a wait for somebody who does that.
void SegmentLog::Impl::step(Lock& lock, Sequence batch) {
    if (!writing && can_submit(true)) return submit(lock, true);
    if (batch > durable && written >= batch && !syncing && !beginning) return sync_written(lock);
    if (!in_flight.empty() && in_flight.front()->submitted) return await_oldest(lock);
    changed.wait(mutex);
}

// Whether it is worth a write while the disk has nothing to do, though more may come.
bool SegmentLog::Impl::is_long(const Group& group) const {
    return group.used >= options.write_behind_bytes / 4;
}

// Whether the first pending group may go to the disk now. `partial`: also one that batches may
// still join. Those gather while the disk makes others durable: one flush then serves them all.
bool SegmentLog::Impl::can_submit(bool partial) const {
    if (pending.empty() || failure) return false;
    const Group& next = *pending.front();
    if (next.begins) return !next.file || may_begin(next);
    if (in_flight.size() >= most_in_flight) return false;
    if (pending.size() > 1 || (in_flight.empty() && is_long(next))) return true;
    return partial && !syncing && std::ranges::none_of(in_flight, [](const GroupPtr& group) {
               return group->write.durable;
           });
}

// From pending to in flight: as many as may go. The first durably when that is awaited and nothing
// before it has to be made so.
std::vector<DiskRequest*> SegmentLog::Impl::take_groups(bool partial) {
    std::vector<DiskRequest*> requests;
    while (can_submit(partial) && !pending.front()->begins) {
        const GroupPtr group = std::move(pending.front());
        pending.pop_front();
        Segment& segment = *group->segment;
        const std::uint64_t length = whole_blocks(group->used);
        std::memset(group->bytes.data() + group->used, 0, length - group->used);
        DiskRequest& write = group->write;
        write.kind = DiskRequest::Kind::write;
        write.durable = wanted > durable && in_flight.empty() && pending.empty() &&
                        unsynced().empty() && !syncing;
        write.file = segment.file.get();
        write.place = group->start;
        write.memory = group->bytes.data();
        write.length = length;
        ++segment.users;
        ++statistics.writes;
        statistics.written_bytes += length;
        in_flight.push_back(group);
        requests.push_back(&write);
    }
    statistics.most_under_way = std::max<std::uint64_t>(statistics.most_under_way,
                                                        in_flight.size());
    return requests;
}

void SegmentLog::Impl::submit(Lock& lock, bool partial) {
    writing = true;
    if (pending.front()->begins) {
        begin_front(lock);
    } else {
        const auto requests = take_groups(partial);
        const std::vector<GroupPtr> groups(in_flight.end() - std::ssize(requests),
                                           in_flight.end());
        lock.unlock();
        options.disk->submit(requests);
        lock.lock();
        for (const GroupPtr& group : groups) group->submitted = true;
        reap();
    }
    writing = false;
    changed.notify_all();
}

void SegmentLog::Impl::await_oldest(Lock& lock) {
    const GroupPtr oldest = in_flight.front();
    lock.unlock();
    options.disk->wait(oldest->write);
    lock.lock();
    reap();
}

// Those that are done, up to the first that is not.
void SegmentLog::Impl::reap() {
    while (!failure && !in_flight.empty()) {
        Group& group = *in_flight.front();
        if (!group.submitted || !group.write.is_done()) {
            if (plants.order_ignored && in_flight.back()->write.is_done())
                written = in_flight.back()->last;
            return;
        }
        if (auto done = outcome_of(*options.disk, group.write, "write"); !done)
            return fail_for_good(std::move(done).error());
        --group.segment->users;
        written = std::max(written, group.last);
        if (group.write.durable)
            durable = std::max(durable, group.last);
        else
            group.segment->unsynced = true;
        if (buffers.size() < kept_buffers && group.bytes.capacity() != 0 &&
            group.bytes.capacity() <= 2 * options.segment_bytes)
            buffers.push_back(std::move(group.bytes));
        in_flight.pop_front();
        changed.notify_all();
    }
}

// The newest one or two.
std::vector<SegmentPtr> SegmentLog::Impl::unsynced() const {
    std::vector<SegmentPtr> out;
    for (auto at = segments.rbegin(); at != segments.rend() && !at->second->complete; ++at)
        if (at->second->unsynced) out.push_back(at->second);
    return out;
}

// What was written. More is written meanwhile.
void SegmentLog::Impl::sync_written(Lock& lock) {
    const std::vector<SegmentPtr> segments = unsynced();
    SSI_ASSERT(!segments.empty(), "what is written and not durable is in some segment");
    const Sequence all = written;
    syncing = true;
    std::vector<DiskRequest> requests(segments.size());
    std::vector<DiskRequest*> batch;
    for (std::size_t i = 0; i < segments.size(); ++i) {
        ++segments[i]->users;
        segments[i]->unsynced = false;   // until another write is done
        requests[i].kind = DiskRequest::Kind::sync;
        requests[i].file = segments[i]->file.get();
        batch.push_back(&requests[i]);
    }
    lock.unlock();
    options.disk->submit(batch);
    Result<void> synced;
    for (DiskRequest& one : requests) options.disk->wait(one);
    for (DiskRequest& one : requests)
        if (auto done = outcome_of(*options.disk, one, "sync"); !done && synced)
            synced = std::move(done);
    lock.lock();
    for (const SegmentPtr& segment : segments) --segment->users;
    syncing = false;
    if (synced) {
        durable = std::max(durable, all);
        changed.notify_all();
    } else {
        fail_for_good(std::move(synced).error());
    }
}

// Also after a failure: the disk still reads their memory.
void SegmentLog::Impl::await_all(Lock& lock) {
    while (writing || syncing || sealing) changed.wait(mutex);
    const std::deque<GroupPtr> groups = in_flight;
    lock.unlock();
    for (const GroupPtr& group : groups)
        if (group->submitted) options.disk->wait(group->write);
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

Result<void> SegmentLog::settle() {
    SSI_TRY(commit_all());
    Impl& log = *impl_;
    Impl::Lock lock(log.mutex);
    while (log.sealing) log.changed.wait(log.mutex);
    if (log.can_seal_before()) log.seal_before(lock);
    if (log.failure) return log.refused();
    return {};
}

Result<void> SegmentLog::close() {
    Impl& log = *impl_;
    log.stop_behind();
    Impl::Lock lock(log.mutex);
    if (log.closed) return {};
    log.closed = true;   // nothing is appended from here on
    const Sequence all = log.next_batch - 1;
    log.wanted = std::max(log.wanted, all);
    const auto driven = log.drive(lock, all, [&] {
        return log.durable >= all && log.pending.empty() && log.in_flight.empty() && !log.writing;
    });
    log.await_all(lock);
    SSI_TRY(driven);
    if (log.can_seal_before()) log.seal_before(lock);
    if (log.failure) return tl::unexpected(*log.failure);
    if (!log.head || !log.head->begun) return {};
    const SegmentPtr head = log.head;
    log.writing = true;
    lock.unlock();
    auto sealed = log.seal({&head, 1}, false, nullptr);
    lock.lock();
    log.writing = false;
    if (!sealed && !log.failure) log.failure = sealed.error();
    log.changed.notify_all();
    return sealed;
}

}  // namespace ssi::io
