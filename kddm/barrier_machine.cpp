// SPDX-License-Identifier: BSD-3-Clause
#include "barrier_machine.hpp"

namespace ssi::kddm::sync {

void BarrierMachine::arrive(Waiter& w, Outbox& out) {
    // The dead may have been one of the participants, so nobody may wait any more.
    if (any_dead()) return out.finish(w, Errc::peer_lost, first_dead());
    waiting_.push(w);
    Message m = message(Op::barrier_arrive, w.txn);
    m.value = participants;
    send(out, place_.home, m);
}

void BarrierMachine::receive(NodeId from, const Message& m, std::span<const std::byte> payload,
                             Outbox& out) {
    if (m.op() == Op::barrier_arrive) return arrived(from, m, out);
    auto let_go = [&](std::uint64_t txn) {
        Waiter* w = waiting_.take_txn(txn);
        if (!w) return;
        w->value = m.value;
        out.finish(*w, static_cast<Errc>(m.code), NodeId(m.node));
    };
    let_go(m.txn);
    for (; payload.size() >= sizeof(std::uint64_t); payload = payload.subspan(8)) {
        std::uint64_t txn;
        std::memcpy(&txn, payload.data(), sizeof txn);
        let_go(txn);
    }
}

void BarrierMachine::arrived(NodeId from, const Message& m, Outbox& out) {
    if (any_dead()) return release({{from, m.txn}}, Errc::peer_lost, first_dead(), out);
    if (expected_ == 0) expected_ = static_cast<std::uint32_t>(m.value);
    if (expected_ != m.value) return release({{from, m.txn}}, Errc::mismatch, no_node, out);
    arrivals_.push_back({from, m.txn});
    const std::uint32_t missing = planted(Plant::early_barrier) && expected_ > 1 ? 1 : 0;
    if (arrivals_.size() + missing < expected_) return;
    release(std::exchange(arrivals_, {}), Errc::ok, no_node, out);
}

// One message a node: its first transaction in the header, the others behind it.
void BarrierMachine::release(std::vector<Arrival> arrivals, Errc outcome, NodeId fault,
                             Outbox& out) {
    std::stable_sort(arrivals.begin(), arrivals.end(),
                     [](const Arrival& a, const Arrival& b) { return a.node < b.node; });
    for (std::size_t i = 0; i < arrivals.size();) {
        Message m = message(Op::barrier_release, arrivals[i].txn);
        m.code = static_cast<std::uint32_t>(outcome);
        m.node = fault.value;
        m.value = expected_;
        const NodeId to = arrivals[i].node;
        std::vector<std::byte> others;
        for (++i; i < arrivals.size() && arrivals[i].node == to; ++i) {
            const auto* first = reinterpret_cast<const std::byte*>(&arrivals[i].txn);
            others.insert(others.end(), first, first + sizeof arrivals[i].txn);
        }
        send(out, to, m, std::move(others));
    }
}

void BarrierMachine::on_lost(NodeId node, Outbox& out) {
    if (node == place_.home)
        while (Waiter* w = waiting_.pop()) out.finish(*w, Errc::peer_lost, node);
    std::erase_if(arrivals_, [&](const Arrival& a) { return a.node == node; });
    release(std::exchange(arrivals_, {}), Errc::peer_lost, node, out);
}

void ConditionMachine::wait(Waiter& registered, Waiter& woken, Outbox& out) {
    if (any_dead()) return out.finish(registered, Errc::peer_lost, first_dead());
    registering_.push(registered);
    waiting_.push(woken);
    send(out, place_.home, message(Op::cond_wait, woken.txn));
}

void ConditionMachine::withdraw(const Waiter& woken, Outbox& out) {
    if (!woken.done) send(out, place_.home, message(Op::cond_withdraw, woken.txn));
}

bool ConditionMachine::notify(std::uint32_t count, Outbox& out) {
    if (is_dead(place_.home)) return false;
    Message m = message(Op::cond_notify);
    m.count = count;
    send(out, place_.home, m);
    return true;
}

void ConditionMachine::enqueue(NodeId from, std::uint64_t txn, Outbox& out) {
    Message m = message(Op::cond_registered, txn);
    if (any_dead()) {
        m.code = static_cast<std::uint32_t>(Errc::peer_lost);
        m.node = first_dead().value;
    } else {
        queue_.push_back({from, txn});
    }
    send(out, from, m);
}

void ConditionMachine::wake(const Waiting& waiting, Errc outcome, Outbox& out) {
    Message m = message(Op::cond_wake, waiting.txn);
    m.code = static_cast<std::uint32_t>(outcome);
    m.node = first_dead().value;
    send(out, waiting.node, m);
}

void ConditionMachine::wake_some(std::uint32_t count, Outbox& out) {
    const std::size_t some = std::min<std::size_t>(count, queue_.size());
    for (std::size_t i = planted(Plant::lost_wakeup) && some > 0 ? 1 : 0; i < some; ++i)
        wake(queue_[i], Errc::ok, out);
    queue_.erase(queue_.begin(), queue_.begin() + static_cast<std::ptrdiff_t>(some));
}

void ConditionMachine::receive(NodeId from, const Message& m, std::span<const std::byte>,
                               Outbox& out) {
    switch (m.op()) {
        case Op::cond_wait: return enqueue(from, m.txn, out);
        case Op::cond_notify: return wake_some(m.count, out);
        case Op::cond_withdraw: {
            const auto at = std::find_if(queue_.begin(), queue_.end(), [&](const Waiting& w) {
                return w.node == from && w.txn == m.txn;
            });
            if (at == queue_.end()) return;   // a notification is on its way to it
            wake(*at, Errc::timed_out, out);
            queue_.erase(at);
            return;
        }
        case Op::cond_registered: {
            Waiter* registered = registering_.take_txn(m.txn);
            if (!registered) return;
            // A refused task is not woken: it has not gone to sleep.
            if (m.code != 0) (void)waiting_.take_txn(m.txn);
            return out.finish(*registered, static_cast<Errc>(m.code), NodeId(m.node));
        }
        default: {
            Waiter* woken = waiting_.take_txn(m.txn);
            if (woken) out.finish(*woken, static_cast<Errc>(m.code), NodeId(m.node));
        }
    }
}

// Whoever would have notified may be dead.
void ConditionMachine::on_lost(NodeId node, Outbox& out) {
    if (node == place_.home) {
        while (Waiter* w = registering_.pop()) {
            (void)waiting_.take_txn(w->txn);
            out.finish(*w, Errc::peer_lost, node);
        }
        while (Waiter* w = waiting_.pop()) out.finish(*w, Errc::peer_lost, node);
    }
    std::erase_if(queue_, [&](const Waiting& w) { return w.node == node; });
    for (const Waiting& waiting : std::exchange(queue_, {}))
        wake(waiting, Errc::peer_lost, out);
}

}  // namespace ssi::kddm::sync
