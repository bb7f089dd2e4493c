// SPDX-License-Identifier: BSD-3-Clause
// Tile: a view of a rectangle of the plate in memory, twice: a step reads the one and writes the
// other. Each has a frame of ghost cells, one wide: the edge of the plate, or copies of neighbours.
#pragma once

#include <cstddef>
#include <span>

#include "grid/field.hpp"
#include "grid/kernel.hpp"
#include "grid/types.hpp"

namespace jacobi {

// The result of step k is in plane k % 2.
using Plane = std::uint32_t;

class Tile {
public:
    // What a tile of this many cells takes.
    static std::size_t doubles(std::int64_t rows, std::int64_t cols) {
        return 2 * static_cast<std::size_t>(rows + 2) * static_cast<std::size_t>(cols + 2);
    }
    Tile(std::span<double> memory, Range rows, Range cols)
        : memory_(memory.data()), rows_(rows), cols_(cols), pitch_(cols.size() + 2) {}

    std::int64_t height() const { return rows_.size(); }
    std::int64_t width() const { return cols_.size(); }
    // The first cell of row r of the tile; -1 and height() are ghosts; so are [-1] and [width()].
    double* row(Plane plane, std::int64_t r) const {
        return memory_ + ((height() + 2) * plane + r + 1) * pitch_ + 1;
    }
    std::span<double> cells(Plane plane, std::int64_t r) const {
        return {row(plane, r), static_cast<std::size_t>(width())};
    }
    // Both planes as they are at the start, ghosts too.
    void start(const Plate& plate) const {
        for (Plane plane : {0u, 1u})
            for (std::int64_t r = -1; r <= height(); ++r)
                start_row(plate, rows_.begin + r, cols_.begin - 1,
                          {row(plane, r) - 1, static_cast<std::size_t>(pitch_)});
    }
    // Rows [first, end) from `plane` into the other one.
    void step(Plane plane, std::int64_t first, std::int64_t end, double speed) const {
        for (std::int64_t r = first; r < end; ++r) {
            ask_ahead(plane, r);
            step_row(row(plane, r - 1), row(plane, r), row(plane, r + 1), row(1 - plane, r),
                     static_cast<std::size_t>(width()), speed);
        }
    }

private:
    // Processors do not fetch ahead across pages, and on small pages each new one costs a walk of
    // the page table: the pages of the next row are touched while this one is computed.
    void ask_ahead(Plane plane, std::int64_t r) const {
        constexpr std::int64_t page = 4096 / sizeof(double), line = 64 / sizeof(double);
        if (r + 1 >= height()) return;
        const double* from = row(plane, r + 2);
        const double* to = row(1 - plane, r + 1);
        for (std::int64_t i = 0; i < width(); i += page)
            for (std::int64_t at = i; at < i + lines_ahead * line; at += line) {
                __builtin_prefetch(from + at, 0);
                __builtin_prefetch(to + at, 1);
            }
    }

    static constexpr std::int64_t lines_ahead = 4;
    double* memory_;
    Range rows_, cols_;
    std::int64_t pitch_;
};

}  // namespace jacobi
