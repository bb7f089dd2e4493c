// SPDX-License-Identifier: BSD-3-Clause
// The plate at the start: a grid of round inclusions, hot and cold, of many sizes; and its edge:
// the north is hot, the south cold, the sides in between. Temperatures stay in [0, 1].
#pragma once

#include <span>

#include "grid/types.hpp"

namespace jacobi {

// Writes the cells (row, first_col), (row, first_col + 1), ...; -1 and one beyond the last are the
// edge's.
void start_row(const Plate& plate, std::int64_t row, std::int64_t first_col,
               std::span<double> cells);

}  // namespace jacobi
