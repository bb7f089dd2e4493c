// SPDX-License-Identifier: BSD-3-Clause
// Slab: a page of entries and, a page behind each of them, room for its home's part: found by
// address alone, so that both can be fetched at once, and not touched by nodes that home nothing.
// It lies in memory that peers of the host map to read entries, where there is such memory.
#pragma once

#include <cstddef>
#include <memory>
#include <new>
#include <utility>

#include "blocks.hpp"
#include "entry.hpp"

namespace ssi::kddm {

class Slab {
public:
    static constexpr std::size_t entries = home_distance / sizeof(Entry);
    static constexpr std::size_t bytes = Blocks::slab_bytes;

    // `blocks` keeps shared memory until it ends, after all slabs.
    explicit Slab(Blocks& blocks) : memory_(blocks.take_slab()), shared_(memory_ != nullptr) {
        if (!shared_) memory_ = ::operator new(bytes, alignment);
    }
    ~Slab() {
        if (!memory_) return;
        for (std::size_t i = 0; i < used_; ++i) at(i)->forget_home();
        if (!shared_) ::operator delete(memory_, alignment);
    }
    Slab(Slab&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)),
          used_(other.used_),
          shared_(other.shared_) {}
    Slab& operator=(Slab&&) = delete;

    // The next entry that was never used; null when there is none. Touches no memory before it is.
    Entry* carve() { return used_ == entries ? nullptr : ::new (address(used_++)) Entry; }
    std::size_t private_bytes() const { return shared_ ? 0 : bytes; }

private:
    static constexpr std::align_val_t alignment{sizeof(Entry)};
    void* address(std::size_t i) const {
        return static_cast<std::byte*>(memory_) + i * sizeof(Entry);
    }
    Entry* at(std::size_t i) const { return std::launder(static_cast<Entry*>(address(i))); }

    void* memory_;
    std::size_t used_ = 0;
    bool shared_;
};
static_assert(sizeof(Home) <= sizeof(Entry));
static_assert(Blocks::slab_bytes == 2 * home_distance);

}  // namespace ssi::kddm
