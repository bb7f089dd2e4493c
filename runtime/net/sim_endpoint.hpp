// SPDX-License-Identifier: BSD-3-Clause
// One node's end of a SimNetwork, and a message under way. Private to runtime/net.
#pragma once

#include <cstring>
#include <vector>

#include "get_pieces.hpp"
#include "ssi/net/sim.hpp"

namespace ssi::net {

// A get under way, or on its way back to who asked.
struct SimGet {
    Get* get;
    GetPieces pieces;
    Errc outcome = Errc::ok;
    bool stuck = false;       // the other node is dead
};

// Header and payload follow the structure. Linked into the network's list of all messages.
struct SimMessage {
    enum class Stage : std::uint8_t {
        leaving,    // still in the sender's memory: copied and released by the sender's next poll
        travelling,
        landing,    // large: on_large gave memory, the bytes are on their way
        failed,     // large: the sender died, on_large_failed is due
        getting,    // not a message: a get, `from` the node that is read
    };
    SimMessage* previous = nullptr;
    SimMessage* next = nullptr;
    SimMessage* inbox_next = nullptr;
    NodeId from;
    NodeId to;
    sys::Causality cause;
    Stage stage = Stage::travelling;
    std::uint32_t header_bytes = 0;
    std::size_t payload_bytes = 0;
    Payload source;                     // Stage::leaving
    std::byte* destination = nullptr;   // Stage::landing
    SimGet* get = nullptr;              // Stage::getting; owned

    std::byte* bytes() { return reinterpret_cast<std::byte*>(this + 1); }
    const std::byte* bytes() const { return reinterpret_cast<const std::byte*>(this + 1); }
    std::span<const std::byte> header() const { return {bytes(), header_bytes}; }
    std::span<std::byte> payload() { return {bytes() + header_bytes, payload_bytes}; }
    bool large() const { return payload_bytes > max_copied_payload; }
};

class SimEndpoint final : public Transport {
public:
    SimEndpoint(SimNetwork& network, NodeId self, sys::FiberGroup group)
        : network_(network), self_(self), group_(group) {}

    NodeId self() const override { return self_; }
    void set_receiver(Receiver* receiver) override { receiver_ = receiver; }
    Result<void> send(NodeId to, std::span<const std::byte> header,
                      const Payload& payload) override;
    GetSupport get_support(NodeId) override { return GetSupport::native; }
    void get(Get& get) override;
    void show(const ShownMemory* memory) override { shown_ = memory; }
    bool poll() override { return false; }
    void forget(NodeId peer) override;
    int event_fd() const override { return -1; }
    bool arm() override { return true; }
    std::uint64_t poll_count() const override { return handled_; }

    void enqueue(SimMessage* message);
    bool dead() const { return dead_; }
    void kill();

private:
    friend class SimNetwork;
    void finish_get(SimMessage* message);
    void forget_gets(NodeId peer);
    void handle_inbox();
    void handle(SimMessage* message);
    void let_leave(SimMessage* message);
    void land(SimMessage* message);
    bool forgotten(NodeId peer) const;

    SimNetwork& network_;
    NodeId self_;
    sys::FiberGroup group_;
    Receiver* receiver_ = nullptr;
    SimMessage* inbox_first_ = nullptr;
    SimMessage* inbox_last_ = nullptr;
    bool handling_ = false;
    bool dead_ = false;
    std::uint64_t handled_ = 0;
    std::vector<NodeId> forgotten_;
    std::vector<SimMessage*> landing_;
    std::vector<SimMessage*> gets_;          // by this node
    const ShownMemory* shown_ = nullptr;
};

}  // namespace ssi::net
