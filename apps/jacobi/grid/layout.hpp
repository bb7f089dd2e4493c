// SPDX-License-Identifier: BSD-3-Clause
// Layout: the plate in blocks, and the blocks on ranks. Ranks form a grid, chosen so that as few
// cells as possible have a neighbour on another rank, and each owns a rectangle of blocks; where
// given blocks cannot be divided so, each owns a run of them, row by row. Immutable.
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
    // The blocks of a run on other ranks: at least one, no more than the plate has cells.
    Layout(Plate plate, BlockGrid grid, int ranks);

    const Plate& plate() const { return plate_; }
    const BlockGrid& grid() const { return grid_; }
    int rank_rows() const { return static_cast<int>(rank_rows_); }
    int rank_cols() const { return static_cast<int>(rank_cols_); }
    std::uint32_t blocks() const { return static_cast<std::uint32_t>(grid_.rows * grid_.cols); }
    // Of the largest block.
    std::int64_t height() const { return (plate_.rows + grid_.rows - 1) / grid_.rows; }
    std::int64_t width() const { return (plate_.cols + grid_.cols - 1) / grid_.cols; }

    Range rows_of(std::uint32_t block) const {
        return part_of(plate_.rows, block / grid_.cols, grid_.rows);
    }
    Range cols_of(std::uint32_t block) const {
        return part_of(plate_.cols, block % grid_.cols, grid_.cols);
    }
    int owner(std::uint32_t block) const;
    std::vector<std::uint32_t> owned(int rank) const;  // ascending
    std::optional<std::uint32_t> neighbour(std::uint32_t block, Side side) const;

private:
    // Of equals the grid of ranks with wider rows. False: none is allowed.
    template <class Allowed>
    bool choose_ranks(int ranks, Allowed allowed);

    Plate plate_;
    std::int64_t rank_rows_ = 1, rank_cols_ = 1;
    BlockGrid grid_;
    bool in_runs_ = false;
};

}  // namespace jacobi
