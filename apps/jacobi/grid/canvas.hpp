// SPDX-License-Identifier: BSD-3-Clause
// Canvas: which cell each pixel of a picture shows. A picture of a plate that is larger than the
// limit shows every n-th cell.
#pragma once

#include <algorithm>
#include <cstdint>

#include "grid/types.hpp"

namespace jacobi {

class Canvas {
public:
    // At most `most_pixels` on the longer side.
    Canvas(const Plate& plate, std::int64_t most_pixels)
        : plate_(plate),
          step_((std::max(plate.rows, plate.cols) + most_pixels - 1) / most_pixels) {}

    std::int64_t height() const { return (plate_.rows + step_ - 1) / step_; }
    std::int64_t width() const { return (plate_.cols + step_ - 1) / step_; }
    std::int64_t row_of(std::int64_t y) const { return sample(y, plate_.rows); }
    std::int64_t col_of(std::int64_t x) const { return sample(x, plate_.cols); }
    // The pixels whose cells are in these rows or columns.
    Range pixel_rows(Range rows) const { return pixels(rows, plate_.rows, height()); }
    Range pixel_cols(Range cols) const { return pixels(cols, plate_.cols, width()); }

private:
    // The middle of the cells that the pixel stands for.
    std::int64_t sample(std::int64_t pixel, std::int64_t cells) const {
        return std::min(pixel * step_ + step_ / 2, cells - 1);
    }
    Range pixels(Range cells, std::int64_t all, std::int64_t limit) const {
        const auto first = [&](std::int64_t cell) {
            std::int64_t pixel = std::max<std::int64_t>(0, cell / step_ - 1);
            while (pixel < limit && sample(pixel, all) < cell) ++pixel;
            return pixel;
        };
        return {first(cells.begin), first(cells.end)};
    }

    Plate plate_;
    std::int64_t step_;
};

// A temperature as a level that the palette has a colour for.
inline std::uint8_t level_of(double temperature) {
    return static_cast<std::uint8_t>(std::clamp(temperature, 0.0, 1.0) * 255 + 0.5);
}

}  // namespace jacobi
