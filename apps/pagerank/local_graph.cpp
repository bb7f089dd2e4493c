// SPDX-License-Identifier: BSD-3-Clause
#include "local_graph.hpp"

#include <algorithm>
#include <functional>

#include "graph/tiled_solver.hpp"
#include "support/block_homes.hpp"

namespace pagerank {

using graph::Edge;
using ssi::value_or_throw;
using ssi::kddm::RawSet;

namespace {

constexpr std::size_t piece_bytes = std::size_t{16} << 20;

RawSet variable_set(ssi::Session& session, const std::string& name) {
    ssi::kddm::SetOptions options;
    options.kind = ssi::kddm::ObjectKind::variable;
    options.placement = "high_bits";
    return value_or_throw(session.raw_set(name, options));
}

RawSet fixed_set(ssi::Session& session, const std::string& name, std::size_t bytes,
                 const char* placement) {
    ssi::kddm::SetOptions options;
    options.object_bytes = static_cast<std::uint32_t>(bytes);
    options.placement = placement;
    return value_or_throw(session.raw_set(name, options));
}

}  // namespace

LocalGraph::LocalGraph(ssi::Session& session, graph::Vertex vertices, std::uint32_t block_vertices,
                       std::span<const Edge> edges)
    : session_(session),
      partition_(vertices, block_vertices, session.size()),
      adjacency_(variable_set(session, "pagerank.adjacency")),
      tiles_(partition_.blocks()) {
    balance(edges);
    support::place_blocks(session, at_owners, partition_.blocks(), [&](std::uint32_t block) {
        return partition_.owner_of_block(block);
    });
    count_degrees(edges);
}

void LocalGraph::balance(std::span<const Edge> edges) {
    const std::string name = "pagerank.load";
    std::vector<std::uint64_t> mine(partition_.blocks());
    for (const Edge& edge : edges) ++mine[partition_.block_of(edge.target)];
    RawSet set = fixed_set(session_, name, mine.size() * sizeof(std::uint64_t), "node:0");
    {
        auto guard = value_or_throw(set.grab(0));
        const auto total = writable_values<std::uint64_t>(guard);
        std::transform(mine.begin(), mine.end(), total.begin(), total.begin(), std::plus<>{});
        value_or_throw(guard.put());
    }
    session_.barrier();
    {
        const auto guard = value_or_throw(set.get(0));
        partition_.balance(values<std::uint64_t>(guard));
    }
    session_.barrier();
    if (session_.rank() == 0) value_or_throw(session_.destroy(name));
}

void LocalGraph::count_degrees(std::span<const Edge> edges) {
    const std::string name = "pagerank.degrees";
    RawSet set = block_set(name, sizeof(std::uint32_t));
    add_degrees(set, edges);
    session_.barrier();
    std::vector<std::uint32_t> degrees;
    for (std::uint32_t block = first_block(); block < end_block(); ++block) {
        const auto guard = value_or_throw(set.get(id_of(block)));
        const auto of_block = values<std::uint32_t>(guard).first(partition_.vertices_in(block));
        degrees.insert(degrees.end(), of_block.begin(), of_block.end());
    }
    inverse_degree_ = graph::invert_degrees(degrees);
    session_.barrier();
    if (session_.rank() == 0) value_or_throw(session_.destroy(name));
}

void LocalGraph::add_degrees(RawSet& set, std::span<const Edge> edges) {
    std::vector<std::uint32_t> mine(std::size_t{partition_.blocks()} << partition_.shift());
    for (const Edge& edge : edges) ++mine[edge.source];
    // Each rank starts at its own blocks, so that ranks do not queue behind each other.
    for (std::uint32_t step = 0; step < partition_.blocks(); ++step) {
        const std::uint32_t block = (first_block() + step) % partition_.blocks();
        const auto of_block =
            std::span(mine).subspan(partition_.first_vertex(block), partition_.block_vertices());
        if (std::ranges::all_of(of_block, [](std::uint32_t degree) { return degree == 0; }))
            continue;
        auto guard = value_or_throw(set.grab(id_of(block)));
        const auto total = writable_values<std::uint32_t>(guard);
        std::transform(of_block.begin(), of_block.end(), total.begin(), total.begin(),
                       std::plus<>{});
        value_or_throw(guard.put());
    }
}

void LocalGraph::store(EdgeExchange& exchange) {
    const graph::TileSorter sorter(partition_, session_.rank(), exchange.received());
    exchange.close();
    const auto pieces = sorter.pieces(piece_bytes);
    const auto id = [&](const graph::TileSorter::Piece& piece) {
        return ssi::ObjectId(static_cast<std::uint64_t>(session_.rank()),
                             std::uint64_t{piece.target_block} << 32 | piece.number);
    };
    for (const auto& piece : pieces) {
        auto guard = value_or_throw(adjacency_.grab_new(id(piece)));
        value_or_throw(guard.resize(piece.bytes));
        sorter.write(piece, guard.writable());
        value_or_throw(guard.put());
    }
    for (const auto& piece : pieces) {
        guards_.push_back(value_or_throw(adjacency_.get(id(piece))));
        tiles_.add(piece.target_block, guards_.back().bytes());
    }
}

std::span<const double> LocalGraph::inverse_degree(std::uint32_t block) const {
    const auto begin = partition_.first_vertex(block) - partition_.first_owned(session_.rank());
    return std::span(inverse_degree_).subspan(begin, partition_.vertices_in(block));
}

RawSet LocalGraph::block_set(const std::string& name, std::size_t bytes_per_vertex) const {
    return fixed_set(session_, name, bytes_per_vertex * partition_.block_vertices(), at_owners);
}

}  // namespace pagerank
