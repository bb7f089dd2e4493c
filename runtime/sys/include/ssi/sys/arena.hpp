// SPDX-License-Identifier: BSD-3-Clause
// Arenas: where object bytes live. Offset addressed, grown in chunks, recycled, never returned
// within a budget. A `shared` arena is a memfd that peers on the host may map read-only; a
// `private` one is anonymous memory with transparent huge pages. First touch is the hidden cost
// of fresh memory (FACTS: 12 us a page), so chunks are touched ahead by `touch_ahead`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ssi/base/ids.hpp"
#include "ssi/base/result.hpp"

namespace ssi::sys {

// In front of every object's bytes, for the owner and for readers that map the arena.
// 40 bytes: the bytes that follow are 16-byte aligned.
struct ObjectHeader {
    std::uint64_t version = 0;   // relaxed atomics where peers may look
    ObjectId id{};
    SetId set{};
    std::uint32_t length = 0;    // bytes in use
    std::uint32_t capacity = 0;  // bytes that fit (of this block)
    std::uint16_t state = 0;     // bit 0: away (ownership left), see kddm
    std::uint16_t references = 0;// sends in flight that still read the bytes; owner is not counted
};
static_assert(sizeof(ObjectHeader) == 40);

class Arena {
public:
    enum class Kind : std::uint8_t { shared_memory, private_memory };
    struct Options {
        Kind kind = Kind::private_memory;
        std::size_t chunk_bytes = 2u << 20;      // the simulator uses 64 KiB
        std::size_t limit_bytes = SIZE_MAX;      // out_of_memory beyond
        bool huge_pages = true;
    };
    explicit Arena(Options options);
    ~Arena();
    Arena(const Arena&) = delete;
    Arena& operator=(const Arena&) = delete;

    // A block with room for `bytes` (1 .. 64 MiB) behind its header; header zeroed but for
    // capacity; bytes unspecified. Thread-safe. Small blocks (<= 4 KiB) take no lock shared
    // between cores in the common case.
    Result<ObjectHeader*> allocate(std::size_t bytes);
    void release(ObjectHeader* block);

    // Touches up to `bytes` of memory ahead of use; called by a helper thread.
    void touch_ahead(std::size_t bytes);

    struct Usage {
        std::size_t reserved_bytes;  // mapped
        std::size_t used_bytes;      // in live blocks, headers included
    };
    Usage usage() const;
    int memory_fd() const;                                // -1 for private memory
    std::uint64_t offset_of(const ObjectHeader*) const;   // within memory_fd()

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
