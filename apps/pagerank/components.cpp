// SPDX-License-Identifier: BSD-3-Clause
#include "components.hpp"

#include <algorithm>

namespace pagerank {

using graph::Vertex;
using ssi::value_or_throw;

Components::Components(const LocalGraph& graph, const ssi::Clock& clock)
    : graph_(graph),
      partition_(graph.partition()),
      session_(graph.session()),
      clock_(clock),
      labels_(graph.block_set("pagerank.labels", sizeof(Vertex))),
      known_(partition_.vertices()) {}

void Components::unite(std::span<const std::span<const graph::Edge>> parts) {
    for (const auto part : parts)
        for (const graph::Edge& edge : part) known_.unite(edge.source, edge.target);
}

std::uint64_t Components::publish() {
    std::uint64_t changed = 0;
    for (std::uint32_t block = graph_.first_block(); block < graph_.end_block(); ++block) {
        auto guard = value_or_throw(labels_.grab(graph_.id_of(block)));
        const auto labels = writable_values<Vertex>(guard);
        const Vertex first = partition_.first_vertex(block);
        for (std::uint32_t i = 0; i < partition_.vertices_in(block); ++i) {
            const Vertex label = known_.find(first + i) + 1;
            changed += label != labels[i];
            labels[i] = label;
        }
        value_or_throw(guard.put());
    }
    return session_.reduce(changed, ssi::Reduce::sum);
}

void Components::learn() {
    const std::uint32_t blocks = partition_.blocks();
    const std::uint32_t own = graph_.end_block() - graph_.first_block();
    const auto remote = [&](std::uint32_t step) { return (graph_.first_block() + step) % blocks; };
    for (std::uint32_t step = own; step < blocks; ++step)
        value_or_throw(labels_.prefetch(graph_.id_of(remote(step))));
    for (std::uint32_t step = own; step < blocks; ++step) {
        const std::uint32_t block = remote(step);
        const auto guard = value_or_throw(labels_.get(graph_.id_of(block)));
        const auto labels = values<Vertex>(guard);
        const Vertex first = partition_.first_vertex(block);
        for (std::uint32_t i = 0; i < partition_.vertices_in(block); ++i)
            known_.unite(first + i, labels[i] - 1);
    }
}

cli::Report::Components Components::find() {
    cli::Report::Components result;
    const ssi::Nanoseconds begin = clock_.now();
    while (publish() != 0) {
        ++result.rounds;
        learn();
    }
    result.seconds = static_cast<double>(clock_.now() - begin) * 1e-9;
    return result;
}

std::vector<Vertex> Components::all_labels() {
    session_.barrier();
    std::vector<Vertex> all;
    if (session_.rank() != 0) return all;
    all.reserve(partition_.vertices());
    for (std::uint32_t block = 0; block < partition_.blocks(); ++block) {
        const auto guard = value_or_throw(labels_.get(graph_.id_of(block)));
        for (const Vertex label : values<Vertex>(guard).first(partition_.vertices_in(block)))
            all.push_back(label - 1);
    }
    return all;
}

void count_components(std::span<const Vertex> labels, cli::Report::Components& result) {
    std::vector<std::uint32_t> members(labels.size());
    for (const Vertex label : labels) ++members[label];
    for (const std::uint32_t count : members) {
        result.count += count != 0;
        result.largest = std::max<std::uint64_t>(result.largest, count);
    }
}

}  // namespace pagerank
