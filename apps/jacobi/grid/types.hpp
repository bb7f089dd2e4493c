// SPDX-License-Identifier: BSD-3-Clause
// Words of the plate: its size, its blocks, ranges of rows and columns, sides of a block.
#pragma once

#include <cstdint>

namespace jacobi {

// Interior cells. Around them lies an edge, one cell wide, of row and column -1, `rows` and `cols`.
struct Plate {
    std::int64_t rows = 0;
    std::int64_t cols = 0;

    std::uint64_t cells() const {
        return static_cast<std::uint64_t>(rows) * static_cast<std::uint64_t>(cols);
    }
    friend bool operator==(const Plate&, const Plate&) = default;
};

// How many blocks a plate is cut into, each way.
struct BlockGrid {
    std::int64_t rows = 1;
    std::int64_t cols = 1;
    friend bool operator==(const BlockGrid&, const BlockGrid&) = default;
};

struct Range {
    std::int64_t begin = 0;
    std::int64_t end = 0;

    std::int64_t size() const { return end - begin; }
};

// `parts` ranges that together cover [0, whole), none more than one longer than another.
inline Range part_of(std::int64_t whole, std::int64_t part, std::int64_t parts) {
    return {whole * part / parts, whole * (part + 1) / parts};
}

enum class Side : std::uint8_t { north, west, east, south };
inline constexpr Side all_sides[] = {Side::north, Side::west, Side::east, Side::south};
inline Side opposite(Side side) { return static_cast<Side>(3 - static_cast<int>(side)); }

}  // namespace jacobi
