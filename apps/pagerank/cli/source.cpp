// SPDX-License-Identifier: BSD-3-Clause
#include "cli/source.hpp"

#include <fmt/core.h>

#include "graph/edge_list.hpp"
#include "graph/packages.hpp"

namespace cli {
namespace {

using graph::LineReader;
using graph::Outcome;

Outcome<graph::Graph> read(const Options& options) {
    if (options.input == InputKind::debian) {
        auto input = LineReader::open_command("apt-cache dumpavail");
        if (!input) return tl::unexpected(std::move(input).error());
        auto graph = graph::read_packages(*input, options.skip_malformed);
        if (!graph && graph.error().kind == graph::Problem::Kind::empty)
            graph.error().text += ": run apt-get update, or name a saved index with --packages";
        return graph;
    }
    auto input = LineReader::open_file(options.path);
    if (!input) return tl::unexpected(std::move(input).error());
    return options.input == InputKind::packages
               ? graph::read_packages(*input, options.skip_malformed)
               : graph::read_edge_list(*input, options.skip_malformed);
}

}  // namespace

Outcome<Source> Source::open(const Options& options, bool first_rank) {
    Source source;
    if (options.input == InputKind::rmat) {
        source.rmat_.emplace(options.rmat_scale, options.edge_factor, options.seed);
        source.set_size(source.rmat_->vertices(), source.rmat_->edges());
        source.description_ = fmt::format("R-MAT scale {}, edge factor {}, seed {}",
                                          options.rmat_scale, options.edge_factor, options.seed);
    } else if (first_rank) {
        auto graph = read(options);
        if (!graph) return tl::unexpected(std::move(graph).error());
        source.graph_ = std::move(*graph);
        source.set_size(source.graph_.vertices(), source.graph_.edges.size());
        source.description_ =
            options.input == InputKind::debian ? "Debian package index" : options.path;
    }
    return source;
}

Source Source::of_slice(graph::Graph slice, std::string description) {
    Source source;
    source.graph_ = std::move(slice);
    source.is_slice_ = true;
    source.description_ = std::move(description);
    return source;
}

void Source::set_size(graph::Vertex vertices, std::uint64_t edges) {
    vertices_ = vertices;
    edges_ = edges;
}

graph::Edges Source::slice(int rank, int ranks) const {
    if (!rmat_) return graph_.edges;
    const auto border = [&](int r) {
        return edges_ / static_cast<unsigned>(ranks) * static_cast<unsigned>(r) +
               edges_ % static_cast<unsigned>(ranks) * static_cast<unsigned>(r) /
                   static_cast<unsigned>(ranks);
    };
    graph::Edges edges;
    rmat_->generate(border(rank), border(rank + 1), edges);
    return edges;
}

std::string Source::name(graph::Vertex vertex) const {
    return rmat_ ? std::to_string(vertex) : graph_.names[vertex];
}

}  // namespace cli
