// SPDX-License-Identifier: BSD-3-Clause
// SerialPlate: the whole plate in one process and one tile. What the others are compared with.
#pragma once

#include "grid/tile.hpp"
#include "support/large_vector.hpp"

namespace jacobi {

class SerialPlate {
public:
    explicit SerialPlate(Plate plate);

    void step(double speed);
    std::span<const double> row(std::int64_t r) const { return tile_.cells(plane_, r); }
    std::uint64_t digest() const;

private:
    Plate plate_;
    support::LargeVector<double> memory_;
    Tile tile_;
    Plane plane_ = 0;
};

// Cells that differ, bit by bit, and the first of them.
struct Difference {
    std::uint64_t cells = 0;
    std::int64_t row = 0, col = 0;
    double found = 0, expected = 0;

    // Compares the cells (row, first_col), ... of a plate with the serial one's.
    void look(const SerialPlate& serial, std::int64_t row, std::int64_t first_col,
              std::span<const double> cells);
};

}  // namespace jacobi
