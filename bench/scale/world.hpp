// SPDX-License-Identifier: BSD-3-Clause
// World: N simulated nodes running the shipped runtime and kddm on fibers, without faults, in an
// order that does not depend on a seed: for counting messages and delays, not for finding bugs (the
// model tests do that). One thread; nothing here is thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ssi/base/config.hpp"
#include "ssi/base/log.hpp"
#include "ssi/base/stats.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/sync.hpp"
#include "ssi/net/sim.hpp"
#include "ssi/node/node.hpp"
#include "ssi/sys/fiber.hpp"

namespace ssi::bench {

// A message of an operation.
struct Hop {
    NodeId from, to;
    std::uint32_t delays = 0;   // of the chain that ends with it
    std::string name;
};

// Messages with their receivers: "get_request to 3, data to 5". The caller is "us".
std::string text_of(const std::vector<Hop>& chain);

// What one operation took. `delays`: messages on the longest chain that its caller waited for;
// `messages` counts those off the critical path too.
struct Cost {
    double delays = 0;
    double messages = 0;
    double bytes = 0;
    double gets = 0;            // one-sided reads: no messages, but their time passes
    double virtual_ns = 0;
    std::vector<Hop> chain;     // of run(): the longest that the caller waited for
};

class World {
public:
    explicit World(std::uint32_t nodes);
    ~World();

    std::uint32_t size() const { return size_; }
    node::Node& node(std::uint32_t n) { return *machines_[n]->node; }
    kddm::Engine& engine(std::uint32_t n) { return *machines_[n]->engine; }
    kddm::sync::Hub& hub(std::uint32_t n) { return *machines_[n]->hub; }
    const node::Membership& membership() const { return *membership_; }
    std::size_t membership_bytes() const;

    // From now on nodes have tasks that wake by themselves for ever: a run ends when it has ended
    // and no message has moved for `quiet`. Of what wakes later nothing is counted.
    void expect_tasks_that_stay(Nanoseconds quiet) { quiet_ = quiet; }
    // Takes the nodes down, on fibers, as their tasks are joined. Their sets are gone before.
    void close();

    // Runs the operation as a task of node `n` until nothing moves any more.
    Cost run(std::uint32_t n, const std::function<void()>& operation);
    // Called by the operation of run(): the cost counts from here.
    void count_from_here();
    // The same on all nodes at once; delays is the longest of all.
    Cost run_all(const std::function<void(std::uint32_t n)>& operation);

private:
    struct Machine {
        Stats stats;
        std::unique_ptr<node::Node> node;
        std::unique_ptr<kddm::Engine> engine;
        std::unique_ptr<kddm::sync::Hub> hub;
    };
    struct Mark {
        net::SimNetwork::Usage usage;
        Nanoseconds time = 0;
    };
    void mark();
    void settle(const std::function<bool()>& ended);
    void watch_quiet(const std::function<bool()>& ended);
    Cost cost_since_mark() const;
    void record_hops();
    std::vector<Hop> longest_chain(NodeId caller, std::uint32_t delays) const;

    std::uint32_t size_;
    Config config_;
    Log log_;
    sys::FiberScheduler scheduler_;
    net::SimNetwork network_;
    sys::SimClock clock_;
    sys::FiberWaiter waiter_;
    sys::FiberTasks tasks_;
    std::shared_ptr<const node::Membership> membership_;
    std::vector<std::unique_ptr<Machine>> machines_;
    Nanoseconds quiet_ = 0;          // 0: runs end when nothing is left to do
    Mark mark_;
    std::vector<Hop> hops_;          // since the mark
};

}  // namespace ssi::bench
