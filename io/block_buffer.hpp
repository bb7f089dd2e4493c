// SPDX-License-Identifier: BSD-3-Clause
// BlockBuffer: memory that direct I/O takes: aligned and in whole blocks. Grows by doubling; what
// it held stays, what is new is not cleared. From 2 MiB on it is of large pages, whose first touch
// costs little. Not thread-safe.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <utility>

#include "log_format.hpp"
#include "ssi/sys/pages.hpp"

namespace ssi::io {

class BlockBuffer {
public:
    BlockBuffer() = default;
    explicit BlockBuffer(std::size_t bytes) { reserve(bytes); }
    BlockBuffer(BlockBuffer&& other) noexcept
        : memory_(std::move(other.memory_)), capacity_(std::exchange(other.capacity_, 0)) {}
    BlockBuffer& operator=(BlockBuffer&& other) noexcept {
        memory_ = std::move(other.memory_);
        capacity_ = std::exchange(other.capacity_, 0);
        return *this;
    }

    // Room for so many bytes; the first `kept` stay.
    void reserve(std::size_t bytes, std::size_t kept = 0) {
        if (bytes <= capacity_) return;
        std::size_t capacity = whole_blocks(std::max(bytes, 2 * capacity_));
        const bool large = capacity >= sys::huge_page_bytes;
        const std::size_t alignment = large ? sys::huge_page_bytes : log_block_bytes;
        capacity = (capacity + alignment - 1) / alignment * alignment;
        void* const memory = std::aligned_alloc(alignment, capacity);
        if (!memory) throw std::bad_alloc();
        if (large) sys::want_huge_pages(memory, capacity);
        if (kept) std::memcpy(memory, memory_.get(), kept);
        memory_.reset(static_cast<std::byte*>(memory));
        capacity_ = capacity;
    }
    std::byte* data() { return memory_.get(); }
    std::size_t capacity() const { return capacity_; }
    std::span<std::byte> first(std::size_t bytes) { return {memory_.get(), bytes}; }

private:
    struct Free {
        void operator()(std::byte* memory) const { std::free(memory); }
    };
    std::unique_ptr<std::byte, Free> memory_;
    std::size_t capacity_ = 0;
};

}  // namespace ssi::io
