// SPDX-License-Identifier: BSD-3-Clause
#include "grid/kernel.hpp"

namespace jacobi {

void step_row(const double* __restrict north, const double* __restrict here,
              const double* __restrict south, double* __restrict out, std::size_t count,
              double speed) {
    for (std::size_t i = 0; i < count; ++i) {
        const double around = (north[i] + south[i]) + (here[i - 1] + here[i + 1]);
        out[i] = here[i] + speed * (around - 4.0 * here[i]);
    }
}

}  // namespace jacobi
