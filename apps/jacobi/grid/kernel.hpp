// SPDX-License-Identifier: BSD-3-Clause
// One explicit time step of the heat equation on one row: each cell moves towards the mean of its
// four neighbours. In a file of its own, so that every program runs the same instructions.
#pragma once

#include <cstddef>

namespace jacobi {

// out[i] = here[i] + speed * (north[i] + south[i] + here[i-1] + here[i+1] - 4 here[i]) for i in
// [0, count). Reads here[-1] and here[count]. `out` overlaps nothing. Stable for speed <= 0.25.
void step_row(const double* north, const double* here, const double* south, double* out,
              std::size_t count, double speed);

}  // namespace jacobi
