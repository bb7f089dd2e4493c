// SPDX-License-Identifier: BSD-3-Clause
#include "lock_machine.hpp"

#include "ssi/base/assert.hpp"

namespace ssi::kddm::sync {

LockMachine::LockMachine(const Place& place) : Machine(place), here_(place.self == place.home) {
    if (is_home()) chain_.push_back(place.home);
}

void LockMachine::lock(Waiter& w, Outbox& out) {
    if (broken_) return out.finish(w, Errc::peer_lost, fault_);
    if (here_ && !locked_ && queue_.empty()) return grant(w, out);
    if (w.try_only && (here_ || asked_)) return out.finish(w, Errc::would_block);
    queue_.push(w);
    if (!here_ && !asked_) ask(w.try_only, out);
}

void LockMachine::unlock(Outbox& out) {
    locked_ = false;
    advance(out);
}

void LockMachine::withdraw(Waiter& w, Outbox& out) {
    const auto [found, place] = queue_.take_if([&](Waiter& other) { return &other == &w; });
    SSI_ASSERT(found, "a task gave up a lock that it does not wait for: please report this");
    if (place < quota_) --quota_;
    out.finish(w, Errc::timed_out);
}

void LockMachine::grant(Waiter& w, Outbox& out) {
    locked_ = true;
    holder_ = w.task;
    out.finish(w);
}

void LockMachine::ask(bool try_only, Outbox& out) {
    asked_ = true;
    Message m = message(Op::lock_request);
    if (try_only) m.header.flags = flag::try_only;
    send(out, place_.home, m);
}

// The token goes to the next node, or to the next task, or stays where it is until somebody asks.
void LockMachine::advance(Outbox& out) {
    if (!here_ || locked_) return;
    const bool selfish = planted(Plant::lock_never_passed) && !queue_.empty();
    if (next_ != no_node && (quota_ == 0 || queue_.empty()) && !selfish) return pass_on(out);
    if (queue_.empty()) return;
    if (quota_ != 0) --quota_;
    grant(*queue_.pop(), out);
}

void LockMachine::pass_on(Outbox& out) {
    here_ = planted(Plant::lock_for_two);
    quota_ = 0;
    const NodeId next = std::exchange(next_, no_node);
    if (is_dead(next)) return give_up(next, out);
    send(out, next, message(Op::lock_token));
    if (!queue_.empty()) here_ ? advance(out) : ask(false, out);
}

void LockMachine::next_is(NodeId next, bool try_only, Outbox& out) {
    next_ = next;
    quota_ = queue_.size();
    advance(out);
    if (next_ == no_node || !try_only) return;
    send(out, next_, message(Op::lock_busy));
}

void LockMachine::request(NodeId from, bool try_only, Outbox& out) {
    if (broken_) {
        Message m = message(Op::lock_broken);
        m.node = fault_.value;
        return send(out, from, m);
    }
    // It asks again, so it has given the token away, and so have all that asked before it.
    const auto before = std::find(chain_.begin(), chain_.end(), from);
    if (before != chain_.end()) chain_.erase(chain_.begin(), before + 1);
    SSI_ASSERT(!chain_.empty(), "a node asked for the lock that it was the last to ask for: "
                                "please report this");
    const NodeId last = chain_.back();
    chain_.push_back(from);
    Message m = message(Op::lock_next);
    m.node = from.value;
    if (try_only) m.header.flags = flag::try_only;
    send(out, last, m);
}

void LockMachine::receive(NodeId from, const Message& m, std::span<const std::byte>, Outbox& out) {
    switch (m.op()) {
        case Op::lock_request: return request(from, m.has(flag::try_only), out);
        case Op::lock_next: return next_is(NodeId(m.node), m.has(flag::try_only), out);
        case Op::lock_token:
            here_ = true;
            asked_ = false;
            return advance(out);
        case Op::lock_busy:
            // The token that was asked for comes all the same, for those that wait.
            if (!asked_) return;
            while (Waiter* w = queue_.take_if([](Waiter& x) { return x.try_only; }).first)
                out.finish(*w, Errc::would_block);
            return;
        default: return give_up(NodeId(m.node), out);
    }
}

// Nobody knows any more where the token is, or will be. Whoever holds the lock may finish.
void LockMachine::give_up(NodeId fault, Outbox& out) {
    if (broken_) return;
    broken_ = true;
    fault_ = fault;
    next_ = no_node;
    while (Waiter* w = queue_.pop()) out.finish(*w, Errc::peer_lost, fault);
}

void LockMachine::on_lost(NodeId node, Outbox& out) {
    if (node == place_.home) return give_up(node, out);
    if (!is_home() || std::find(chain_.begin(), chain_.end(), node) == chain_.end()) return;
    give_up(node, out);
    Message m = message(Op::lock_broken);
    m.node = node.value;
    for (const NodeId other : chain_)
        if (other != place_.self && !is_dead(other)) send(out, other, m);
}

}  // namespace ssi::kddm::sync
