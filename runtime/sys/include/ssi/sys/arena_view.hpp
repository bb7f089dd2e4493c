// SPDX-License-Identifier: BSD-3-Clause
// ArenaView: the shared arena of another process of the host, mapped for reading, and for writing
// if the descriptor is open for that. It follows pointers of that process: at() takes an address
// there and returns the place here. What it maps stays mapped until it ends, also when the other
// process has died.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "ssi/base/result.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::sys {

// Thread-safe. Nothing in the other process is trusted: an address leads to memory of its arena or
// to null, and the file is sealed against shrinking, so that no read of it can raise SIGBUS.
class ArenaView {
public:
    // Takes the descriptor over, also when it fails: invalid_argument (no arena, or one that may
    // shrink), out_of_memory (no address space).
    static Result<std::unique_ptr<ArenaView>> open(int fd);
    ~ArenaView();
    ArenaView(const ArenaView&) = delete;
    ArenaView& operator=(const ArenaView&) = delete;

    // The `bytes` at `address` of the owner; null when they are not in its arena. No system call
    // unless the arena has grown since. A pointer that was read from the arena with acquire, or
    // after such a load, is found.
    const std::byte* at(std::uint64_t address, std::size_t bytes) const {
        const Mapping* mapping = newest_.load(std::memory_order_acquire);
        const std::uint64_t offset = offset_of(*mapping, address, bytes);
        if (offset == nowhere) [[unlikely]]
            return nullptr;
        if (offset + bytes <= mapping->file_bytes.load(std::memory_order_acquire)) [[likely]]
            return mapping->base + offset;
        return look_again(offset + bytes) ? at(address, bytes) : nullptr;
    }

    bool writable() const { return writable_; }

private:
    // Of the file from its start. Longer than the file was, so that growth seldom needs another.
    struct Mapping {
        const std::byte* base = nullptr;
        std::size_t bytes = 0;
        mutable std::atomic<std::size_t> file_bytes{0};  // may be read; at most `bytes`
        std::unique_ptr<Mapping> older;
    };
    static constexpr std::uint64_t nowhere = ~std::uint64_t{0};

    explicit ArenaView(int fd);
    static std::uint64_t offset_of(const Mapping& mapping, std::uint64_t address,
                                   std::size_t bytes);
    Result<void> map(std::size_t file_bytes) const;
    bool look_again(std::uint64_t needed) const;

    const int fd_;
    const bool writable_;
    mutable Mutex mutex_;                           // of the chain of mappings
    mutable std::unique_ptr<Mapping> chain_;
    mutable std::atomic<const Mapping*> newest_{nullptr};
};

}  // namespace ssi::sys
