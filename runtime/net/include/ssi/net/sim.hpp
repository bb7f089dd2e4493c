// SPDX-License-Identifier: BSD-3-Clause
// SimNetwork: the simulated twin of Transport. All nodes of a world in one process, on the fibers
// of one FiberScheduler, in virtual time; latency and faults come from a seed.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "ssi/base/random.hpp"
#include "ssi/net/transport.hpp"
#include "ssi/sys/fiber.hpp"

namespace ssi::net {

class SimEndpoint;   // one node's Transport
struct SimMessage;   // a message under way; owned by the network

// Owns the endpoints and every message under way. Not thread-safe: belongs to its scheduler's
// thread. Invariants: handlers of one node run one at a time, on a fiber of the node's group, and
// may be preempted; a message to or from a dead node is dropped sooner or later, never delivered
// to it; memory is proportional to nodes plus messages under way.
class SimNetwork {
public:
    struct Options {
        std::uint64_t seed = 1;
        Nanoseconds latency = 1000;      // one way, of a small message without faults
        Nanoseconds per_kib = 80;        // added for each KiB
        bool delay = false;              // 1 message in 16 takes up to 2000 times as long
        bool reorder = false;            // each takes up to 5 times as long: most pairs overtake
        bool duplicate = false;          // 1 in 32 arrives again, up to 2000 latencies later
    };
    enum class Happening : std::uint8_t { sent, delivered, duplicated, dropped };
    struct Record {
        Happening what;
        NodeId from;
        NodeId to;
        std::span<const std::byte> header;
        std::size_t payload_bytes;
        sys::Causality cause;
    };
    using Observer = std::function<void(const Record&)>;

    SimNetwork(sys::FiberScheduler& scheduler, Options options);
    ~SimNetwork();
    SimNetwork(const SimNetwork&) = delete;
    SimNetwork& operator=(const SimNetwork&) = delete;

    // The node's transport; made at the first call. `group` is the fiber group of the node's code.
    Transport& endpoint(NodeId node, sys::FiberGroup group);
    // The node stops at once, in the middle of whatever it does. Its messages under way arrive or
    // not. Nobody is told: detection is the caller's.
    void kill(NodeId node);
    bool dead(NodeId node) const;
    // Suspends the long delays of Options::delay, for phases that measure waiting.
    void set_delays(bool on) { delays_ = on; }

    // Sees every message; called on whatever stack it happens. Must not block.
    void set_observer(Observer observer) { observer_ = std::move(observer); }

    struct Usage {
        std::uint64_t messages = 0;      // sent, without the duplicates the network made
        std::uint64_t bytes = 0;         // headers and payloads of these
        std::uint64_t duplicates = 0;
        std::uint64_t dropped = 0;
        std::uint64_t under_way = 0;     // now
        std::uint64_t gets = 0;          // one-sided reads of memory
    };
    const Usage& usage() const { return usage_; }

private:
    friend class SimEndpoint;
    SimEndpoint* find(NodeId node) const;
    SimMessage* make(NodeId from, NodeId to, std::span<const std::byte> header,
                     const Payload& payload, bool is_get = false);
    SimMessage* copy(const SimMessage& message);
    void destroy(SimMessage* message);
    void drop(SimMessage* message);
    void launch(SimMessage* message);
    void deliver_at(Nanoseconds when, SimMessage* message);
    void start_get(NodeId reader, Get& get);
    static void advance_get(void* network, std::uint64_t message);
    Nanoseconds pause_in_get(bool last);
    static void arrive(void* network, std::uint64_t message);
    Nanoseconds transit(std::size_t bytes);
    void observe(Happening what, const SimMessage& message);

    sys::FiberScheduler& scheduler_;
    Options options_;
    Random random_;
    bool delays_ = true;
    Observer observer_;
    std::vector<std::unique_ptr<SimEndpoint>> endpoints_;  // by NodeId value
    SimMessage* first_ = nullptr;                          // all messages under way
    Usage usage_;
};

}  // namespace ssi::net
