// SPDX-License-Identifier: BSD-3-Clause
// Disk: one of the six doors: the files of one directory on one disk, read and written past the
// operating system's cache. Its twins: the real one on libaio (libaio_disk.hpp), one in memory
// (memory_disk.hpp), which can lose what was not synced, and wrappers that add faults
// (faulty_disk.hpp) or a chosen bandwidth (throttled_disk.hpp).
//
// Requests are asynchronous: `submit` takes them, and whoever waits reaps for all (`wait`, `poll`).
// Places, lengths and memory of reads and writes are multiples of `block_bytes`; others fail with
// EINVAL, on every twin.
// Durability is what a disk with a volatile cache gives: a write that was not followed by a sync of
// its file, and was not `durable` itself, may be lost in part, by 512-byte sectors in any order. A
// file that was created, renamed or removed may come back as it was until its directory is synced.
// Thread-safe, except that one DiskFile is not closed while requests of it are under way, nor a
// Disk before its files and requests are gone.
// Names are relative to the directory, with "/" between parts; "..", "." and "" are refused.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/base/result.hpp"

namespace ssi::io {

inline constexpr std::size_t block_bytes = 4096;
inline constexpr std::size_t sector_bytes = 512;   // what a disk writes whole

// An open file. Closing it is its end. Errors are io with errno and the path.
class DiskFile {
public:
    virtual ~DiskFile() = default;
    virtual Result<std::uint64_t> size() const = 0;
    virtual Result<void> truncate(std::uint64_t bytes) = 0;
    // Makes sure that writes of [place, place + bytes) find room; they read as zeroes until then.
    // The file grows to cover them.
    virtual Result<void> allocate(std::uint64_t place, std::uint64_t bytes) = 0;
    // Gives room back; reads as zeroes. Whole blocks.
    virtual Result<void> punch(std::uint64_t place, std::uint64_t bytes) = 0;
    virtual const std::string& name() const = 0;
};

// Part of the memory of a request.
struct DiskPiece {
    std::byte* memory = nullptr;
    std::size_t length = 0;            // bytes
};
inline constexpr std::size_t most_pieces = 1024;

// One request. The caller keeps it, and its memory, until it is done; then it may be used again.
struct DiskRequest {
    enum class Kind : std::uint8_t { read, write, sync };
    Kind kind = Kind::read;
    bool durable = false;              // a write that is on stable storage when it is done
    DiskFile* file = nullptr;          // of the disk it is submitted to
    std::uint64_t place = 0;           // byte in the file
    std::byte* memory = nullptr;       // not changed by a write
    std::size_t length = 0;            // bytes
    // Instead of `memory`: several pieces, at adjacent places in this order, together `length`.
    std::span<const DiskPiece> pieces{};
    // Called when it is done, by whoever reaps, maybe within submit: must not block, and may not
    // touch the request after it has let somebody else free it. Null: it is waited for.
    void (*done)(DiskRequest& request, void* context) = nullptr;
    void* context = nullptr;

    // The outcome, valid when it is done: bytes moved (a read gets fewer only at the end of the
    // file, a write never without an error), and the errno of what went wrong, 0 when nothing did.
    std::size_t moved = 0;
    int sys_errno = 0;
    bool is_done() const { return finished.load(std::memory_order_acquire); }
    std::atomic<bool> finished{false};  // set by the disk, last; before `done` is called
    void* of_disk = nullptr;           // the disk's own, while the request is under way
};

enum class OpenMode : std::uint8_t { read, write, create, create_new };   // write: must be there

struct DiskSpace {
    std::uint64_t total_bytes = 0;
    std::uint64_t free_bytes = 0;      // to this user
};

class Disk {
public:
    virtual ~Disk() = default;

    // not_found, exists, or io.
    virtual Result<std::unique_ptr<DiskFile>> open(const std::string& name, OpenMode mode) = 0;
    virtual Result<void> remove(const std::string& name) = 0;            // not_found when absent
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;   // replaces
    virtual Result<void> make_directory(const std::string& name) = 0;    // fine when it is there
    // Files of a directory ("": the top), ascending by name, without folders.
    virtual Result<std::vector<std::string>> list(const std::string& directory) = 0;
    // The same of its folders.
    virtual Result<std::vector<std::string>> list_directories(const std::string& directory) = 0;
    // An empty one: else io with ENOTEMPTY; not_found when absent.
    virtual Result<void> remove_directory(const std::string& name) = 0;
    virtual Result<void> sync_directory(const std::string& directory) = 0;
    virtual Result<DiskSpace> space() = 0;

    // Takes the requests, in this order, into the disk's queue; they are done in any order, except
    // that a sync covers the writes that were done before it was submitted. Does not wait for the
    // disk. A request that cannot be taken is done at once, with its errno.
    virtual void submit(std::span<DiskRequest* const> requests) = 0;
    // Reaps what is done without waiting; how many requests that were.
    virtual std::size_t poll() = 0;
    // Until the request is done and its `done`, if any, is about to be called by whoever reaped it:
    // that must not free the request. The caller holds no lock.
    virtual void wait(DiskRequest& request) = 0;
    // Readable when something may be reaped, for whoever sleeps on several things; or -1.
    virtual int event_fd() const { return -1; }
    // What the disk is, for messages: its directory.
    virtual const std::string& name() const = 0;
};

// One request, submitted and waited for. Errors are io, with the file's name and errno; a read that
// meets the end of the file tells how far it came.
Result<std::size_t> read(Disk& disk, DiskFile& file, std::span<std::byte> bytes,
                         std::uint64_t place);
Result<void> write(Disk& disk, DiskFile& file, std::span<const std::byte> bytes,
                   std::uint64_t place, bool durable = false);
Result<void> sync(Disk& disk, DiskFile& file);
// How a request went that is done: its errno, with the file's name. `verb`: for the message.
Result<void> outcome_of(const Disk& disk, const DiskRequest& request, const char* verb);

}  // namespace ssi::io
