// SPDX-License-Identifier: BSD-3-Clause
// The counters of KDDM sets, summed over the ranks.
#pragma once

#include "cli/report.hpp"
#include "ssi/ssi.hpp"

namespace pagerank {

// Collective. The same on every rank.
cli::Report::SetCounters sum_over_ranks(ssi::Session& session, const ssi::kddm::RawSet& set);

}  // namespace pagerank
