// SPDX-License-Identifier: BSD-3-Clause
// MemoryUse: what the objects of a node, or of one set on it, take in memory, and their budget.
// Only counted where there is a budget. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>

#include "entry.hpp"

namespace ssi::kddm {

struct MemoryUse {
    std::atomic<std::int64_t> used{0};
    std::int64_t limit = 0;   // 0: none

    void add(std::int64_t bytes) { used.fetch_add(bytes, std::memory_order_relaxed); }
    std::int64_t now() const { return used.load(std::memory_order_relaxed); }
    // By how much `need` more would exceed the budget; at most 0 when it fits.
    std::int64_t excess(std::int64_t need) const {
        return limit == 0 ? INT64_MIN : now() + need - limit;
    }
    // The sweep ahead of need starts above the high mark and ends below the low one. Above the hard
    // mark nothing comes into memory that can stay outside.
    std::int64_t low() const { return limit - limit / 8; }
    std::int64_t high() const { return limit - limit / 16; }
    std::int64_t hard() const { return limit + limit / 32; }
    bool above(std::int64_t mark) const { return limit != 0 && now() > mark; }
};

// An object's entry, its home's part and its slot in the index.
inline constexpr std::int64_t entry_use_bytes = 2 * sizeof(Entry) + 16;

}  // namespace ssi::kddm
