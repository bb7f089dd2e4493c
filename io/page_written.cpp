// SPDX-License-Identifier: BSD-3-Clause
#include "page_written.hpp"

#include <algorithm>
#include <mutex>

namespace ssi::fs {

WrittenPages::Ranges WrittenPages::charge_missing(File& file, PageRange range) {
    Ranges fresh = file.charged.missing(range);
    pages_ += file.charged.add(range);
    return fresh;
}

WrittenPages::Ranges WrittenPages::charge(FileKey key, PageRange range) {
    std::lock_guard lock(mutex_);
    return charge_missing(files_[key], range);
}

WrittenPages::Ranges WrittenPages::add(FileKey key, PageRange range, Nanoseconds now) {
    std::lock_guard lock(mutex_);
    File& file = files_[key];
    if (file.written.empty()) file.since = now;
    file.written.add(range);
    return charge_missing(file, range);
}

void WrittenPages::note_given(FileKey key, PageRange range) {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    if (found != files_.end() && !found->second.written.empty()) found->second.given.add(range);
}

bool WrittenPages::was_given(FileKey key, PageRange range) const {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    if (found == files_.end()) return false;
    std::uint64_t missing = 0;
    for (const PageRange& part : found->second.given.missing(range)) missing += part.count();
    return missing < range.count();
}

// With the lock. What is written, or taken, stays charged.
WrittenPages::Ranges WrittenPages::discharge_unwritten(Files::iterator at,
                                                       std::span<const PageRange> ranges) {
    File& file = at->second;
    PageRanges kept;
    kept.add(file.taken);
    Ranges out;
    for (const PageRange& range : ranges)
        for (const PageRange& unwritten : file.written.missing(range))
            for (const PageRange& gone : kept.missing(unwritten)) {
                file.charged.remove(gone);
                pages_ -= gone.count();
                out.push_back(gone);
            }
    if (file.idle()) files_.erase(at);
    return out;
}

WrittenPages::Ranges WrittenPages::discharge(FileKey key, std::span<const PageRange> ranges) {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    return found == files_.end() ? Ranges() : discharge_unwritten(found, ranges);
}

std::optional<WrittenPages::Ranges> WrittenPages::take(FileKey key) {
    std::lock_guard lock(mutex_);
    for (;;) {
        const auto found = files_.find(key);
        if (found == files_.end()) return {};
        File& file = found->second;
        if (file.syncing) {
            settled_.wait(mutex_);
            continue;
        }
        if (file.written.empty()) return {};
        return take_from(file);
    }
}

std::optional<WrittenPages::Ranges> WrittenPages::take_now(FileKey key, bool& busy) {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    busy = found != files_.end() && found->second.syncing;
    if (found == files_.end() || busy || found->second.written.empty()) return {};
    return take_from(found->second);
}

WrittenPages::Ranges WrittenPages::take_from(File& file) {
    file.syncing = true;
    file.taken = file.written.list();
    file.taken_since = file.since;
    file.written.clear();
    file.given.clear();
    return file.taken;
}

WrittenPages::Ranges WrittenPages::settle(FileKey key, bool synced) {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    if (found == files_.end()) return {};
    File& file = found->second;
    const Ranges taken = std::move(file.taken);
    file.taken.clear();
    file.syncing = false;
    settled_.notify_all();
    if (synced) return discharge_unwritten(found, taken);
    file.written.add(taken);
    file.since = file.taken_since;
    return {};
}

WrittenPages::Ranges WrittenPages::forget(FileKey key) {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    if (found == files_.end()) return {};
    found->second.written.clear();
    return discharge_unwritten(found, found->second.charged.list());
}

std::optional<FileKey> WrittenPages::oldest(Nanoseconds before) const {
    const auto found = oldest(before, 1);
    return found.empty() ? std::nullopt : std::optional(found.front());
}

std::vector<FileKey> WrittenPages::oldest(Nanoseconds before, std::size_t most) const {
    std::vector<std::pair<Nanoseconds, FileKey>> found;
    {
        std::lock_guard lock(mutex_);
        for (const auto& [key, file] : files_)
            if (!file.syncing && !file.written.empty() && file.since < before)
                found.emplace_back(file.since, key);
    }
    const std::size_t count = std::min(most, found.size());
    std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(count),
                      found.end());
    std::vector<FileKey> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(found[i].second);
    return out;
}

std::vector<FileKey> WrittenPages::files() const {
    std::lock_guard lock(mutex_);
    std::vector<FileKey> out;
    for (const auto& [key, file] : files_) out.push_back(key);
    return out;
}

std::uint64_t WrittenPages::pages() const {
    std::lock_guard lock(mutex_);
    return pages_;
}

bool WrittenPages::wait_settled(Nanoseconds duration) {
    std::lock_guard lock(mutex_);
    return settled_.wait_for(mutex_, duration);
}

}  // namespace ssi::fs
