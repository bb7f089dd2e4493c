// SPDX-License-Identifier: BSD-3-Clause
// Votes: how the nodes that save a version come to one end: the first hears how it went everywhere,
// decides, and all hear that. By objects of a set and a barrier, so that it needs no task but the
// one that saves, beside whatever else the session does.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "collect.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/sync.hpp"

namespace ssi::ckpt {

class Votes {
public:
    // Not collective; all nodes make one before any votes. Those of one name are of one vote.
    static Result<std::unique_ptr<Votes>> make(node::Node& node, kddm::Engine& engine,
                                               kddm::sync::Hub& hub,
                                               std::string_view name = "ssi.checkpoint.votes");

    // By one task of each node at a time. `decide` runs on the first node, with what each has
    // given, by rank; all get what it returns. peer_lost.
    using Decide = std::function<Bytes(std::vector<Bytes> given)>;
    Result<Bytes> vote(std::span<const std::byte> mine, const Decide& decide);

private:
    Votes(node::Node& node, kddm::RawSet set, kddm::sync::Object& barrier)
        : node_(node), set_(set), barrier_(barrier) {}
    Result<void> put(ObjectId id, std::span<const std::byte> bytes);
    Result<std::vector<Bytes>> given();
    Result<void> put_decision(const Decide& decide);

    node::Node& node_;
    kddm::RawSet set_;
    kddm::sync::Object& barrier_;
    std::uint64_t vote_ = 0;             // how many there were, with this one
};

}  // namespace ssi::ckpt
