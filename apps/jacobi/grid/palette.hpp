// SPDX-License-Identifier: BSD-3-Clause
// Colours of temperatures: from black over violet, red and yellow to white, ever lighter.
#pragma once

#include <array>
#include <cstdint>

namespace jacobi {

struct Colour {
    std::uint8_t red = 0, green = 0, blue = 0;
    friend bool operator==(const Colour&, const Colour&) = default;
};
using Palette = std::array<Colour, 256>;

const Palette& palette();

}  // namespace jacobi
