// SPDX-License-Identifier: BSD-3-Clause
// WrittenPages: which pages of which files this node has written since they were last synced. Pages
// are added after they were written: whoever takes them then finds what was written at their home.
// Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "fs_ids.hpp"
#include "page_ranges.hpp"
#include "ssi/base/clock.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::fs {

// Files by inode and layout: pages of one file have one layout, except while it changes.
struct FileKey {
    InodeId inode = no_inode;
    Layout layout;
    friend bool operator==(const FileKey&, const FileKey&) = default;
    friend bool operator<(const FileKey& a, const FileKey& b) {
        return a.inode != b.inode ? a.inode < b.inode
                                  : a.layout.packed() < b.layout.packed();
    }
};

class WrittenPages {
public:
    void add(FileKey file, PageRange range, Nanoseconds now);
    // Takes all that is written of the file, after whoever has taken some of it has settled; what
    // was taken is settled by the caller. Nothing when nothing is.
    std::optional<std::vector<PageRange>> take(FileKey file);
    // What could not be synced comes back, and is older than anything.
    void settle(FileKey file, std::span<const PageRange> not_synced, Nanoseconds since);
    void forget(FileKey file, PageRange range);   // pages that were removed

    // The file whose first page was written before all others', of those that nobody has taken.
    std::optional<FileKey> oldest(Nanoseconds before) const;
    std::vector<FileKey> files() const;
    std::uint64_t pages() const;                  // written, those that were taken included
    // Until there are at most so many, or some time has passed; false then.
    bool wait_below(std::uint64_t pages, Nanoseconds duration);

private:
    struct File {
        PageRanges ranges;
        Nanoseconds since = 0;     // the oldest of them
        std::uint64_t taken = 0;   // pages; 0: nobody syncs it
        bool syncing = false;
    };
    mutable sys::Mutex mutex_;
    sys::Condition settled_;
    std::map<FileKey, File> files_;
    std::uint64_t pages_ = 0;
};

}  // namespace ssi::fs
