// SPDX-License-Identifier: BSD-3-Clause
// AioQueue: requests of files that are open here, done by Linux's asynchronous I/O. The only place
// that knows libaio. Thread-safe.
#pragma once

#include <memory>
#include <span>

#include "ssi/base/result.hpp"
#include "ssi/io/disk.hpp"

namespace ssi::io {

class AioQueue {
public:
    struct Options {
        unsigned depth = 32;       // requests in the kernel at a time
        bool dsync = true;         // durable writes by RWF_DSYNC, where the kernel knows it
        bool event_fd = false;
    };
    // out_of_memory when the kernel has no room for such a queue.
    static Result<std::unique_ptr<AioQueue>> make(Options options);
    virtual ~AioQueue() = default;   // waits for what the kernel still has

    // As in Disk; the files of the requests are LibaioFiles.
    virtual void submit(std::span<DiskRequest* const> requests) = 0;
    virtual std::size_t poll() = 0;
    virtual void wait(DiskRequest& request) = 0;
    virtual int event_fd() const = 0;
};

}  // namespace ssi::io
