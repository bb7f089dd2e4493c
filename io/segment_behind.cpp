// SPDX-License-Identifier: BSD-3-Clause
// Writing behind: a task that takes what has been appended to the disk before somebody has to wait
// for that, and makes spare segments before they are needed.
#include "segment_state.hpp"

namespace ssi::io {

// One besides those that appending needs at once; of a log that nobody appends to, none.
bool SegmentLog::Impl::wants_spare() const {
    if (!head || no_spares || making_bytes != 0 ||
        regular_spares() >= options.reserve_segments + 2)
        return false;
    return options.limit_bytes == 0 ||
           file_bytes() + options.segment_bytes <= options.limit_bytes;
}

// There is a part of a long write, which goes when the disk has nothing else to do.
bool SegmentLog::Impl::waits_for_disk() const {
    return !failure && !in_flight.empty() && in_flight.front()->submitted && !pending.empty() &&
           is_long(*pending.front());
}

void SegmentLog::Impl::call_behind() {
    if (!task || called || !has_behind()) return;
    called = true;
    behind.notify_one();
}

// Groups that are as long as they get, or for which the disk waits, or a segment to begin.
bool SegmentLog::Impl::has_groups() const {
    if (failure || pending.empty()) return false;
    const Group& next = *pending.front();
    return pending.size() > 1 || next.begins || (in_flight.empty() && is_long(next));
}

bool SegmentLog::Impl::has_behind() const {
    return has_groups() || waits_for_disk() ||
           (!failure && (asked > durable || can_seal_before() || wants_spare()));
}

void SegmentLog::Impl::write_behind() {
    Lock lock(mutex);
    while (!stopping) {
        called = false;
        if (failure) {
            behind.wait(mutex);
        } else if (has_groups()) {
            if (!writing && can_submit(false))
                submit(lock, false);
            else if (!in_flight.empty() && in_flight.front()->submitted)
                await_oldest(lock);
            else
                changed.wait(mutex);
        } else if (waits_for_disk()) {
            await_oldest(lock);
        } else if (asked > durable) {
            step(lock, asked);
        } else if (can_seal_before()) {
            seal_before(lock);
        } else if (!wants_spare()) {
            behind.wait(mutex);
        } else if (auto made = make_spare(lock, options.segment_bytes); !made) {
            no_spares = true;   // a full disk, most likely: whoever appends will be told
        }
    }
}

void SegmentLog::start_commit(Sequence batch) {
    std::lock_guard lock(impl_->mutex);
    Impl& log = *impl_;
    log.asked = std::max(log.asked, std::min(batch, log.next_batch - 1));
    log.wanted = std::max(log.wanted, log.asked);
    log.call_behind();
}

void SegmentLog::Impl::stop_behind() {
    {
        std::lock_guard lock(mutex);
        stopping = true;
        behind.notify_all();
        changed.notify_all();
    }
    if (!task) return;
    task->join();
    std::lock_guard lock(mutex);
    task.reset();
}

}  // namespace ssi::io
