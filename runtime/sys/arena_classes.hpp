// SPDX-License-Identifier: BSD-3-Clause
// Size classes of arena blocks, header included. Private to sys.
//   small   totals of 48, 64, ... 1072 bytes: objects of up to 1032 bytes, steps of 16
//   medium  8 steps to each power of two up to objects of 512 KiB and 8 bytes
//   large   steps of 64 KiB, no fixed classes
// Above small, a total is 48 bytes more than a round number, so that objects of a power of two in
// size (pages, stripes) fit without waste.
#pragma once

#include <bit>
#include <cstddef>

#include "ssi/sys/arena.hpp"

namespace ssi::sys {

inline constexpr std::size_t block_step = 16;
inline constexpr std::size_t block_overhead = 48;  // header, and 8 bytes that are capacity too
inline constexpr std::size_t free_bytes = block_overhead - sizeof(ObjectHeader);
inline constexpr std::size_t largest_small_round = 1024;
inline constexpr std::size_t largest_medium_round = 512u << 10;
inline constexpr std::size_t large_step = 64u << 10;
inline constexpr unsigned small_classes = largest_small_round / block_step + 1;
inline constexpr unsigned medium_doublings = 9;
inline constexpr unsigned class_count = small_classes + 8 * medium_doublings;

// What an object of `bytes` (at most max_object_bytes) needs beyond the overhead, in the steps of
// its size.
inline std::size_t round_object(std::size_t bytes) {
    const std::size_t rest = bytes > free_bytes ? bytes - free_bytes : 0;
    std::size_t step = large_step;
    if (rest <= largest_small_round) {
        step = block_step;
    } else if (rest <= largest_medium_round) {
        step = std::bit_ceil(rest) / 16;
    }
    return (rest + step - 1) / step * step;
}

inline bool is_large(std::size_t bytes) { return bytes > largest_medium_round + free_bytes; }

// Class of a rounded size that is not large.
inline unsigned class_of(std::size_t round) {
    if (round <= largest_small_round) return static_cast<unsigned>(round / block_step);
    const unsigned doubling = static_cast<unsigned>(std::bit_width(round - 1)) - 11;
    const std::size_t half = std::size_t{1024} << doubling;  // half < round <= 2 half
    return small_classes + 8 * doubling + static_cast<unsigned>((round - half) / (half / 8)) - 1;
}

inline std::size_t total_bytes(std::size_t round) { return round + block_overhead; }
inline std::size_t capacity_of(std::size_t round) { return round + free_bytes; }
inline std::size_t round_of_capacity(std::size_t capacity) { return capacity - free_bytes; }

}  // namespace ssi::sys
