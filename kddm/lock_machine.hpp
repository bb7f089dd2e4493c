// SPDX-License-Identifier: BSD-3-Clause
// LockMachine: a mutex. Its token is born at the home. The home knows who asked last and tells it
// to pass the token on to whoever asks next (MCS, with nodes in place of processors), so a
// contended lock changes hands by one message, and a node that nobody disturbs locks without any.
// A node whose successor is known serves only the tasks that were waiting when it heard of it.
#pragma once

#include "sync_machine.hpp"

namespace ssi::kddm::sync {

class LockMachine final : public Machine {
public:
    explicit LockMachine(const Place& place);

    void lock(Waiter& w, Outbox& out);
    void unlock(Outbox& out);
    // The task gives up waiting; it is still in the queue.
    void withdraw(Waiter& w, Outbox& out);
    std::uint64_t holder() const { return locked_ ? holder_ : 0; }  // task
    bool held() const override { return locked_; }

    void receive(NodeId from, const Message& m, std::span<const std::byte> payload,
                 Outbox& out) override;

private:
    void on_lost(NodeId node, Outbox& out) override;
    void request(NodeId from, bool try_only, Outbox& out);
    void next_is(NodeId next, bool try_only, Outbox& out);
    void advance(Outbox& out);
    void ask(bool try_only, Outbox& out);
    void pass_on(Outbox& out);
    void grant(Waiter& w, Outbox& out);
    void give_up(NodeId fault, Outbox& out);

    // Client. The token is here, asked for, or neither.
    bool here_ = false;
    bool asked_ = false;
    bool locked_ = false;
    bool broken_ = false;
    std::uint64_t holder_ = 0;
    NodeId fault_ = no_node;
    NodeId next_ = no_node;         // who gets the token after this node
    std::size_t quota_ = 0;         // waiting tasks that are still served before `next_`
    WaiterList queue_;

    // Home. Nodes in the order of their requests, from the last that certainly gave the token
    // away; each at most once. The last is told who comes next.
    std::vector<NodeId> chain_;
};

}  // namespace ssi::kddm::sync
