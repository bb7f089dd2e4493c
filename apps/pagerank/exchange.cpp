// SPDX-License-Identifier: BSD-3-Clause
#include "exchange.hpp"

#include <algorithm>
#include <cstring>

namespace pagerank {

using graph::Edge;
using ssi::value_or_throw;

EdgeExchange::EdgeExchange(ssi::Session& session, const graph::Partition& partition,
                           std::string name)
    : session_(session), partition_(partition), name_(std::move(name)) {
    ssi::kddm::SetOptions options;
    options.kind = ssi::kddm::ObjectKind::variable;
    options.placement = "high_bits";
    set_ = value_or_throw(session_.raw_set(name_, options));
}

ssi::ObjectId EdgeExchange::chunk(int owner, int sender, std::size_t number) const {
    return {static_cast<std::uint64_t>(owner), static_cast<std::uint64_t>(sender) << 32 | number};
}

void EdgeExchange::send(graph::Edges edges) {
    const int ranks = session_.size();
    std::vector<std::size_t> end(static_cast<std::size_t>(ranks) + 1);
    for (const Edge& edge : edges)
        ++end[static_cast<std::size_t>(partition_.owner(edge.target)) + 1];
    for (std::size_t rank = 1; rank < end.size(); ++rank) end[rank] += end[rank - 1];
    by_owner_.resize(edges.size());
    std::vector<std::size_t> next(end.begin(), end.end() - 1);
    for (const Edge& edge : edges)
        by_owner_[next[static_cast<std::size_t>(partition_.owner(edge.target))]++] = edge;
    edges = {};
    const auto part = [&](int rank) {
        const auto at = static_cast<std::size_t>(rank);
        return std::span<const Edge>(by_owner_).subspan(end[at], end[at + 1] - end[at]);
    };
    // Each rank starts with its successor, so that not all write to the same home at once.
    for (int step = 1; step < ranks; ++step) {
        const int owner = (session_.rank() + step) % ranks;
        send_to(owner, part(owner));
    }
    session_.barrier();
    parts_.push_back(part(session_.rank()));
    for (int sender = 0; sender < ranks; ++sender)
        if (sender != session_.rank()) receive_from(sender);
}

void EdgeExchange::send_to(int owner, std::span<const Edge> edges) {
    for (std::size_t number = 0; !edges.empty(); ++number) {
        const auto now = edges.first(std::min(edges_per_chunk, edges.size()));
        auto guard = value_or_throw(set_.grab_new(chunk(owner, session_.rank(), number)));
        value_or_throw(guard.resize(now.size_bytes()));
        std::memcpy(guard.writable().data(), now.data(), now.size_bytes());
        value_or_throw(guard.put());
        edges = edges.subspan(now.size());
    }
}

void EdgeExchange::receive_from(int sender) {
    // A chunk that nobody wrote is born empty: it ends the sequence.
    for (std::size_t number = 0;; ++number) {
        auto guard = value_or_throw(set_.get(chunk(session_.rank(), sender, number)));
        const auto bytes = guard.bytes();
        if (bytes.empty()) return;
        parts_.emplace_back(reinterpret_cast<const Edge*>(bytes.data()),
                            bytes.size() / sizeof(Edge));
        guards_.push_back(std::move(guard));
    }
}

void EdgeExchange::close() {
    parts_.clear();
    guards_.clear();
    by_owner_ = {};
    session_.barrier();
    if (session_.rank() == 0) value_or_throw(session_.destroy(name_));
}

}  // namespace pagerank
