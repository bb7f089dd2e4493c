// SPDX-License-Identifier: BSD-3-Clause
#include "grid/field.hpp"

#include <algorithm>

namespace jacobi {
namespace {

constexpr double background = 0.12;

// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
std::uint64_t mix(std::uint64_t value) {
    value += 0x9e3779b97f4a7c15;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9;
    value = (value ^ (value >> 27)) * 0x94d049bb133111eb;
    return value ^ (value >> 31);
}

// In [0, 1), by the number of the inclusion and of what is asked of it.
double draw(std::uint64_t inclusion, std::uint64_t what) {
    return static_cast<double>(mix(inclusion * 4 + what) >> 11) * 0x1p-53;
}

// One inclusion in each square of this many cells.
std::int64_t square_side(const Plate& plate) {
    return std::max<std::int64_t>(8, std::min(plate.rows, plate.cols) / 20);
}

struct Inclusion {
    double row, col, radius, temperature;

    Inclusion(std::int64_t square_row, std::int64_t square_col, double side) {
        const std::uint64_t number = mix(static_cast<std::uint64_t>(square_row)) +
                                     static_cast<std::uint64_t>(square_col);
        radius = side * (0.08 + 0.42 * draw(number, 0));
        const double room = side - 2 * radius;  // it stays inside its square
        row = static_cast<double>(square_row) * side + radius + room * draw(number, 1);
        col = static_cast<double>(square_col) * side + radius + room * draw(number, 2);
        temperature = draw(number, 3);
    }
    double at(std::int64_t r, std::int64_t c) const {
        const double down = static_cast<double>(r) + 0.5 - row;
        const double right = static_cast<double>(c) + 0.5 - col;
        return down * down + right * right <= radius * radius ? temperature : background;
    }
};

double edge(const Plate& plate, std::int64_t row) {
    return 1.0 - static_cast<double>(row + 1) / static_cast<double>(plate.rows + 1);
}

}  // namespace

void start_row(const Plate& plate, std::int64_t row, std::int64_t first_col,
               std::span<double> cells) {
    const std::int64_t side = square_side(plate);
    const bool inside = row >= 0 && row < plate.rows;
    const auto end_col = first_col + static_cast<std::int64_t>(cells.size());
    for (std::int64_t col = first_col; col < end_col;) {
        double* out = &cells[static_cast<std::size_t>(col - first_col)];
        if (!inside || col < 0 || col >= plate.cols) {
            *out = edge(plate, row);
            ++col;
            continue;
        }
        const Inclusion inclusion(row / side, col / side, static_cast<double>(side));
        const std::int64_t stop = std::min({end_col, plate.cols, (col / side + 1) * side});
        for (; col < stop; ++col) *out++ = inclusion.at(row, col);
    }
}

}  // namespace jacobi
