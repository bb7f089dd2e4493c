// SPDX-License-Identifier: BSD-3-Clause
// Layout: the plate in blocks, and the blocks on ranks. Ranks form a grid, chosen so that as few
// cells as possible have a neighbour on another rank, and each owns a rectangle of blocks.
// Immutable.
#pragma once

#include <optional>
#include <vector>

#include "grid/types.hpp"

namespace jacobi {

class Layout {
public:
    // Blocks of at most `side` x `side` cells, about equal, as many as the ranks divide evenly
    // where the plate has cells enough; else some ranks own none.
    Layout(Plate plate, std::int64_t side, int ranks);

    const Plate& plate() const { return plate_; }
    int rank_rows() const { return static_cast<int>(rank_rows_); }
    int rank_cols() const { return static_cast<int>(rank_cols_); }
    std::uint32_t blocks() const { return static_cast<std::uint32_t>(block_rows_ * block_cols_); }
    // Of the largest block.
    std::int64_t height() const { return (plate_.rows + block_rows_ - 1) / block_rows_; }
    std::int64_t width() const { return (plate_.cols + block_cols_ - 1) / block_cols_; }

    Range rows_of(std::uint32_t block) const {
        return part_of(plate_.rows, block / block_cols_, block_rows_);
    }
    Range cols_of(std::uint32_t block) const {
        return part_of(plate_.cols, block % block_cols_, block_cols_);
    }
    int owner(std::uint32_t block) const;
    std::vector<std::uint32_t> owned(int rank) const;  // ascending
    std::optional<std::uint32_t> neighbour(std::uint32_t block, Side side) const;

private:
    Plate plate_;
    std::int64_t rank_rows_ = 1, rank_cols_ = 1;
    std::int64_t block_rows_ = 1, block_cols_ = 1;
};

}  // namespace jacobi
