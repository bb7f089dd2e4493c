// SPDX-License-Identifier: BSD-3-Clause
// Write-behind: where files are synced after they were written, the disks need not wait for that.
// What a stream has written in order is given to the logs while it goes on. Such pages stay written
// as WrittenPages has it: whoever syncs finds them clean, and waits for what is not yet durable.
// It is a guess: it begins with the first sync of much, and ends when a stream writes again, with
// no sync between, what was given to the logs already.
#include <algorithm>
#include <mutex>

#include "pages_state.hpp"

namespace ssi::fs {
namespace {

constexpr std::uint64_t much = 64;           // pages in one sync: files here are synced
constexpr std::uint64_t least_behind = 16;   // pages given at a time: what a long write has
constexpr std::uint64_t most_behind = 256;

}  // namespace

void Pages::Impl::note_sync(std::span<const PageRange> ranges) {
    std::uint64_t pages = 0;
    for (const PageRange& range : ranges) pages += range.count();
    if (pages >= much) syncs_follow = true;
}

// After a write of [offset, end) through the stream.
void Pages::Impl::write_behind(FileKey file, std::uint64_t offset, std::uint64_t end,
                               bool sequential, Stream& stream) {
    const std::uint64_t whole = page_of(end);
    if (!syncs_follow.load(std::memory_order_relaxed)) {
        stream.behind = whole;
        return;
    }
    if (!sequential) {
        stream.behind = page_of(offset);
        if (written.was_given(file, {page_of(offset), pages_of(end)})) {
            syncs_follow = false;
            return;
        }
    }
    if (whole < stream.behind + least_behind) return;
    const PageRange range{stream.behind, whole};
    stream.behind = whole;
    written.note_given(file, range);
    std::lock_guard lock(mutex);
    if (!behind.empty() && behind.back().file == file && behind.back().range.last == range.first)
        behind.back().range.last = range.last;
    else
        behind.push_back({file, range});
    behind_changed.notify_all();
}

// Before a sync: what it finds is given to the logs by nobody else at the same time.
void Pages::Impl::end_behind(FileKey file) {
    std::lock_guard lock(mutex);
    std::erase_if(behind, [&](const Behind& one) { return one.file == file; });
    while (behind_now == file) behind_changed.wait(mutex);
}

void Pages::Impl::run_behind() {
    std::unique_lock lock(mutex);
    while (!stopping) {
        if (behind.empty()) {
            behind_changed.wait(mutex);
            continue;
        }
        Behind& front = behind.front();
        const FileKey file = front.file;
        const PageRange range{front.range.first,
                              std::min(front.range.last, front.range.first + most_behind)};
        front.range.first = range.last;
        if (front.range.count() == 0) behind.pop_front();
        behind_now = file;
        lock.unlock();
        // A failure is found again, and told, by whoever syncs.
        (void)write_back(file, {&range, 1}, call_store);
        lock.lock();
        behind_now.reset();
        behind_changed.notify_all();
    }
}

}  // namespace ssi::fs
