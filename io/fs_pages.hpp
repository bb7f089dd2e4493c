// SPDX-License-Identifier: BSD-3-Clause
// Pages: the bytes of files, as objects of one KDDM set: cached wherever they are used, written by
// whoever owns them, kept in the data log of their stripe's volume. Knows nothing of names, sizes
// or permissions: what was never written reads as zeroes.
// read, write, zero, seek and extents may be called by a task that holds guards of sets before
// this one; sync, sync_all, erase and drop_caches by tasks without guards only.
// Thread-safe.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "calls.hpp"
#include "fs_ids.hpp"
#include "ssi/io/file_system.hpp"
#include "ssi/io/volumes.hpp"
#include "ssi/kddm/raw_set.hpp"

namespace ssi::fs {

struct PagesOptions {
    std::uint64_t cache_bytes = 0;    // of this node; 0: no budget
    std::uint64_t write_back_ms = 5000;
};

// Of one open file on this node: how it is being read and written. Its user keeps it locked or
// accepts that two threads confuse each other's guesses.
struct Stream {
    std::uint64_t next_read = 0;      // behind the last read
    std::uint64_t ahead = 0;          // pages below are read or asked for
    std::uint64_t window = 0;         // pages; how far ahead of the reader to ask
    std::uint64_t next_write = 0;
    std::uint64_t behind = 0;         // pages below were given to the logs, or are left to a sync
    std::uint64_t end = UINT64_MAX;   // of the file, as far as its user knows: no read-ahead behind
};

class Pages {
public:
    // Registers its calls with `calls` (kinds 64 to 79) before that starts; `open` afterwards.
    Pages(node::Node& node, kddm::Engine& engine, io::Volumes& volumes, io::Calls& calls,
          PagesOptions options);
    ~Pages();
    Result<void> open();      // collective
    void stop();              // ends write-back in the background

    // Any range; bytes that no page has are zero. The caller knows the file's size.
    Result<void> read(InodeId inode, Layout layout, std::uint64_t offset, std::span<std::byte> out,
                      Stream* stream = nullptr);
    // Any range. io with ENOSPC before anything is accepted when the volumes have no room.
    Result<void> write(InodeId inode, Layout layout, std::uint64_t offset,
                       std::span<const std::byte> bytes, Stream* stream = nullptr);
    // [offset, offset + length) reads as zeroes; whole pages are given back. Any length: what is
    // there is looked for, not every page tried.
    Result<void> zero(InodeId inode, Layout layout, std::uint64_t offset, std::uint64_t length);
    // All pages of a file that nobody uses any more go, at all homes at once.
    Result<void> erase(InodeId inode, Layout layout, std::uint64_t size);
    // Whatever this node wrote to the file since the last sync of it is durable when it returns.
    Result<void> sync(InodeId inode, Layout layout);
    // The same whoever wrote it, of a file of that size.
    Result<void> sync_whole(InodeId inode, Layout layout, std::uint64_t size);
    Result<void> sync_all();                 // everything that this node homes or wrote
    // The next offset >= `offset` and < `size` whose page exists (or does not); `size` if none.
    Result<std::uint64_t> seek(InodeId inode, Layout layout, std::uint64_t offset,
                               std::uint64_t size, bool data);
    Result<std::vector<Extent>> extents(InodeId inode, Layout layout, std::uint64_t size);
    // What each of `nodes` has in memory of the range; by offset, then node.
    Result<std::vector<Copy>> copies(InodeId inode, Layout layout, std::uint64_t offset,
                                     std::uint64_t length, std::span<const NodeId> nodes);
    Result<void> drop_caches();              // sync_all, then forget what is here

    // Of all pages that this node's logs have: for recovery.
    std::vector<InodeId> inodes_with_pages() const;
    // All pages of the inode that this node homes go: for recovery. Looks at all pages there are.
    Result<void> remove_mine(InodeId inode);
    // The same of one layout, of files of that size: what `erase` does at each home.
    Result<void> remove_mine(InodeId inode, Layout layout, std::uint64_t size);

    kddm::RawSet& set();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::fs
