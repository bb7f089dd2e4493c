// SPDX-License-Identifier: BSD-3-Clause
// The dependency graph of a Debian package index, as `apt-cache dumpavail` prints it (deb-control
// stanzas, see deb-control(5) and Debian Policy chapter 7). Vertices are the packages; the edge
// a -> b says that a needs b (Depends or Pre-Depends), once however often a says so.
//   alternatives `b | c`     an edge to every one of them that is a package of the index
//   virtual packages         when no alternative of a clause is a package, an edge to every package
//                            that Provides one of them; counted apart
//   versions, architectures  `(>= 1)`, `:any`, `[amd64]`, `<!nocheck>` are checked and ignored
//   unknown packages         a clause that nothing satisfies makes no edge; counted
//
// Several readers may each read a part of one index: what they found is put together in a
// PackageDirectory, in the order of the parts, at each of them; then each makes its edges.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "graph/line_reader.hpp"
#include "graph/malformed.hpp"
#include "graph/names.hpp"
#include "graph/types.hpp"

namespace graph {

struct PackageCounts {
    std::uint64_t direct_edges = 0;   // to packages named in a clause
    std::uint64_t virtual_edges = 0;  // to providers of virtual packages only
    std::uint64_t unsatisfied = 0;    // clauses that nothing in the index satisfies
};

// What one part of an index says. Packages are numbered in the order in which it names them.
struct PackagesPart {
    struct Relation {
        Vertex package;
        std::string text;
        std::uint64_t line;   // of the part, from 1
    };
    std::vector<std::string> names;
    std::vector<std::pair<std::string, Vertex>> provides;   // virtual name, who provides it
    std::vector<Relation> relations;
    std::uint64_t lines = 0;
    Malformed malformed;
};
Outcome<PackagesPart> read_packages_part(LineReader& input);

// All packages of an index and who provides what.
class PackageDirectory {
public:
    // The next part, in their order; the numbers of its packages.
    std::vector<Vertex> add(std::span<const std::string> names,
                            std::span<const std::pair<std::string, Vertex>> provides);
    Vertex size() const { return static_cast<Vertex>(names_.size()); }
    std::optional<Vertex> find(std::string_view name) const { return names_.find(name); }
    const std::vector<Vertex>* providers_of(std::string_view name) const;
    std::vector<std::string> take_names() { return names_.take(); }

private:
    Names names_;
    std::unordered_map<std::string, std::vector<Vertex>> providers_;
};

// The edges of some packages.
struct PackageEdges {
    Edges direct, through_virtual;
    std::uint64_t unsatisfied = 0;
    // Sorted by source and target and without repetitions; what a clause names is not virtual.
    // When the edges of each package are in one PackageEdges, those of all are counted right.
    Edges finish(PackageCounts& counts);
};
// `numbers`: of the part's packages. What is malformed is added to the part's.
PackageEdges resolve(PackagesPart& part, std::span<const Vertex> numbers,
                     const PackageDirectory& directory);
std::string describe(Vertex packages, const PackageCounts& counts);

// Malformed: a line that is neither `Field: value` nor a continuation, a stanza without Package, a
// name that no package can have, a relation that does not parse. Skipping leaves out that line, the
// stanza, or that clause. `counts` may be null; they are also in the graph's notes.
Outcome<Graph> read_packages(LineReader& input, bool skip_malformed,
                             PackageCounts* counts = nullptr);
Problem no_packages(const std::string& input);

}  // namespace graph
