// SPDX-License-Identifier: BSD-3-Clause
// World: N nodes of libssi as they ship, in one process: each with its Node and Engine, over the
// simulated doors. Owns them all; one thread. Built node by node, then set up on fibers.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "catalog.hpp"
#include "coherence.hpp"
#include "options.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/log.hpp"
#include "ssi/base/stats.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/sync.hpp"
#include "ssi/net/sim.hpp"
#include "ssi/node/node.hpp"
#include "ssi/sys/fiber.hpp"
#include "trace.hpp"
#include "verdict.hpp"

namespace ssi::model {

class World final : public Nodes {
public:
    World(const Options& options, std::uint64_t seed, const Catalog& catalog);
    ~World() override;
    World(const World&) = delete;
    World& operator=(const World&) = delete;

    // Opens the catalogue's sets on every node. `prepare` runs for each engine before.
    void open_sets(const std::function<void(std::uint32_t node, kddm::Engine&)>& prepare);
    // Runs until nothing is left to do, or a checker has failed.
    void run();
    // Takes the nodes down, on fibers, so that what they hold is freed. Not after a failure.
    void close();

    // The node stops; after a while every survivor is told.
    void kill(std::uint32_t node, Nanoseconds detection);
    // All nodes stay as they are, for ever.
    void abandon();
    // A fiber of the node, now.
    void on_node(std::uint32_t node, std::function<void()> body);

    node::Node& node(std::uint32_t node) { return *nodes_[node].node; }
    kddm::Engine& engine(std::uint32_t node) { return *nodes_[node].engine; }
    kddm::sync::Hub& hub(std::uint32_t node) { return *nodes_[node].hub; }
    kddm::RawSet& set_at(std::uint32_t node, std::uint32_t object) {
        return nodes_[node].sets[catalog_.set_of(object)];
    }
    std::vector<kddm::RawSet>& sets_at(std::uint32_t node) { return nodes_[node].sets; }
    SetId set_id(std::uint32_t set) const { return set_ids_[set]; }

    // Nodes
    std::uint32_t node_count() const override { return static_cast<std::uint32_t>(nodes_.size()); }
    bool settled(std::uint32_t node) const override;
    bool alive(std::uint32_t node) const override { return !nodes_[node].dead; }
    kddm::Inspection inspect(std::uint32_t node, std::uint32_t object) const override;
    std::uint32_t home_of(std::uint32_t object) const override;
    NodeId id_of(std::uint32_t node) const override { return ids_[node]; }
    std::uint32_t index_of(NodeId node) const override;

    sys::FiberScheduler scheduler;
    sys::SimClock clock{scheduler};
    sys::FiberWaiter waiter{scheduler};
    sys::FiberTasks tasks{scheduler};
    Verdict verdict{scheduler};
    Trace trace;
    Coherence coherence;
    net::SimNetwork network;
    std::uint64_t error_lines = 0;
    std::string first_error_line;
    // Something ended; without that for 20 s of virtual time the world makes no progress.
    void progressed() { last_progress_ = scheduler.now(); }
    // Called with every message that is sent; set by the workload.
    std::function<void(const net::SimNetwork::Record&)> on_message;

private:
    struct SimNode {
        std::unique_ptr<Log> log;
        std::unique_ptr<Stats> stats;
        std::unique_ptr<node::Node> node;
        std::unique_ptr<kddm::Engine> engine;
        std::unique_ptr<kddm::sync::Hub> hub;
        std::vector<kddm::RawSet> sets;
        bool dead = false;
    };
    void after_step();
    void make_membership(std::uint64_t seed);
    void make_node(std::uint32_t index, const Options& from, std::uint64_t seed);
    void on_log(LogLevel level, std::string_view line);
    void open_sets_here(std::uint32_t index);

    const Catalog& catalog_;
    Config config_;
    Config rma_config_;                // of nodes that read by the network
    std::shared_ptr<const node::Membership> membership_;
    std::vector<NodeId> ids_;
    std::vector<SetId> set_ids_;
    std::vector<SimNode> nodes_;
    bool killed_ = false;
    Nanoseconds last_progress_ = 0;
};

}  // namespace ssi::model
