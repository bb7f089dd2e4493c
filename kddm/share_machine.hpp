// SPDX-License-Identifier: BSD-3-Clause
// ShareMachine: a shared mutex. The home grants *holds* to nodes, first come, first served, all
// leading readers at once; a node keeps its hold when its tasks are done and serves them from it
// until the home revokes it. Every hold has a number, because a revocation may overtake the grant
// that it is for.
#pragma once

#include <map>

#include "sync_machine.hpp"

namespace ssi::kddm::sync {

class ShareMachine final : public Machine {
public:
    explicit ShareMachine(const Place& place) : Machine(place) {}

    void lock(Waiter& w, Outbox& out);
    void unlock(std::uint64_t task, bool exclusive, Outbox& out);
    void withdraw(Waiter& w, Outbox& out);
    bool holds(std::uint64_t task) const { return writer_ == task || reads(task); }
    bool reads(std::uint64_t task) const {
        return std::find(readers_.begin(), readers_.end(), task) != readers_.end();
    }
    bool writes(std::uint64_t task) const { return writer_ == task; }
    bool held() const override { return writer_ != 0 || !readers_.empty(); }

    void receive(NodeId from, const Message& m, std::span<const std::byte> payload,
                 Outbox& out) override;

private:
    enum class Mode : std::uint8_t { none, shared, exclusive };
    struct Hold {
        NodeId node;
        Mode mode;
        std::uint64_t number;
        bool revoked;
    };
    struct Request {
        NodeId node;
        Mode mode;
        bool upgrade;     // may come while the node has a hold
        bool try_only;
        bool looked_at;   // it has been first in the queue
    };

    void on_lost(NodeId node, Outbox& out) override;
    bool servable(const Waiter& w) const;
    void advance(Outbox& out);
    void ask(const Waiter& w, Outbox& out);
    void let_go(Outbox& out);
    void granted(const Message& m, Outbox& out);
    void give_up(NodeId fault, Outbox& out);
    void serve(Outbox& out);
    bool blocked(Request& r, Outbox& out);
    void tell_busy(NodeId node, Outbox& out) const;
    void request(NodeId from, const Message& m, Outbox& out);
    void revoke(const Message& m, Outbox& out);
    void released(NodeId from, const Message& m, Outbox& out);

    // Client.
    Mode mode_ = Mode::none;         // of this node's hold
    Mode asked_ = Mode::none;
    std::uint64_t number_ = 0;
    bool revoking_ = false;
    Mode revoked_to_ = Mode::none;
    std::size_t quota_ = 0;          // waiting tasks that the revoked hold still serves
    std::map<std::uint64_t, Mode> early_;   // revocations of holds to come
    std::uint64_t writer_ = 0;       // task
    boost::container::small_vector<std::uint64_t, 4> readers_;
    WaiterList queue_;
    bool broken_ = false;
    NodeId fault_ = no_node;

    // Home.
    std::vector<Hold> holds_;
    std::vector<Request> requests_;
    std::uint64_t last_number_ = 0;
};

}  // namespace ssi::kddm::sync
