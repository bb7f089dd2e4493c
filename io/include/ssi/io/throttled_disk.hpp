// SPDX-License-Identifier: BSD-3-Clause
// ThrottledDisk: a disk of a chosen bandwidth in front of another: each read and write is passed on
// when the time has passed that its bytes, and those before it, take. To show on a machine with one
// disk what several would do.
#pragma once

#include "ssi/base/clock.hpp"
#include "ssi/io/disk.hpp"

namespace ssi::sys {
class Tasks;
}

namespace ssi::io {

struct ThrottledDiskOptions {
    std::uint64_t bytes_per_second = 200'000'000;
    std::uint64_t burst_bytes = 0;      // that an idle disk takes at once
    sys::Tasks* tasks = nullptr;        // null: threads. On fibers the disk is closed by a fiber
    const Clock* clock = nullptr;       // null: the machine's
};

class ThrottledDisk : public Disk {
public:
    // For how long it had nothing to do, between requests: what a user of the disk has wasted.
    virtual Nanoseconds idle() const = 0;
};

// What the options name, and `below`, outlive it.
std::unique_ptr<ThrottledDisk> make_throttled_disk(Disk& below, ThrottledDiskOptions options = {});

}  // namespace ssi::io
