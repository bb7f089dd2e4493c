// SPDX-License-Identifier: BSD-3-Clause
// ArenaSpace: the address space under an Arena: a memfd or anonymous memory, mapped in regions that
// double in size and given out front to back, never taken back. Private to sys.
// A region is mapped whole but used (and, for a memfd, backed by the file) only up to the chunks
// that were grown to, so mapping costs nothing until then. File offsets run through all regions
// without gaps; a memfd begins with an ArenaDirectory. Not thread-safe but for offset_of, piece_at
// and touching; Arena's central lock covers it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "arena_directory.hpp"
#include "ssi/sys/arena.hpp"

namespace ssi::sys {

class ArenaSpace {
public:
    explicit ArenaSpace(const Arena::Options& options);
    ~ArenaSpace();
    ArenaSpace(const ArenaSpace&) = delete;
    ArenaSpace& operator=(const ArenaSpace&) = delete;

    // `bytes` (a multiple of 16) of zeroed memory at an address of 8 modulo 16.
    Result<std::byte*> take(std::size_t bytes);
    // Whether that needs no growth.
    bool has_room(std::size_t bytes) const {
        return next_ != nullptr && next_ <= grown_ &&
               static_cast<std::size_t>(grown_ - next_) >= bytes;
    }
    void discard(ObjectHeader* block, std::size_t bytes);   // the pages inside of it

    struct Range {
        std::byte* begin = nullptr;
        std::size_t bytes = 0;
    };
    // What to touch so that `bytes` beyond the memory in use are present; counts as touched from
    // now on. Grows the space for it where its limit allows, within the newest region.
    Range plan_touch(std::size_t bytes);
    static void touch(Range range);  // any thread, no lock

    std::size_t reserved_bytes() const { return reserved_bytes_.load(std::memory_order_relaxed); }
    int memory_fd() const { return fd_; }
    std::uint64_t offset_of(const void* place) const;
    // See Arena.
    std::span<const std::byte> piece_at(std::uint64_t address, std::size_t piece_bytes) const;

private:
    struct Region {
        std::byte* base = nullptr;
        std::size_t bytes = 0;
        std::uint64_t offset = 0;  // of base within the file
    };

    Result<void> add_region(std::size_t bytes);
    Result<void> grow(std::size_t bytes);
    Result<void> check_limits(std::size_t bytes);
    void publish_regions();
    std::byte* map(std::size_t bytes, std::uint64_t offset);
    std::size_t next_region_bytes(std::size_t needed) const;
    std::size_t lead_bytes() const;

    const Arena::Options options_;
    int fd_ = -1;
    int open_errno_ = 0;
    std::atomic<std::size_t> reserved_bytes_{0};  // grown to, in all regions; anybody may read it
    std::size_t approved_bytes_;      // the machine's limits allow reserved_bytes_ up to this
    std::byte* next_ = nullptr;       // first byte not given out, in the newest region
    std::byte* grown_ = nullptr;      // end of what is grown to
    std::byte* touched_ = nullptr;    // end of what was touched ahead
    std::byte* end_ = nullptr;        // of the newest region
    // Append-only; entries below region_count_ never change, so offset_of needs no lock.
    std::array<Region, ArenaDirectory::most_regions> regions_;
    std::atomic<unsigned> region_count_{0};
    // Of each region: how far it is grown to.
    std::array<std::atomic<std::size_t>, ArenaDirectory::most_regions> grown_bytes_{};
};

}  // namespace ssi::sys
