// SPDX-License-Identifier: BSD-3-Clause
// Components: weakly connected components by propagating the smallest label. The labels live in the
// set "pagerank.labels", by blocks, as the ranks do. Each rank contracts what it knows in a
// union-find: all edges that touch its vertices, and, round by round, every vertex with the label
// that its owner published. A round takes a label across whole parts of the graph, not across one
// edge, so that a long path needs about as many rounds as ranks, not as vertices. Labels only fall,
// so reading one that is already newer does no harm. Ends when a round changes none. One thread of
// each rank calls; construction and find() are collective.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "cli/report.hpp"
#include "graph/union_find.hpp"
#include "local_graph.hpp"
#include "ssi/base/clock.hpp"

namespace pagerank {

class Components {
public:
    Components(const LocalGraph& graph, const ssi::Clock& clock);
    // Before find(): every edge that touches an owned vertex, in any number of calls.
    void unite(std::span<const std::span<const graph::Edge>> parts);
    cli::Report::Components find();

    // On rank 0 (others: empty), after a barrier: by vertex, the smallest vertex of its component.
    std::vector<graph::Vertex> all_labels();
    ssi::kddm::RawSet labels() const { return labels_; }

private:
    std::uint64_t publish();  // labels that changed, on all ranks
    void learn();

    const LocalGraph& graph_;
    const graph::Partition& partition_;
    ssi::Session& session_;
    const ssi::Clock& clock_;
    ssi::kddm::RawSet labels_;  // label + 1, so that 0 is a block's birth
    graph::UnionFind known_;
};

// Fills count and largest from all labels.
void count_components(std::span<const graph::Vertex> labels, cli::Report::Components& result);

}  // namespace pagerank
