// SPDX-License-Identifier: BSD-3-Clause
// Coherence: what the nodes' state machines say about each other. Single writer or many readers;
// whoever can read is known to the directory. Objects touched by a step are looked at as soon as
// the node they were touched on is not in the middle of something; everything is looked at every
// so many steps and at the end.
#pragma once

#include <cstdint>
#include <vector>

#include "catalog.hpp"
#include "ssi/base/random.hpp"
#include "ssi/kddm/engine.hpp"
#include "verdict.hpp"

namespace ssi::model {

// What Coherence asks of the world.
class Nodes {
public:
    virtual ~Nodes() = default;
    virtual std::uint32_t node_count() const = 0;
    // Its engine may be inspected now: alive, and no fiber of it may hold a lock.
    virtual bool settled(std::uint32_t node) const = 0;
    virtual bool alive(std::uint32_t node) const = 0;
    virtual kddm::Inspection inspect(std::uint32_t node, std::uint32_t object) const = 0;
    virtual std::uint32_t home_of(std::uint32_t object) const = 0;
    virtual NodeId id_of(std::uint32_t node) const = 0;
    virtual std::uint32_t index_of(NodeId node) const = 0;
};

class Coherence {
public:
    Coherence(const Nodes& nodes, const Catalog& catalog, Verdict& verdict, std::uint64_t seed);

    // From Engine::Options::on_step, under a shard lock: only takes note.
    void touched(std::uint32_t node, std::uint32_t object);
    // From the scheduler's stack, between fibers.
    void look();
    // At the end, when nothing is under way: all objects on all nodes, and no transition left.
    void look_at_rest();

    // Nodes that last had the object, ascending.
    const std::vector<std::uint32_t>& holders(std::uint32_t object) const {
        return holders_[object];
    }
    std::uint64_t looks() const { return looks_; }

private:
    struct Touched {
        std::uint32_t node;
        std::uint32_t object;
    };
    bool look_at(std::uint32_t node, std::uint32_t object);
    void check_others(std::uint32_t node, std::uint32_t object, bool writes);
    bool check_directory(std::uint32_t node, std::uint32_t object, const kddm::Inspection& seen);
    void note_holder(std::uint32_t node, std::uint32_t object, bool holds);
    void sweep();
    void check_rest(std::uint32_t node, std::uint32_t object);

    const Nodes& nodes_;
    const Catalog& catalog_;
    Verdict& verdict_;
    Random random_;
    std::vector<Touched> touched_;
    std::vector<Touched> later_;
    std::vector<std::vector<std::uint32_t>> holders_;
    std::uint64_t looks_ = 0;
    std::uint64_t next_sweep_;
};

}  // namespace ssi::model
