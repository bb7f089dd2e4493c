// SPDX-License-Identifier: BSD-3-Clause
// A set's counters, summed over the ranks.
#pragma once

#include "ssi/ssi.hpp"
#include "support/counters.hpp"

namespace support {

// Collective.
SetCounters sum_over_ranks(ssi::Session& session, const ssi::kddm::RawSet& set);

}  // namespace support
