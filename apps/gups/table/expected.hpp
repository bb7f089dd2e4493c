// SPDX-License-Identifier: BSD-3-Clause
// What a table must hold.
#pragma once

#include <vector>

#include "table/shape.hpp"
#include "table/stream.hpp"

namespace gups {

// The words of `rank` after the first `updates` of every rank, from a table of zeros.
std::vector<std::uint64_t> expected_words(const Shape& shape, int rank, std::uint64_t seed,
                                          std::uint64_t updates);

}  // namespace gups
