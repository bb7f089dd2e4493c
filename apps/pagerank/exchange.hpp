// SPDX-License-Identifier: BSD-3-Clause
// EdgeExchange: brings every edge to the rank that owns its target, through a KDDM set of chunks:
// the sender writes chunk {target's owner, sender, number}, which is homed at the owner, and the
// owner reads the chunks in place. All functions are collective. Owns the set until close().
#pragma once

#include <span>
#include <string>
#include <vector>

#include "graph/partition.hpp"
#include "graph/types.hpp"
#include "ssi/ssi.hpp"

namespace pagerank {

class EdgeExchange {
public:
    EdgeExchange(ssi::Session& session, const graph::Partition& partition, std::string name);

    // This rank's edges; afterwards received() has those that this rank owns, in no useful order.
    void send(graph::Edges edges);
    std::span<const std::span<const graph::Edge>> received() const { return parts_; }
    // The edges are gone, everywhere.
    void close();

private:
    static constexpr std::size_t edges_per_chunk = std::size_t{1} << 20;  // 8 MiB

    void send_to(int owner, std::span<const graph::Edge> edges);
    void receive_from(int sender);
    ssi::ObjectId chunk(int owner, int sender, std::size_t number) const;

    ssi::Session& session_;
    const graph::Partition& partition_;
    std::string name_;
    ssi::kddm::RawSet set_;
    graph::Edges by_owner_;        // sorted by owner; keeps our own part
    std::vector<ssi::kddm::RawGuard> guards_;  // pin the chunks that parts_ points into
    std::vector<std::span<const graph::Edge>> parts_;
};

}  // namespace pagerank
