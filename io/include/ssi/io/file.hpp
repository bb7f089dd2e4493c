// SPDX-License-Identifier: BSD-3-Clause
// An open file of kDFS: bytes, one after another, in vectors, and in the background; locks; where
// the bytes are. FileSystem::open (file_system.hpp) makes it.
//
//     auto read = file.read_async(buffer, 0);          // under way; the buffer is the file's
//     file.lock({.offset = 4096, .length = 512});      // waits, as F_SETLKW does
//     ...
//     const std::size_t length = read.get();           // throws what went wrong
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ssi/base/result.hpp"
#include "ssi/io/file_types.hpp"
#include "ssi/kddm/future.hpp"

namespace ssi::fs {

// Closing a file is its end; `close` tells what the end would swallow. Moves; belongs to the
// FileSystem that opened it, which must outlive it.
// May be used by several threads, one of which may close it: calls that are inside go on, and
// close waits for them, but whoever waits for a lock ends with cancelled (EBADF). Later ones fail
// with EBADF.
class File {
public:
    File() noexcept;
    File(File&&) noexcept;
    File& operator=(File&&) noexcept;
    ~File();

    bool is_open() const;

    // -- bytes
    // Bytes read: fewer only at the end of the file.
    Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset);
    // All bytes are written or the call fails; a file opened with O_APPEND is written at its end.
    Result<std::size_t> pwrite(std::span<const std::byte> bytes, std::uint64_t offset);
    // The same from and to several buffers, as if they were one. What is appended stays together.
    Result<std::size_t> preadv(std::span<const std::span<std::byte>> out, std::uint64_t offset);
    Result<std::size_t> pwritev(std::span<const std::span<const std::byte>> bytes,
                                std::uint64_t offset);
    // At the file's own position, which they move.
    Result<std::size_t> read(std::span<std::byte> out);
    Result<std::size_t> write(std::span<const std::byte> bytes);
    // SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE; the new position.
    Result<std::uint64_t> seek(std::int64_t offset, int whence);
    // The first byte from `offset` on that is data, or that is in a hole or the end, without a
    // position: ENXIO behind the end, and where no data follows. Holes are told by 64 KiB.
    Result<std::uint64_t> next_data(std::uint64_t offset) const;
    Result<std::uint64_t> next_hole(std::uint64_t offset) const;
    // What this node wrote to the file, and the way to it, is durable.
    Result<void> sync();
    Result<void> truncate(std::uint64_t size);
    // mode: of fallocate(2): 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
    // FALLOC_FL_ZERO_RANGE (| FALLOC_FL_KEEP_SIZE).
    Result<void> allocate(int mode, std::uint64_t offset, std::uint64_t length);

    // -- the same in the background
    // The call returns at once; whatever goes wrong is told by the future. The buffer must live
    // until the future has its result or is dropped, which takes the operation back or waits for
    // it. Operations of one file go on beside each other, in no order; a sync waits for those that
    // were begun before it. An open counts as long as they last: close waits for them. A future may
    // outlive its File and its FileSystem.
    Future<std::size_t> read_async(std::span<std::byte> out, std::uint64_t offset);
    Future<std::size_t> write_async(std::span<const std::byte> bytes, std::uint64_t offset);
    Future<void> sync_async();

    // -- about it
    Result<Attributes> stat() const;
    // As of FileSystem. A size may be set by whoever has it open for writing.
    Result<void> set_attributes(const AttributeChange& change);
    // Of a directory: see FileSystem::list. It may be renamed meanwhile.
    Result<std::vector<DirectoryEntry>> list(std::uint64_t cookie = 0, std::size_t most = 1024,
                                             bool attributes = false);
    // Who has bytes of the range on disk: an extent ends where the volume changes. What was never
    // written is in none.
    Result<std::vector<Extent>> extents() const;
    Result<std::vector<Extent>> extents(std::uint64_t offset, std::uint64_t length) const;
    // Who has bytes of the range in memory now, by offset, then node: all nodes are asked.
    Result<std::vector<Copy>> copies(std::uint64_t offset, std::uint64_t length) const;
    std::uint64_t inode() const;
    // As it was opened: the name it had then, and the flags.
    std::string path() const;
    int flags() const;

    // -- locks: advisory, of the whole session, decided at the inode's home. They end with unlock,
    // with the death of the owner's node, and with a close: those of a process (ByteLock::owner)
    // with that of any open that the node has of the file, those of an open and those of the whole
    // file with its own, those of other numbers with any open's close through which one was taken.
    // Failures: would_block (EAGAIN), timed_out (EAGAIN), deadlock (EDEADLK; never for owners that
    // are opens), cancelled (EINTR; EBADF when it is closed), EBADF for a kind that it is not open
    // for, EINVAL, EOVERFLOW, peer_lost when the home is dead.
    Result<void> lock(const ByteLock& wanted, const LockWait& wait = {});
    Result<void> try_lock(const ByteLock& wanted);
    Result<void> unlock(const ByteLock& range);    // `kind` does not matter
    // The lock of another owner in the way, the first in the file; none: it would be granted.
    Result<std::optional<HeldLock>> find_lock(const ByteLock& wanted) const;
    // As flock(2): this open's lock of the whole file, which knows nothing of those of bytes. A
    // change of kind lets the lock go first.
    Result<void> lock_whole(LockKind kind, const LockWait& wait = {});
    Result<void> try_lock_whole(LockKind kind);
    Result<void> unlock_whole();

    Result<void> close();

    struct Open;

private:
    friend class FileSystem;
    explicit File(std::unique_ptr<Open> open);
    std::unique_ptr<Open> open_;
};

}  // namespace ssi::fs
