// SPDX-License-Identifier: BSD-3-Clause
// What kDFS tells and is told: attributes, striping, on whose behalf, where bytes are, locks.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/ids.hpp"

namespace ssi::fs {

inline constexpr std::size_t most_name_bytes = 255;
inline constexpr std::size_t most_path_bytes = 4096;
inline constexpr std::uint64_t most_file_bytes = std::uint64_t{1} << 51;

// On whose behalf: what permissions are checked against. User 0 may all.
struct Credentials {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups;
    std::uint32_t umask = 0;
    static Credentials of_process();   // effective ids, groups and umask of now
};

enum class Placement : std::uint8_t {
    inherit,       // as the directory says, at the root spread
    spread,        // begins at a volume chosen by chance
    local_first,   // begins at a volume of the node that creates the file, if it has one
};

// How the bytes of a file lie on volumes: `unit_bytes` on one, then on the next, over `count`
// volumes.
struct Striping {
    std::uint64_t unit_bytes = 0;   // power of two, 64 KiB .. 2 GiB; 0: as the directory says
    std::uint32_t count = 0;        // 1 .. 255; 0: as the directory says; more than there are: all
    Placement placement = Placement::inherit;
    friend bool operator==(const Striping&, const Striping&) = default;
};

struct Attributes {
    std::uint64_t inode = 0;
    std::uint32_t mode = 0;          // type and permissions, as in struct stat
    std::uint32_t uid = 0, gid = 0;
    std::uint64_t links = 0;
    std::uint64_t size = 0;          // bytes
    std::uint64_t blocks = 0;        // of 512 bytes, an upper bound
    std::int64_t access_ns = 0, modify_ns = 0, change_ns = 0;   // since 1970
    Striping striping;               // of a file: what it has; of a directory: for new files in it
    bool is_directory() const { return S_ISDIR(mode); }
    bool is_file() const { return S_ISREG(mode); }
    bool is_symlink() const { return S_ISLNK(mode); }
};

// What set_attributes changes; the rest stays.
struct AttributeChange {
    std::optional<std::uint32_t> mode;             // permissions alone
    std::optional<std::uint32_t> uid, gid;
    std::optional<std::uint64_t> size;
    std::optional<std::int64_t> access_ns, modify_ns;
    bool access_now = false, modify_now = false;   // allowed to whoever may write
    std::optional<Striping> striping;              // of directories, for new files
};

struct DirectoryEntry {
    std::string name;
    std::uint64_t inode = 0;
    std::uint32_t type = 0;      // S_IFREG, S_IFDIR, S_IFLNK
    std::uint64_t cookie = 0;    // where to go on behind it
    Attributes attributes;       // when asked for
};

// Where part of a file is.
struct Extent {
    std::uint64_t offset = 0, length = 0;
    std::uint32_t volume = 0;            // index in Volumes::volumes()
    NodeId node;                         // that serves the volume
    bool in_memory = false;              // of that node, now
};

// Part of a file that a node has in its memory.
struct Copy {
    std::uint64_t offset = 0, length = 0;
    NodeId node;
};

struct Space {
    std::uint64_t total_bytes = 0, free_bytes = 0;   // of all volumes
    std::uint64_t inodes = 0;                        // in use
};

// What a check found. Counts are of the whole file system, texts of this node.
struct CheckReport {
    std::uint64_t directories = 0, files = 0, others = 0, entries = 0;
    std::uint64_t problems = 0, repaired = 0;
    std::uint64_t unsettled = 0;      // of a check in use: what changed whenever it was looked at
    std::vector<std::string> texts;   // the first of the problems
};

// -- locks of files

enum class LockKind : std::uint8_t { shared, exclusive };

// Of bytes of a file, as fcntl(2) has it. An owner's newest request counts for each byte.
struct ByteLock {
    static constexpr std::uint64_t of_process = 0;             // F_SETLK: one owner a node
    static constexpr std::uint64_t of_this_open = UINT64_MAX;  // F_OFD_SETLK
    LockKind kind = LockKind::exclusive;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;          // bytes; 0: whatever the file grows to
    std::uint64_t owner = of_process;  // these two, or a number below 2^63 of the caller's: the
                                       // same number in another open of this node is the same owner
};

// What F_GETLK tells.
struct HeldLock {
    LockKind kind = LockKind::exclusive;
    std::uint64_t offset = 0;
    std::uint64_t length = 0;          // bytes; 0: whatever the file grows to
    NodeId node;                       // of its owner
    std::uint64_t process = 0;         // id of that node's process; 0: the lock is of an open
};

// How long to wait for a lock.
struct LockWait {
    static constexpr Nanoseconds forever = INT64_MAX;
    Nanoseconds timeout = forever;                     // 0 only tries
    const std::atomic<bool>* cancelled = nullptr;      // looked at about every 10 ms
};

}  // namespace ssi::fs
