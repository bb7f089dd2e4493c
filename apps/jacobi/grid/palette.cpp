// SPDX-License-Identifier: BSD-3-Clause
#include "grid/palette.hpp"

#include <cstddef>

namespace jacobi {
namespace {

// Evenly spaced.
constexpr Colour anchors[] = {{2, 2, 12},     {38, 12, 82},   {96, 20, 110},
                              {152, 38, 98},  {206, 66, 64},  {240, 112, 28},
                              {250, 170, 36}, {248, 224, 112}, {255, 255, 236}};
constexpr std::size_t steps = std::size(anchors) - 1;

constexpr std::uint8_t between(std::uint8_t from, std::uint8_t to, std::size_t at,
                               std::size_t whole) {
    return static_cast<std::uint8_t>((from * (whole - at) + to * at + whole / 2) / whole);
}

constexpr Palette make() {
    Palette colours{};
    for (std::size_t level = 0; level < colours.size(); ++level) {
        const std::size_t place = level * steps;
        const std::size_t anchor = place / 255 < steps ? place / 255 : steps - 1;
        const std::size_t at = place - anchor * 255;
        const Colour& from = anchors[anchor];
        const Colour& to = anchors[anchor + 1];
        colours[level] = {between(from.red, to.red, at, 255),
                          between(from.green, to.green, at, 255),
                          between(from.blue, to.blue, at, 255)};
    }
    return colours;
}

constexpr Palette colours = make();

}  // namespace

const Palette& palette() { return colours; }

}  // namespace jacobi
