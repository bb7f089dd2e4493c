// SPDX-License-Identifier: BSD-3-Clause
// ChannelMachine: a bounded stream of messages, many producers and consumers. The queue lives at
// the home. A producer's node may hold *credits*, room that the home has reserved for it, and then
// sends without waiting for an answer; without credits a message is *parked* at the home until
// there is room, and its sender waits. What arrives while a consumer waits goes to it directly.
// Credits that idle nodes hold are called back when others need the room. Every node numbers what
// it sends, so that the order of one sender survives a network that has none.
#pragma once

#include <deque>
#include <map>

#include "channel_state.hpp"
#include "sync_machine.hpp"

namespace ssi::kddm::sync {

class ChannelMachine final : public Machine {
public:
    explicit ChannelMachine(const Place& place) : Machine(place) {}

    void open(Waiter& w, std::uint32_t capacity, std::uint64_t type, Outbox& out);
    void close(Waiter& w, Outbox& out);
    // `messages` as append_message packs them, `count` of them.
    void put(Waiter& w, std::uint32_t count, Bytes messages, Outbox& out);
    void take(Waiter& w, std::uint32_t most, Outbox& out);
    // Answered as soon as a take would find something, or the end, or a failure.
    void watch(Waiter& w, Outbox& out);
    // Forgets a watch whose answer nobody needs.
    void unwatch(Waiter& w, Outbox& out);
    // Of a put, take or watch; it is answered all the same.
    void withdraw(const Waiter& w, Outbox& out);

    void receive(NodeId from, const Message& m, std::span<const std::byte> payload,
                 Outbox& out) override;
    const ChannelState& state() const { return state_; }   // at the home
    void put_in(ChannelState&& state) { state_ = std::move(state); }   // before anybody uses it

private:
    struct Put {
        std::uint64_t txn = 0;
        std::uint16_t flags = 0;
        std::vector<Bytes> messages;
    };
    struct Producer {
        std::uint64_t next = 1;              // sequence number of its next put
        std::map<std::uint64_t, Put> early;  // puts that overtook others
        std::uint32_t credits = 0;           // reserved for it, put or not yet put
        std::uint64_t granted = 0;           // credits, ever
        bool reclaiming = false;
    };
    struct Parked {
        NodeId node;
        Put put;
        std::uint32_t accepted = 0;          // of its messages
    };
    struct Asker {
        NodeId node;
        std::uint64_t txn;
        std::uint32_t most;
    };

    void on_lost(NodeId node, Outbox& out) override;
    void ask(Waiter& w, Message m, Outbox& out, Bytes payload = {});
    void answered(const Message& m, std::span<const std::byte> payload, Outbox& out);
    void reclaimed(std::uint64_t limit, Outbox& out);

    // -- channel_home.cpp
    std::uint32_t room() const;
    void home_open(NodeId from, const Message& m, Outbox& out);
    void home_put(NodeId from, const Message& m, std::span<const std::byte> payload, Outbox& out);
    void home_take(NodeId from, const Message& m, Outbox& out);
    void home_withdraw(NodeId from, const Message& m, Outbox& out);
    void home_watch(NodeId from, const Message& m, Outbox& out);
    void home_close(NodeId from, const Message& m, Outbox& out);
    void home_give_back(NodeId from, std::uint32_t count, Outbox& out);
    void home_lost(NodeId node, Outbox& out);
    void accept(NodeId from, Producer& producer, Put put, Outbox& out);
    void deliver(Bytes message, Outbox& out);
    void serve_parked(Outbox& out);
    void reclaim(Outbox& out);
    std::uint32_t grant(NodeId node, Producer& producer);
    void replenish(Outbox& out);
    bool ended() const;
    void tell_end(Outbox& out);
    void tell_watchers(Outbox& out);
    void answer(NodeId to, std::uint64_t txn, Errc code, std::uint32_t count, Outbox& out,
                Bytes messages = {}) const;
    void answer_put(const Parked& parked, Errc code, Outbox& out);

    // Client.
    WaiterList waiting_;
    std::uint64_t last_put_ = 0;
    std::uint32_t credits_ = 0;
    std::uint64_t credited_ = 0;        // credits received, ever
    std::uint64_t reclaim_limit_ = 0;   // of a reclaim that overtook credits; 0: none

    // Home.
    ChannelState state_;
    std::map<NodeId, Producer> producers_;
    std::uint32_t reserved_ = 0;        // sum of their credits
    std::deque<Parked> parked_;
    std::deque<Asker> takers_;          // empty unless the queue is
    std::vector<Asker> watchers_;
};

}  // namespace ssi::kddm::sync
