// SPDX-License-Identifier: BSD-3-Clause
// WrittenPages: which pages of which files this node has written since they were last synced. Pages
// are added after they were written: whoever takes them then finds what was written at their home.
//
// Before that they are charged: room on the volume was promised for them. Charged are all that are
// written, or taken to be synced, or being written; the functions tell what they charge or
// discharge, for an account elsewhere.
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
    using Ranges = std::vector<PageRange>;

    Ranges charge(FileKey file, PageRange range);                     // charged now
    Ranges discharge(FileKey file, std::span<const PageRange> ranges);   // as far as not written
    Ranges add(FileKey file, PageRange range, Nanoseconds now);       // charged besides

    // Of what is written: given to the logs all the same, until all is taken.
    void note_given(FileKey file, PageRange range);
    bool was_given(FileKey file, PageRange range) const;   // some of it

    // Takes all that is written of the file, after whoever has taken some of it has settled; what
    // was taken is settled by the caller. Nothing when nothing is.
    std::optional<Ranges> take(FileKey file);
    // The same for whoever has taken of other files: `busy` instead of a wait.
    std::optional<Ranges> take_now(FileKey file, bool& busy);
    // What was taken is synced, and discharged unless it was written again; or it all comes back,
    // with the time of the oldest.
    Ranges settle(FileKey file, bool synced);
    Ranges forget(FileKey file);              // the file is no more

    // The file whose first page was written before all others', of those that nobody has taken.
    std::optional<FileKey> oldest(Nanoseconds before) const;
    std::vector<FileKey> oldest(Nanoseconds before, std::size_t most) const;   // the oldest first
    std::vector<FileKey> files() const;
    std::uint64_t pages() const;              // charged
    // Until something was settled; false when so much time has passed.
    bool wait_settled(Nanoseconds duration);

private:
    struct File {
        PageRanges written;
        PageRanges charged;
        Ranges taken;
        PageRanges given;
        bool syncing = false;
        Nanoseconds since = 0;                // of the oldest written
        Nanoseconds taken_since = 0;
        bool idle() const { return !syncing && charged.empty(); }
    };
    using Files = std::map<FileKey, File>;
    static Ranges take_from(File& file);
    Ranges charge_missing(File& file, PageRange range);
    Ranges discharge_unwritten(Files::iterator file, std::span<const PageRange> ranges);

    mutable sys::Mutex mutex_;
    sys::Condition settled_;
    Files files_;
    std::uint64_t pages_ = 0;
};

}  // namespace ssi::fs
