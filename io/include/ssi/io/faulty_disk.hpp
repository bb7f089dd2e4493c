// SPDX-License-Identifier: BSD-3-Clause
// FaultyDisk: a disk that fails by a plan, in front of one that does not: at a counted operation,
// or at random from a seed. An operation is a request, or a call on a file or directory that may
// fail (size and space are none).
#pragma once

#include <cerrno>

#include "ssi/base/clock.hpp"
#include "ssi/io/disk.hpp"

namespace ssi::sys {
class Tasks;
}

namespace ssi::io {

struct FaultPlan {
    std::uint64_t seed = 1;
    // The operation that fails, counted from 1 since the plan was set; 0: none. To try every point:
    // a loop over it until a run meets no fault.
    std::uint64_t fail_at = 0;
    bool fail_after = false;            // and all that come later: the disk has died
    int sys_errno = EIO;                // what `fail_at` and the random errors give
    // Of 10,000 requests, how many on average
    unsigned read_errors = 0;
    unsigned write_errors = 0;          // nothing is written
    unsigned sync_errors = 0;
    unsigned no_room = 0;               // writes that get ENOSPC, with a part written
    unsigned short_transfers = 0;       // a part is moved, then an error
    unsigned torn_writes = 0;           // some 512-byte sectors are written, then an error
    unsigned flipped_reads = 0;         // one bit, silently, in what was read
    unsigned flipped_writes = 0;        // the same in what is written
    unsigned slow = 0;                  // passed on only after `slow_by`
    unsigned stuck = 0;                 // passed on only by release_stuck()
    Nanoseconds slow_by = 10'000'000;
};

class FaultyDisk : public Disk {
public:
    virtual void set_plan(FaultPlan plan) = 0;         // counting begins anew
    virtual std::uint64_t operations() const = 0;      // since the plan was set
    virtual std::uint64_t faults() const = 0;          // the same: how many of them met one
    virtual std::size_t release_stuck() = 0;           // how many; those to come are not stuck
};

struct FaultyDiskOptions {
    FaultPlan plan;
    sys::Tasks* tasks = nullptr;        // null: threads. On fibers the disk is closed by a fiber
    const Clock* clock = nullptr;       // null: the machine's
};

// What the options name, and `below`, outlive it.
std::unique_ptr<FaultyDisk> make_faulty_disk(Disk& below, FaultyDiskOptions options = {});

}  // namespace ssi::io
