// SPDX-License-Identifier: BSD-3-Clause
// Arenas: where object bytes live. Offset addressed, grown in chunks, recycled, never returned
// within a budget. A `shared` arena is a memfd that peers on the host may map; a
// `private` one is anonymous memory with transparent huge pages. First touch is the hidden cost
// of fresh memory (12 us a page seen), so pages are touched ahead of use by `touch_ahead`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ssi/base/ids.hpp"
#include "ssi/base/result.hpp"
#include "ssi/sys/memory_limits.hpp"

namespace ssi::sys {

// In front of every object's bytes, for the owner and for readers that map the arena.
// 40 bytes: the bytes that follow are 16-byte aligned.
struct ObjectHeader {
    std::uint64_t version = 0;   // relaxed atomics where peers may look
    ObjectId id{};
    SetId set{};
    std::uint32_t length = 0;    // bytes in use
    std::uint32_t capacity = 0;  // bytes that fit (of this block); the arena's own: never changes
    std::uint16_t state = 0;     // bit 0: away (ownership left), see kddm
    std::uint16_t references = 0;// sends in flight that still read the bytes; owner is not counted
};
static_assert(sizeof(ObjectHeader) == 40);

// Bit 0 of ObjectHeader::state. Also set in every block that is not allocated.
inline constexpr std::uint16_t header_away = 1;

// Memory for objects. Owns all its blocks; they end with it. Thread-safe.
// Invariants: a block's place, size and header position never change as long as the arena lives
// (blocks are neither split nor merged nor unmapped), so a racing reader of a released block reads
// mapped memory, an old or a new header, never another block's bytes as a header. A block starts at
// an address of 8 modulo 16, so that its bytes are 16-byte aligned. What is released is reused for
// the same size class only.
class Arena {
public:
    enum class Kind : std::uint8_t { shared_memory, private_memory };
    struct Options {
        Kind kind = Kind::private_memory;
        std::size_t chunk_bytes = 2u << 20;      // the simulator uses 64 KiB
        std::size_t limit_bytes = SIZE_MAX;      // out_of_memory beyond
        bool huge_pages = true;                  // private memory, chunks of at least 2 MiB
        unsigned shards = 0;                     // free lists with a lock each; 0: one per core
        // Asked before the arena grows; null: read_memory_limits. Tests make up a machine.
        std::vector<MemoryLimit> (*memory_limits)() = nullptr;
    };
    static constexpr std::size_t max_object_bytes = 64u << 20;

    explicit Arena(Options options);
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    // A block with room for `bytes` (0 .. 64 MiB; else too_large) behind its header; header zeroed
    // but for capacity; bytes unspecified. An object of 8 bytes costs 48 bytes, one above 1 KiB at
    // most an eighth and 48 bytes more than its own. out_of_memory names the limit that was met.
    // Blocks up to 512 KiB take no lock shared between cores in the common case.
    // Unless it `may_grow`, also when only fresh chunks would serve.
    Result<ObjectHeader*> allocate(std::size_t bytes, bool may_grow = true);
    // The header's version becomes 0 and its state away before its bytes change. `discard`:
    // the pages of a large block go back to the machine (slow); its place is reused all the same.
    void release(ObjectHeader* block, bool discard = false);

    // Has `bytes` of memory beyond what is in use touched, growing the arena for it within its
    // limit; what is touched already is not touched again. Slow (1 us a page): called by a helper
    // thread, blocks nobody else.
    void touch_ahead(std::size_t bytes);

    struct Usage {
        std::size_t reserved_bytes;  // grown to, in chunks; what the limit counts
        std::size_t used_bytes;      // in live blocks, headers included
    };
    Usage usage() const;
    std::size_t reserved_bytes() const;                   // as in usage(), but cheap
    int memory_fd() const;                                // -1 for private memory
    std::uint64_t offset_of(const ObjectHeader*) const;   // within memory_fd()
    // The memory around `address`, cut into pieces of `piece_bytes` so that each place belongs to
    // one of them, for networks that want to know what they read. Of a piece at the end only what
    // is there yet. Empty: not of this arena.
    std::span<const std::byte> piece_at(std::uint64_t address, std::size_t piece_bytes) const;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

inline std::byte* bytes_of(ObjectHeader* header) {
    return reinterpret_cast<std::byte*>(header + 1);
}
inline const std::byte* bytes_of(const ObjectHeader* header) {
    return reinterpret_cast<const std::byte*>(header + 1);
}

}  // namespace ssi::sys
