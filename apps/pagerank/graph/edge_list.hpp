// SPDX-License-Identifier: BSD-3-Clause
// Edge lists: one edge `a b` a line, from a to b, separated by blanks or tabs. A name is any run of
// other bytes, so integers are names too ("7" and "07" differ). Empty lines and everything after
// '#' at the start of a field are skipped. Repeated edges and self loops count as given.
#pragma once

#include "graph/line_reader.hpp"
#include "graph/types.hpp"

namespace graph {

// Malformed: another number of names than two, control characters, a name above 4096 bytes.
Outcome<Graph> read_edge_list(LineReader& input, bool skip_malformed);

}  // namespace graph
