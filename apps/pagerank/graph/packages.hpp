// SPDX-License-Identifier: BSD-3-Clause
// The dependency graph of a Debian package index, as `apt-cache dumpavail` prints it (deb-control
// stanzas, see deb-control(5) and Debian Policy chapter 7). Vertices are the packages; the edge
// a -> b says that a needs b (Depends or Pre-Depends), once however often a says so.
//   alternatives `b | c`     an edge to every one of them that is a package of the index
//   virtual packages         when no alternative of a clause is a package, an edge to every package
//                            that Provides one of them; counted apart
//   versions, architectures  `(>= 1)`, `:any`, `[amd64]`, `<!nocheck>` are checked and ignored
//   unknown packages         a clause that nothing satisfies makes no edge; counted
#pragma once

#include <cstdint>

#include "graph/line_reader.hpp"
#include "graph/types.hpp"

namespace graph {

struct PackageCounts {
    std::uint64_t direct_edges = 0;   // to packages named in a clause
    std::uint64_t virtual_edges = 0;  // to providers of virtual packages only
    std::uint64_t unsatisfied = 0;    // clauses that nothing in the index satisfies
};

// Malformed: a line that is neither `Field: value` nor a continuation, a stanza without Package, a
// name that no package can have, a relation that does not parse. Skipping leaves out that line, the
// stanza, or that clause. `counts` may be null; they are also in the graph's notes.
Outcome<Graph> read_packages(LineReader& input, bool skip_malformed,
                             PackageCounts* counts = nullptr);

}  // namespace graph
