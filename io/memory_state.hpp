// SPDX-License-Identifier: BSD-3-Clause
// What a MemoryDisk's faces share: its names and contents, the requests that wait to be done, and
// the lock over all of it.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "memory_names.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/memory_disk.hpp"
#include "ssi/sys/fiber.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::io {

struct MemoryWaiting {
    DiskRequest* request;
    Nanoseconds due;
    std::uint64_t covered;   // by a sync: operations done before it was submitted
};

// Shared with the fiber that does the requests, which may outlive the disk.
struct MemoryState {
    explicit MemoryState(MemoryDiskOptions o) : options(std::move(o)), random(options.seed) {
        if (options.capacity_bytes != 0) room.most = options.capacity_bytes / block_bytes;
    }

    const MemoryDiskOptions options;
    const MemoryDisk* disk = nullptr;
    mutable sys::Mutex mutex;
    sys::Condition changed;          // something was done or submitted, or the disk is gone
    MemoryRoom room;
    MemoryNames names;
    std::uint64_t operations = 0;
    std::vector<MemoryWaiting> waiting;
    Random random;
    bool served = false;             // by a fiber
    bool gone = false;

    bool timed() const { return options.clock || options.scheduler; }
    Nanoseconds now() const {
        if (options.scheduler) return options.scheduler->now();
        return options.clock ? options.clock->now() : 0;
    }
    Nanoseconds next_due() const {
        Nanoseconds earliest = sys::Waiter::forever;
        for (const MemoryWaiting& one : waiting) earliest = std::min(earliest, one.due);
        return earliest;
    }
    // After an operation that changed something, without the lock.
    void tell(std::uint64_t operation) const {
        if (options.observe) options.observe(*disk, operation);
    }
    std::vector<MemoryWaiting> take_due();
    void perform(const MemoryWaiting& one);
    std::size_t reap();
    void serve();
};

class MemoryFile final : public DiskFile {
public:
    MemoryFile(std::shared_ptr<MemoryState> state, std::string name, MemoryContentPtr content,
               bool read_only)
        : content(std::move(content)), read_only(read_only), state_(std::move(state)),
          name_(std::move(name)) {}

    Result<std::uint64_t> size() const override;
    Result<void> truncate(std::uint64_t bytes) override;
    Result<void> allocate(std::uint64_t place, std::uint64_t bytes) override;
    Result<void> punch(std::uint64_t place, std::uint64_t bytes) override;
    const std::string& name() const override { return name_; }

    const MemoryContentPtr content;
    const bool read_only;

private:
    template <class Change>
    Result<void> change(const char* verb, Change change);

    const std::shared_ptr<MemoryState> state_;
    const std::string name_;
};

inline MemoryFile& memory_file_of(const DiskRequest& request) {
    return static_cast<MemoryFile&>(*request.file);
}

}  // namespace ssi::io
