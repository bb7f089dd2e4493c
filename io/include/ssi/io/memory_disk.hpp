// SPDX-License-Identifier: BSD-3-Clause
// MemoryDisk: the twin of Disk for tests and for the simulator: files in memory, with a volatile
// cache. after_power_cut() gives the disk as a power cut at this moment would leave it: for every
// 512-byte sector the synced content or that of any later write, a write under way included; of the
// files created, renamed and removed since their directory was synced, any that leave it plausible:
// those that share a name happened up to some point, a rename as a whole.
//
// Requests are done in random order. By default that happens when somebody waits or polls; with a
// clock, a random time after they were submitted; with a scheduler, by themselves in virtual time.
// Runs on threads and on fibers.
#pragma once

#include <functional>

#include "ssi/base/clock.hpp"
#include "ssi/io/disk.hpp"

namespace ssi::sys {
class FiberScheduler;
}

namespace ssi::io {

class MemoryDisk : public Disk {
public:
    // Usable beside this one, which goes on: one run may be cut at many moments and seeds. Same
    // state, same seed, same outcome.
    virtual std::unique_ptr<MemoryDisk> after_power_cut(std::uint64_t seed) const = 0;
};

struct MemoryDiskOptions {
    std::string name = "memory disk";
    std::uint64_t capacity_bytes = 0;      // 0: no limit. Beyond it writes and allocate get ENOSPC
    std::uint64_t seed = 1;
    const Clock* clock = nullptr;          // must outlive the disk
    sys::FiberScheduler* scheduler = nullptr;   // the same; then `clock` is not needed
    Nanoseconds least_latency = 20'000;    // of a request, with a clock or scheduler
    Nanoseconds most_latency = 200'000;
    // Called after each request, file and directory operation that changes something, with its
    // number, by who did it and with no lock held: a test may cut the power after any of them.
    std::function<void(const MemoryDisk&, std::uint64_t operation)> observe;
};

// A disk made by after_power_cut() has the same options, without `observe`.
std::unique_ptr<MemoryDisk> make_memory_disk(MemoryDiskOptions options = {});

}  // namespace ssi::io
