// SPDX-License-Identifier: BSD-3-Clause
// DiskQueue: a disk that lets only so many requests into the one below and decides by a policy
// which are next, and which go together as one. For disks whose own queue is short, or knows less.
#pragma once

#include <functional>

#include "ssi/io/disk.hpp"

namespace ssi::io {

// Which of the waiting reads and writes are next. The queue's lock guards it: it must not block.
class DiskQueuePolicy {
public:
    virtual ~DiskQueuePolicy() = default;
    virtual void add(DiskRequest& request) = 0;
    // Takes the next request, first, and others that go with it as one: of the same file, kind and
    // durability, each beginning where the one before ends. At least one when any waits.
    virtual std::vector<DiskRequest*> take() = 0;
};

// First come, first served; nothing goes together.
std::unique_ptr<DiskQueuePolicy> make_fifo_policy();
// By the file's name and the place, upwards and round again, so that nobody starves; neighbours go
// together up to so many bytes.
std::unique_ptr<DiskQueuePolicy> make_elevator_policy(std::size_t merged_bytes = 1 << 20);

struct DiskQueueOptions {
    std::size_t in_flight = 32;        // requests in the disk below at a time
    std::function<std::unique_ptr<DiskQueuePolicy>()> policy = [] {
        return make_elevator_policy();
    };
};

// Syncs do not queue. `below` outlives it.
std::unique_ptr<Disk> make_disk_queue(Disk& below, DiskQueueOptions options = {});

}  // namespace ssi::io
