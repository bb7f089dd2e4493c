// SPDX-License-Identifier: BSD-3-Clause
// PNG files, by libpng. A build without it has no pictures and says so.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace jacobi {

bool can_write_png();

// `levels`: width x height of them, by rows. Empty, or what went wrong.
std::string write_png(const std::string& path, std::int64_t width, std::int64_t height,
                      std::span<const std::uint8_t> levels);

}  // namespace jacobi
