// SPDX-License-Identifier: BSD-3-Clause
// LockService: the locks of a file system's files, for the tasks of every node. The home of a file
// decides (fs_locks.hpp); whoever must wait does so where he is, and the home tells him when he may
// go on. Locks last until they are let go, their owner closes the file, or his node dies.
// Thread-safe between start and stop.
#pragma once

#include <atomic>
#include <functional>
#include <memory>

#include "calls.hpp"
#include "fs_locks.hpp"

namespace ssi::fs {

class LockService {
public:
    static constexpr std::uint8_t kinds = 2;   // of calls that it takes

    // `calls` is not started yet, and outlives this. Kinds first_kind and the next are its own.
    LockService(node::Node& node, io::Calls& calls, std::uint8_t first_kind,
                std::function<NodeId(InodeId)> home_of);
    ~LockService();   // stop()
    LockService(const LockService&) = delete;
    LockService& operator=(const LockService&) = delete;
    void start();     // after calls.start()
    // Before calls.stop(). Whoever waits here ends with `cancelled`.
    void stop();

    struct Patience {
        bool wait = true;
        Nanoseconds deadline = sys::Waiter::forever;       // an instant of the node's Clock
        const std::atomic<bool>* interrupted = nullptr;    // looked at about every 10 ms
        std::uint64_t through = 0;                         // see end_waits
    };
    // `owner` is a number of this node's. Failures: would_block (EAGAIN), timed_out (EAGAIN),
    // deadlock (EDEADLK), cancelled (EINTR, or EBADF: see close), and those of calls.
    Result<void> lock(const LockName& name, std::uint64_t owner, LockKind kind, LockRange range,
                      std::uint64_t process, Patience patience);
    Result<void> unlock(const LockName& name, std::uint64_t owner, LockRange range);
    // F_GETLK: the lock in the way, if any.
    Result<std::optional<FileLock>> test(const LockName& name, std::uint64_t owner, LockKind kind,
                                         LockRange range);
    // The owner closed the file: his locks of it go, and who waits for one in his name ends with
    // cancelled (EBADF). Costs nothing when he had no lock there.
    Result<void> close(const LockName& name, std::uint64_t owner);
    // The same, but who waits goes on waiting: he came another way.
    Result<void> release(const LockName& name, std::uint64_t owner);
    // Who waits with this Patience::through ends with cancelled (EBADF), and has no lock.
    void end_waits(std::uint64_t through);

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;   // the calls' handlers have it, too
};

}  // namespace ssi::fs
