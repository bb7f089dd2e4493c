// SPDX-License-Identifier: BSD-3-Clause
#include "page_written.hpp"

#include <algorithm>
#include <mutex>

namespace ssi::fs {

void WrittenPages::add(FileKey key, PageRange range, Nanoseconds now) {
    std::lock_guard lock(mutex_);
    File& file = files_[key];
    if (file.ranges.empty()) file.since = now;
    pages_ += file.ranges.add(range);
}

std::optional<std::vector<PageRange>> WrittenPages::take(FileKey key) {
    std::lock_guard lock(mutex_);
    for (;;) {
        const auto found = files_.find(key);
        if (found == files_.end()) return {};
        File& file = found->second;
        if (file.syncing) {
            settled_.wait(mutex_);
            continue;
        }
        file.syncing = true;
        file.taken = file.ranges.count();
        auto ranges = file.ranges.list();
        file.ranges.clear();
        return ranges;
    }
}

void WrittenPages::settle(FileKey key, std::span<const PageRange> not_synced, Nanoseconds since) {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    if (found == files_.end()) return;
    File& file = found->second;
    file.syncing = false;
    pages_ -= file.taken;
    file.taken = 0;
    for (const PageRange& range : not_synced) pages_ += file.ranges.add(range);
    if (!not_synced.empty()) file.since = since;
    if (file.ranges.empty()) files_.erase(found);
    settled_.notify_all();
}

void WrittenPages::forget(FileKey key, PageRange range) {
    std::lock_guard lock(mutex_);
    const auto found = files_.find(key);
    if (found == files_.end()) return;
    File& file = found->second;
    const std::uint64_t before = file.ranges.count();
    file.ranges.remove(range);
    pages_ -= before - file.ranges.count();
    if (file.ranges.empty() && !file.syncing) files_.erase(found);
    settled_.notify_all();
}

std::optional<FileKey> WrittenPages::oldest(Nanoseconds before) const {
    std::lock_guard lock(mutex_);
    const std::pair<const FileKey, File>* best = nullptr;
    for (const auto& file : files_) {
        if (file.second.syncing || file.second.since >= before) continue;
        if (!best || file.second.since < best->second.since) best = &file;
    }
    return best ? std::optional(best->first) : std::nullopt;
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

bool WrittenPages::wait_below(std::uint64_t pages, Nanoseconds duration) {
    std::lock_guard lock(mutex_);
    if (pages_ <= pages) return true;
    (void)settled_.wait_for(mutex_, duration);
    return pages_ <= pages;
}

}  // namespace ssi::fs
