// SPDX-License-Identifier: BSD-3-Clause
// Edge lists: one edge `a b` a line, from a to b, separated by blanks or tabs. A name is any run of
// other bytes, so integers are names too ("7" and "07" differ). Empty lines and everything after
// '#' at the start of a field are skipped. Repeated edges and self loops count as given.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/line_reader.hpp"
#include "graph/malformed.hpp"
#include "graph/names.hpp"
#include "graph/types.hpp"

namespace graph {

// What one part of a list says; vertices are numbered in the order in which it names them. Several
// readers may each read a part of one list: numbers that count through all parts come from giving
// the names of each, in their order, to one Names.
struct EdgesPart {
    std::vector<std::string> names;
    Edges edges;
    std::uint64_t lines = 0;
    Malformed malformed;
};
Outcome<EdgesPart> read_edges_part(LineReader& input);
Problem no_edges(const std::string& input);

// Malformed: another number of names than two, control characters, a name above 4096 bytes.
Outcome<Graph> read_edge_list(LineReader& input, bool skip_malformed);

}  // namespace graph
