// SPDX-License-Identifier: BSD-3-Clause
// LibaioDisk: the real twin of Disk: files of a directory, by Linux's asynchronous I/O (libaio)
// with O_DIRECT. Up to `queue_depth` requests are in the kernel, the others queue here. Whoever
// waits first reaps for all, in the kernel; the others sleep until their request is done or the
// role is handed to them.
//
// A file system that refuses O_DIRECT is warned of once and used through the system's cache: then
// submit blocks, and what was not synced is lost with the machine only. Files are the user's alone
// (mode 600). For threads, not for fibers.
#pragma once

#include <memory>
#include <string>

#include "ssi/base/result.hpp"
#include "ssi/io/disk.hpp"

namespace ssi {
class Log;
}

namespace ssi::io {

struct LibaioDiskOptions {
    unsigned queue_depth = 32;      // requests in the kernel at a time
    Log* log = nullptr;             // must outlive the disk
    bool event_fd = false;          // event_fd() gives one; costs a system call for each reaping
    // Off: durable writes are a write and a sync of the file, as on kernels that know no other way.
    bool dsync = true;
    // Off: through the system's cache, as on file systems that refuse O_DIRECT.
    bool direct = true;
};

// The directory must be there. not_found; io; out_of_memory when the kernel has no queue left.
Result<std::unique_ptr<Disk>> make_libaio_disk(const std::string& directory,
                                               LibaioDiskOptions options = {});

}  // namespace ssi::io
