// SPDX-License-Identifier: BSD-3-Clause
// One run: a world, a workload, all checkers, a summary.
#pragma once

#include <cstdint>

#include "options.hpp"

namespace ssi::model {

inline constexpr int checker_exit_code = 3;

// Prints the summary and returns 0; or prints the end of the trace, what is wrong and the line
// `checker NAME seed S`, and returns checker_exit_code, leaving the world as it is.
int run_seed(const Options& options, std::uint64_t seed);

}  // namespace ssi::model
