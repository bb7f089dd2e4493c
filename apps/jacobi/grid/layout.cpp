// SPDX-License-Identifier: BSD-3-Clause
#include "grid/layout.hpp"

#include <algorithm>

namespace jacobi {
namespace {

// How many pieces of at most `longest` cells `cells` are cut into: a multiple of `ranks` if there
// are as many cells.
std::int64_t pieces(std::int64_t cells, std::int64_t longest, std::int64_t ranks) {
    const std::int64_t needed = std::max((cells + longest - 1) / longest, std::min(cells, ranks));
    const std::int64_t even = (needed + ranks - 1) / ranks * ranks;
    return even <= cells ? even : needed;
}

}  // namespace

Layout::Layout(Plate plate, std::int64_t side, int ranks) : plate_(plate) {
    // Idle ranks cost more than any edge between ranks. Of equals the one with wider rows.
    std::int64_t best_busy = 0, best_cut = 0;
    for (std::int64_t across = 1; across <= ranks; ++across) {
        if (ranks % across != 0) continue;
        const std::int64_t down = ranks / across;
        const std::int64_t busy = std::min(down, plate.rows) * std::min(across, plate.cols);
        const std::int64_t cut = (down - 1) * plate.cols + (across - 1) * plate.rows;
        if (busy < best_busy || (busy == best_busy && cut >= best_cut)) continue;
        best_busy = busy;
        best_cut = cut;
        rank_rows_ = down;
        rank_cols_ = across;
    }
    block_rows_ = pieces(plate.rows, side, rank_rows_);
    block_cols_ = pieces(plate.cols, side, rank_cols_);
}

int Layout::owner(std::uint32_t block) const {
    const std::int64_t down = block / block_cols_ * rank_rows_ / block_rows_;
    const std::int64_t across = block % block_cols_ * rank_cols_ / block_cols_;
    return static_cast<int>(down * rank_cols_ + across);
}

std::vector<std::uint32_t> Layout::owned(int rank) const {
    std::vector<std::uint32_t> mine;
    for (std::uint32_t block = 0; block < blocks(); ++block)
        if (owner(block) == rank) mine.push_back(block);
    return mine;
}

std::optional<std::uint32_t> Layout::neighbour(std::uint32_t block, Side side) const {
    const std::int64_t row = block / block_cols_, col = block % block_cols_;
    const auto at = [&](std::int64_t r, std::int64_t c) -> std::optional<std::uint32_t> {
        if (r < 0 || r >= block_rows_ || c < 0 || c >= block_cols_) return std::nullopt;
        return static_cast<std::uint32_t>(r * block_cols_ + c);
    };
    switch (side) {
        case Side::north: return at(row - 1, col);
        case Side::west: return at(row, col - 1);
        case Side::east: return at(row, col + 1);
        case Side::south: return at(row + 1, col);
    }
    return std::nullopt;
}

}  // namespace jacobi
