// SPDX-License-Identifier: BSD-3-Clause
// A graph from a file in kDFS: every rank reads and parses its own part of it, in place; what is
// known to all at the end are the names. Numbers, edges and their order are those of one reader.
#pragma once

#include "cli/options.hpp"
#include "cli/source.hpp"
#include "ssi/ssi.hpp"
#include "support/progress.hpp"

namespace pagerank {

// Collective. The problem, if there is one, is the same on every rank. Throws ssi::Error when the
// volumes cannot be mounted.
graph::Outcome<cli::Source> read_from_kdfs(ssi::Session& session, const cli::Options& options,
                                           support::Progress& progress);

}  // namespace pagerank
