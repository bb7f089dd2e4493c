// SPDX-License-Identifier: BSD-3-Clause
#include "grid/layout.hpp"

#include <algorithm>
#include <limits>

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

template <class Allowed>
bool Layout::choose_ranks(int ranks, Allowed allowed) {
    std::int64_t best_cut = std::numeric_limits<std::int64_t>::max();
    for (std::int64_t across = 1; across <= ranks; ++across) {
        const std::int64_t down = ranks / across;
        if (ranks % across != 0 || !allowed(down, across)) continue;
        const std::int64_t cut = (down - 1) * plate_.cols + (across - 1) * plate_.rows;
        if (cut >= best_cut) continue;
        best_cut = cut;
        rank_rows_ = down;
        rank_cols_ = across;
    }
    return best_cut != std::numeric_limits<std::int64_t>::max();
}

Layout::Layout(Plate plate, std::int64_t side, int ranks) : plate_(plate) {
    // Idle ranks cost more than any edge between ranks.
    const auto busy = [&](std::int64_t down, std::int64_t across) {
        return std::min(down, plate.rows) * std::min(across, plate.cols);
    };
    std::int64_t busiest = 0;
    for (std::int64_t across = 1; across <= ranks; ++across)
        if (ranks % across == 0) busiest = std::max(busiest, busy(ranks / across, across));
    choose_ranks(ranks, [&](std::int64_t down, std::int64_t across) {
        return busy(down, across) == busiest;
    });
    grid_ = {pieces(plate.rows, side, rank_rows_), pieces(plate.cols, side, rank_cols_)};
}

Layout::Layout(Plate plate, BlockGrid grid, int ranks) : plate_(plate), grid_(grid) {
    const bool even = choose_ranks(ranks, [&](std::int64_t down, std::int64_t across) {
        return grid.rows % down == 0 && grid.cols % across == 0;
    });
    if (even) return;
    in_runs_ = true;
    rank_rows_ = ranks;
    rank_cols_ = 1;
}

int Layout::owner(std::uint32_t block) const {
    if (in_runs_) return static_cast<int>(std::int64_t{block} * rank_rows_ / blocks());
    const std::int64_t down = block / grid_.cols * rank_rows_ / grid_.rows;
    const std::int64_t across = block % grid_.cols * rank_cols_ / grid_.cols;
    return static_cast<int>(down * rank_cols_ + across);
}

std::vector<std::uint32_t> Layout::owned(int rank) const {
    std::vector<std::uint32_t> mine;
    for (std::uint32_t block = 0; block < blocks(); ++block)
        if (owner(block) == rank) mine.push_back(block);
    return mine;
}

std::optional<std::uint32_t> Layout::neighbour(std::uint32_t block, Side side) const {
    const std::int64_t row = block / grid_.cols, col = block % grid_.cols;
    const auto at = [&](std::int64_t r, std::int64_t c) -> std::optional<std::uint32_t> {
        if (r < 0 || r >= grid_.rows || c < 0 || c >= grid_.cols) return std::nullopt;
        return static_cast<std::uint32_t>(r * grid_.cols + c);
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
