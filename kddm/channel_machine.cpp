// SPDX-License-Identifier: BSD-3-Clause
// The client's half; the home's is in channel_home.cpp.
#include "channel_machine.hpp"

namespace ssi::kddm::sync {

void ChannelMachine::ask(Waiter& w, Message m, Outbox& out, Bytes payload) {
    if (is_dead(place_.home)) return out.finish(w, Errc::peer_lost, place_.home);
    waiting_.push(w);
    send(out, place_.home, m, std::move(payload));
}

void ChannelMachine::open(Waiter& w, std::uint32_t capacity, std::uint64_t type, Outbox& out) {
    Message m = message(Op::chan_open, w.txn);
    m.count = capacity;
    m.value = type;
    ask(w, m, out);
}

void ChannelMachine::close(Waiter& w, Outbox& out) {
    ask(w, message(Op::chan_close, w.txn), out);
}

void ChannelMachine::put(Waiter& w, std::uint32_t count, Bytes messages, Outbox& out) {
    if (is_dead(place_.home)) return out.finish(w, Errc::peer_lost, place_.home);
    Message m = message(Op::chan_put, w.txn);
    m.value = ++last_put_;
    m.count = count;
    if (w.try_only) m.header.flags = flag::try_only;
    if (count > credits_) return ask(w, m, out, std::move(messages));
    credits_ -= count;
    m.header.flags = flag::credited;
    send(out, place_.home, m, std::move(messages));
    out.finish(w);
}

void ChannelMachine::take(Waiter& w, std::uint32_t most, Outbox& out) {
    Message m = message(Op::chan_take, w.txn);
    m.count = most;
    if (w.try_only) m.header.flags = flag::try_only;
    ask(w, m, out);
}

void ChannelMachine::watch(Waiter& w, Outbox& out) {
    ask(w, message(Op::chan_watch, w.txn), out);
}

void ChannelMachine::unwatch(Waiter& w, Outbox& out) {
    if (w.done) return;
    (void)waiting_.take_txn(w.txn);
    send(out, place_.home, message(Op::chan_unwatch, w.txn));
    out.finish(w, Errc::timed_out);
}

void ChannelMachine::withdraw(const Waiter& w, Outbox& out) {
    if (!w.done) send(out, place_.home, message(Op::chan_withdraw, w.txn));
}

void ChannelMachine::answered(const Message& m, std::span<const std::byte> payload, Outbox& out) {
    Waiter* w = waiting_.take_txn(m.txn);
    if (!w) return;   // a watch that nobody watches any more
    if (static_cast<Errc>(m.code) == Errc::not_found) {
        waiting_.push(*w);
        return withdraw(*w, out);
    }
    w->bytes.assign(payload.begin(), payload.end());
    w->count = m.count;
    w->value = m.value;
    out.finish(*w, static_cast<Errc>(m.code), NodeId(m.node));
}

// Gives back what is left of the first `limit` credits, when they all have come.
void ChannelMachine::reclaimed(std::uint64_t limit, Outbox& out) {
    reclaim_limit_ = limit;
    if (credited_ < limit) return;
    reclaim_limit_ = 0;
    Message m = message(Op::chan_give_back);
    m.count = std::exchange(credits_, 0);
    send(out, place_.home, m);
}

void ChannelMachine::receive(NodeId from, const Message& m, std::span<const std::byte> payload,
                             Outbox& out) {
    switch (m.op()) {
        case Op::chan_open: return home_open(from, m, out);
        case Op::chan_put: return home_put(from, m, payload, out);
        case Op::chan_take: return home_take(from, m, out);
        case Op::chan_withdraw: return home_withdraw(from, m, out);
        case Op::chan_watch: return home_watch(from, m, out);
        case Op::chan_unwatch:
            std::erase_if(watchers_, [&](const Asker& w) {
                return w.node == from && w.txn == m.txn;
            });
            return;
        case Op::chan_close: return home_close(from, m, out);
        case Op::chan_give_back: return home_give_back(from, m.count, out);
        case Op::chan_answer: return answered(m, payload, out);
        case Op::chan_credit:
            credits_ += m.count;
            credited_ += m.count;
            if (reclaim_limit_ != 0) reclaimed(reclaim_limit_, out);
            return;
        default: return reclaimed(m.value, out);
    }
}

void ChannelMachine::on_lost(NodeId node, Outbox& out) {
    if (is_home()) return home_lost(node, out);
    if (node != place_.home) return;   // the home hears of it too and decides
    credits_ = 0;
    while (Waiter* w = waiting_.pop()) out.finish(*w, Errc::peer_lost, node);
}

}  // namespace ssi::kddm::sync
