// SPDX-License-Identifier: BSD-3-Clause
// LockMachine: the locks of the files that a node homes, as fcntl and flock define them, with the
// requests that wait. No I/O, no time, no threads: the caller guards it and tells who may go on.
//
// Ranges (fcntl): an owner's newest request counts for every byte of its range, be it a lock or an
// unlock; other owners' locks are in the way when one of both is exclusive and they overlap.
// Whole files (flock): one lock an owner, and a conversion lets the old one go first, as on Linux.
// The two families do not see each other.
// A request is granted when no lock is in the way. Those that wait are looked at in the order of
// their arrival whenever a lock goes; who comes later and is not in their way need not wait.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <vector>

#include "fs_ids.hpp"
#include "ssi/io/file_types.hpp"

namespace ssi::fs {

enum class LockFamily : std::uint8_t { range, whole };

// A process, an open file, or whatever a face has for an owner, by a number of its node's.
struct LockOwner {
    static constexpr std::uint64_t first_open = std::uint64_t{1} << 63;   // below: not of an open
    NodeId node;
    std::uint64_t number = 0;
    constexpr bool is_open() const { return number >= first_open; }
    friend constexpr auto operator<=>(const LockOwner&, const LockOwner&) = default;
};

// Bytes first to last, both inside.
struct LockRange {
    static constexpr std::uint64_t end = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t first = 0;
    std::uint64_t last = end;        // end: whatever the file grows to
    friend constexpr bool operator==(const LockRange&, const LockRange&) = default;
    constexpr bool overlaps(const LockRange& other) const {
        return first <= other.last && other.first <= last;
    }
};

struct LockName {
    InodeId file;
    LockFamily family = LockFamily::range;
    friend constexpr auto operator<=>(const LockName&, const LockName&) = default;
};

// A lock, or what is wanted.
struct FileLock {
    LockOwner owner;
    LockKind kind = LockKind::exclusive;
    LockRange range;
    std::uint64_t process = 0;       // for F_GETLK; says nothing else
    friend constexpr bool operator==(const FileLock&, const FileLock&) = default;
};

class LockMachine {
public:
    enum class Outcome : std::uint8_t { granted, busy, deadlock, waiting };
    // A request that waited and has its lock now.
    struct Granted {
        LockOwner owner;
        std::uint64_t ticket = 0;
        friend constexpr bool operator==(const Granted&, const Granted&) = default;
    };
    using Grants = std::vector<Granted>;

    // `ticket`: 0 does not wait (busy); else the owner node's name for the request. deadlock: it
    // would wait for somebody who waits, maybe through others, for this owner (ranges only, not of
    // opens, for which another thread may unlock, and only what is locked in this machine). Grants
    // are added to `grants`, in their order.
    Outcome lock(const LockName& name, const FileLock& wanted, std::uint64_t ticket,
                 Grants& grants);
    void unlock(const LockName& name, const LockOwner& owner, const LockRange& range,
                Grants& grants);
    // The lock in the way that begins first.
    std::optional<FileLock> in_the_way(const LockName& name, const FileLock& wanted) const;
    bool waits(const LockName& name, NodeId node, std::uint64_t ticket) const;
    // Whether it waited; if not, it was granted before, or never was.
    bool withdraw(const LockName& name, NodeId node, std::uint64_t ticket);

    // The owner closed the file: its locks of it go, and what it waits for there.
    void forget(const LockName& name, const LockOwner& owner, Grants& grants);
    void forget(NodeId node, Grants& grants);   // is dead

    std::vector<FileLock> locks(const LockName& name) const;   // by owner, then range
    std::vector<NodeId> nodes() const;                         // that have locks, or wait
    bool empty() const { return files_.empty(); }

private:
    struct Piece {
        LockRange range;
        LockKind kind = LockKind::exclusive;
        std::uint64_t process = 0;
    };
    using Pieces = std::vector<Piece>;           // ascending, apart
    struct Waiting {
        FileLock wanted;
        std::uint64_t ticket = 0;
    };
    struct File {
        std::map<LockOwner, Pieces> held;
        std::vector<Waiting> waiting;            // in the order of arrival
    };
    static void change(Pieces& pieces, const LockRange& range, const FileLock* to);
    static void give(File& file, const FileLock& wanted);
    static bool is_blocked(const File& file, const FileLock& wanted);
    template <class F>
    static void each_in_the_way(const File& file, const FileLock& wanted, F&& f);
    void advance(const LockName& name, Grants& grants);
    bool closes_cycle(const File& file, const FileLock& wanted) const;

    std::map<LockName, File> files_;             // with locks or requests
};

}  // namespace ssi::fs
