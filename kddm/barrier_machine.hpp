// SPDX-License-Identifier: BSD-3-Clause
// BarrierMachine: a named barrier. The home counts arrivals; when all participants have come it
// tells every node which of its tasks may go on. There are no generations on the wire: a task
// arrives again only after it was let go, so the next arrival counts for the next time.
#pragma once

#include "sync_machine.hpp"

namespace ssi::kddm::sync {

class BarrierMachine final : public Machine {
public:
    explicit BarrierMachine(const Place& place) : Machine(place) {}

    void arrive(Waiter& w, Outbox& out);

    void receive(NodeId from, const Message& m, std::span<const std::byte> payload,
                 Outbox& out) override;

    std::uint32_t participants = 0;   // as this node opened it

private:
    struct Arrival {
        NodeId node;
        std::uint64_t txn;
    };
    void on_lost(NodeId node, Outbox& out) override;
    void arrived(NodeId from, const Message& m, Outbox& out);
    void release(std::vector<Arrival> arrivals, Errc outcome, NodeId fault, Outbox& out);
    void give_up(NodeId fault, Outbox& out);

    WaiterList waiting_;

    // Home.
    std::uint32_t expected_ = 0;      // participants, as the first to arrive said
    std::vector<Arrival> arrivals_;
};

// ConditionMachine: a condition variable: a queue at the home. A task unlocks its mutex only when
// the home has confirmed that it waits, so no notification passes it by.
class ConditionMachine final : public Machine {
public:
    explicit ConditionMachine(const Place& place) : Machine(place) {}

    // `registered` is finished when the task is in the queue, `woken` later; they share a number.
    void wait(Waiter& registered, Waiter& woken, Outbox& out);
    // `woken` is answered all the same: by timed_out, or by a notification that came first.
    void withdraw(const Waiter& woken, Outbox& out);
    bool notify(std::uint32_t count, Outbox& out);   // false when the home is dead

    void receive(NodeId from, const Message& m, std::span<const std::byte> payload,
                 Outbox& out) override;

private:
    struct Waiting {
        NodeId node;
        std::uint64_t txn;
    };
    void on_lost(NodeId node, Outbox& out) override;
    void enqueue(NodeId from, std::uint64_t txn, Outbox& out);
    void wake(const Waiting& waiting, Errc outcome, Outbox& out);
    void wake_some(std::uint32_t count, Outbox& out);

    WaiterList registering_;
    WaiterList waiting_;

    // Home.
    std::vector<Waiting> queue_;
};

}  // namespace ssi::kddm::sync
