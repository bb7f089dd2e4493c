// SPDX-License-Identifier: BSD-3-Clause
#include "grid/serial.hpp"

#include <bit>

#include "grid/digest.hpp"

namespace jacobi {

SerialPlate::SerialPlate(Plate plate)
    : plate_(plate),
      memory_(Tile::doubles(plate.rows, plate.cols)),
      tile_(memory_, {0, plate.rows}, {0, plate.cols}) {
    tile_.start(plate);
}

void SerialPlate::step(double speed) {
    tile_.step(plane_, 0, plate_.rows, speed);
    plane_ = 1 - plane_;
}

std::uint64_t SerialPlate::digest() const {
    std::uint64_t sum = 0;
    for (std::int64_t r = 0; r < plate_.rows; ++r) sum += digest_of(plate_, r, 0, row(r));
    return sum;
}

void Difference::look(const SerialPlate& serial, std::int64_t at_row, std::int64_t first_col,
                      std::span<const double> here) {
    const auto expected_row =
        serial.row(at_row).subspan(static_cast<std::size_t>(first_col), here.size());
    for (std::size_t i = 0; i < here.size(); ++i) {
        if (std::bit_cast<std::uint64_t>(here[i]) == std::bit_cast<std::uint64_t>(expected_row[i]))
            continue;
        if (cells++ != 0) continue;
        row = at_row;
        col = first_col + static_cast<std::int64_t>(i);
        found = here[i];
        expected = expected_row[i];
    }
}

}  // namespace jacobi
