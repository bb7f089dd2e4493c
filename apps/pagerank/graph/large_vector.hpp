// SPDX-License-Identifier: BSD-3-Clause
// The vectors of edges, shares and tiles: on huge pages when they are large.
#pragma once

#include "support/large_vector.hpp"

namespace graph {

using support::LargeVector;

}  // namespace graph
