// SPDX-License-Identifier: BSD-3-Clause
// How parts of objects are records of a sealed log: what stands in front of their bytes.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>

#include "ssi/ckpt/dataset.hpp"

namespace ssi::ckpt {

// In front of the payload of a record with io::record_piece.
struct PieceHead {
    std::uint64_t offset = 0;
    std::uint64_t total = 0;
};
static_assert(sizeof(PieceHead) == 16);

// The payload of a reference, behind the piece's head if it has one.
struct RefBody {
    std::uint64_t version = 0;
    std::uint32_t member = 0;
    std::uint32_t reserved = 0;
};
static_assert(sizeof(RefBody) == 16);

// Of zeroes and references; their lengths have 32 bits in a record.
inline constexpr std::uint64_t most_unwritten = std::uint64_t{1} << 30;

inline bool all_zero(std::span<const std::byte> bytes) {
    constexpr std::size_t word = sizeof(std::uint64_t);
    if (bytes.size() < word)
        return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
    std::uint64_t first = 0;
    std::memcpy(&first, bytes.data(), word);
    return first == 0 && std::memcmp(bytes.data(), bytes.data() + word, bytes.size() - word) == 0;
}

}  // namespace ssi::ckpt
