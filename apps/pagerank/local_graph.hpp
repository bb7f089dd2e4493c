// SPDX-License-Identifier: BSD-3-Clause
// LocalGraph: this rank's part of the distributed graph. Vertices are split in blocks, blocks in
// ranges, one a rank (graph::Partition); the edges into a rank's vertices are tiles in
// variable-size objects {rank, block, piece} of the set "pagerank.adjacency", homed where they are
// used and held for reading as long as this lives. Construction is collective; afterwards
// read-only.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "exchange.hpp"
#include "graph/partition.hpp"
#include "graph/tiles.hpp"
#include "graph/types.hpp"
#include "ssi/ssi.hpp"

namespace pagerank {

class LocalGraph {
public:
    // Placement of the sets that are kept by blocks.
    static constexpr const char* at_owners = "pagerank.owners";

    // `edges`: this rank's share of the graph, any edges; together all ranks pass each edge once.
    LocalGraph(ssi::Session& session, graph::Vertex vertices, std::uint32_t block_vertices,
               std::span<const graph::Edge> edges);
    // Keeps the edges into this rank's vertices, which the exchange has received, and closes it.
    void store(EdgeExchange& exchange);

    ssi::Session& session() const { return session_; }
    const graph::Partition& partition() const { return partition_; }
    const graph::TileIndex& tiles() const { return tiles_; }
    std::uint32_t first_block() const { return partition_.first_block(session_.rank()); }
    std::uint32_t end_block() const { return partition_.end_block(session_.rank()); }
    // 1 / out-degree of the vertices of an owned block.
    std::span<const double> inverse_degree(std::uint32_t block) const;

    // The name of block b (version `part` of it) in every set that is kept by blocks: homed at the
    // rank that owns the block, and the same whichever that is.
    static ssi::ObjectId id_of(std::uint32_t block, std::uint32_t part = 0) {
        return {part, block};
    }
    // A fixed-size set with `bytes_per_vertex` for each vertex of a block.
    ssi::kddm::RawSet block_set(const std::string& name, std::size_t bytes_per_vertex) const;
    ssi::kddm::RawSet adjacency() const { return adjacency_; }

private:
    void balance(std::span<const graph::Edge> edges);
    void count_degrees(std::span<const graph::Edge> edges);
    void add_degrees(ssi::kddm::RawSet& set, std::span<const graph::Edge> edges);

    ssi::Session& session_;
    graph::Partition partition_;
    std::vector<double> inverse_degree_;  // of the owned vertices
    // Opened before every other set that lasts: its guards are held while the others' are taken,
    // and guards are taken in ascending order of sets.
    ssi::kddm::RawSet adjacency_;
    std::vector<ssi::kddm::RawGuard> guards_;
    graph::TileIndex tiles_;
};

// The objects of a set as arrays.
template <class T>
std::span<const T> values(const ssi::kddm::RawGuard& guard) {
    const auto bytes = guard.bytes();
    return {reinterpret_cast<const T*>(bytes.data()), bytes.size() / sizeof(T)};
}
template <class T>
std::span<T> writable_values(ssi::kddm::RawGuard& guard) {
    const auto bytes = guard.writable();
    return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
}

}  // namespace pagerank
