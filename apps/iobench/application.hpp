// SPDX-License-Identifier: BSD-3-Clause
// One run: the patterns of the command line, one after the other, by all ranks at once.
#pragma once

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "ssi/ssi.hpp"
#include "store/store.hpp"

namespace iobench {

// Collective. Only rank 0's report is complete. Throws what fails.
Report run_patterns(ssi::Session& session, Store& store, const Options& options);

}  // namespace iobench
