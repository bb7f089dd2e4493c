// SPDX-License-Identifier: BSD-3-Clause
// The home's half of a channel.
#include "channel_machine.hpp"

namespace ssi::kddm::sync {
namespace {

constexpr std::uint32_t most_credits = 64;
// The planted bugs strike once in so many messages.
constexpr std::uint64_t plant_period = 5;

}  // namespace

// How many messages may still be accepted that no credit was given for.
std::uint32_t ChannelMachine::room() const {
    const std::size_t capacity = state_.capacity + (planted(Plant::channel_overfills) ? 2 : 0);
    const std::size_t taken = state_.queue.size() + reserved_;
    return taken < capacity ? static_cast<std::uint32_t>(capacity - taken) : 0;
}

void ChannelMachine::answer(NodeId to, std::uint64_t txn, Errc code, std::uint32_t count,
                            Outbox& out, Bytes messages) const {
    Message m = message(Op::chan_answer, txn);
    m.code = static_cast<std::uint32_t>(code);
    m.count = count;
    m.value = state_.capacity;
    m.node = first_dead().value;
    send(out, to, m, std::move(messages));
}

void ChannelMachine::answer_put(const Parked& parked, Errc code, Outbox& out) {
    answer(parked.node, parked.put.txn, code, parked.accepted, out);
}

void ChannelMachine::home_open(NodeId from, const Message& m, Outbox& out) {
    if (state_.capacity == 0) {
        state_.capacity = m.count;
        state_.type = m.value;
    }
    const bool same = state_.capacity == m.count && state_.type == m.value;
    answer(from, m.txn, same ? Errc::ok : Errc::mismatch, 0, out);
}

// Puts of one node in the order of their numbers.
void ChannelMachine::home_put(NodeId from, const Message& m, std::span<const std::byte> payload,
                              Outbox& out) {
    Producer& producer = producers_[from];
    Put put{m.txn, m.header.flags, {}};
    if (!split_messages(payload, put.messages)) put.messages.clear();
    const bool in_order = !planted(Plant::channel_reorders);
    if (in_order && m.value != producer.next) {
        producer.early.emplace(m.value, std::move(put));
        return;
    }
    ++producer.next;
    accept(from, producer, std::move(put), out);
    for (auto next = producer.early.begin();
         next != producer.early.end() && next->first == producer.next;
         next = producer.early.begin()) {
        Put early = std::move(next->second);
        producer.early.erase(next);
        ++producer.next;
        accept(from, producer, std::move(early), out);
    }
    replenish(out);
    tell_end(out);
}

void ChannelMachine::accept(NodeId from, Producer& producer, Put put, Outbox& out) {
    if (put.flags & flag::credited) {
        const auto count = static_cast<std::uint32_t>(put.messages.size());
        producer.credits -= count;
        reserved_ -= count;
        for (Bytes& message : put.messages) deliver(std::move(message), out);
        return serve_parked(out);
    }
    Parked parked{from, std::move(put), 0};
    if (state_.closed) return answer_put(parked, Errc::cancelled, out);
    parked_.push_back(std::move(parked));
    serve_parked(out);
}

void ChannelMachine::deliver(Bytes message, Outbox& out) {
    const std::uint64_t number = state_.sent++;
    if (planted(Plant::channel_loses) && number % plant_period == 3) {
        ++state_.received;
        return;
    }
    const bool twice = planted(Plant::channel_duplicates) && number % plant_period == 3;
    if (takers_.empty()) {
        state_.queue.push_back(std::move(message));
        if (twice) state_.queue.push_back(state_.queue.back());
        return tell_watchers(out);
    }
    const Asker taker = takers_.front();
    takers_.pop_front();
    ++state_.received;
    if (twice) state_.queue.push_back(message);
    Bytes packed;
    append_message(packed, message);
    answer(taker.node, taker.txn, Errc::ok, 1, out, std::move(packed));
}

// Messages whose senders wait, as far as there is room.
void ChannelMachine::serve_parked(Outbox& out) {
    while (!parked_.empty()) {
        Parked& first = parked_.front();
        auto& messages = first.put.messages;
        // A waiting consumer needs no room.
        while (first.accepted < messages.size() && (room() > 0 || !takers_.empty()))
            deliver(std::move(messages[first.accepted++]), out);
        if (first.accepted < messages.size()) {
            const bool refused = first.put.flags & flag::try_only;
            if (reserved_ > 0) return reclaim(out);
            if (any_dead())
                answer_put(first, Errc::peer_lost, out);
            else if (refused)
                answer_put(first, Errc::would_block, out);
            else
                return;
        } else {
            answer_put(first, Errc::ok, out);
        }
        parked_.pop_front();
    }
}

// Whoever has credits gives back what it has not used.
void ChannelMachine::reclaim(Outbox& out) {
    for (auto& [node, producer] : producers_) {
        if (producer.credits == 0 || std::exchange(producer.reclaiming, true)) continue;
        Message m = message(Op::chan_reclaim);
        m.value = producer.granted;
        send(out, node, m);
    }
}

void ChannelMachine::home_give_back(NodeId from, std::uint32_t count, Outbox& out) {
    Producer& producer = producers_[from];
    producer.reclaiming = false;
    producer.credits -= count;
    reserved_ -= count;
    serve_parked(out);
    tell_end(out);
}

// Half of what is free, so that there is something for the others.
std::uint32_t ChannelMachine::grant(NodeId node, Producer& producer) {
    const std::uint32_t window = std::min(state_.capacity / 2, most_credits);
    if (producer.credits * 2 > window || producer.reclaiming || is_dead(node)) return 0;
    const std::uint32_t more = std::min(window - producer.credits, (room() + 1) / 2);
    producer.credits += more;
    producer.granted += more;
    reserved_ += more;
    return more;
}

void ChannelMachine::replenish(Outbox& out) {
    if (!parked_.empty() || state_.closed) return;
    for (auto& [node, producer] : producers_) {
        const std::uint32_t more = grant(node, producer);
        if (more == 0) continue;
        Message m = message(Op::chan_credit);
        m.count = more;
        send(out, node, m);
    }
}

void ChannelMachine::home_take(NodeId from, const Message& m, Outbox& out) {
    Bytes packed;
    std::uint32_t count = 0;
    auto& queue = state_.queue;
    for (; count < m.count && !queue.empty() && packed.size() < most_batch_bytes; ++count) {
        append_message(packed, queue.front());
        queue.pop_front();
        ++state_.received;
    }
    if (count > 0) {
        answer(from, m.txn, Errc::ok, count, out, std::move(packed));
        serve_parked(out);
        replenish(out);
        return tell_end(out);
    }
    if (ended()) return answer(from, m.txn, Errc::cancelled, 0, out);
    takers_.push_back({from, m.txn, m.count});
    // A parked message may be waiting for room that is reserved for others.
    serve_parked(out);
    const bool waits = !takers_.empty() && takers_.back().txn == m.txn;
    if (!waits || !(m.has(flag::try_only) || any_dead())) return;
    takers_.pop_back();
    answer(from, m.txn, m.has(flag::try_only) ? Errc::would_block : Errc::peer_lost, 0, out);
}

void ChannelMachine::home_withdraw(NodeId from, const Message& m, Outbox& out) {
    const auto taker = std::find_if(takers_.begin(), takers_.end(), [&](const Asker& t) {
        return t.node == from && t.txn == m.txn;
    });
    if (taker != takers_.end()) {
        takers_.erase(taker);
        return answer(from, m.txn, Errc::timed_out, 0, out);
    }
    const auto watched = std::erase_if(watchers_, [&](const Asker& w) {
        return w.node == from && w.txn == m.txn;
    });
    if (watched != 0) return answer(from, m.txn, Errc::timed_out, 0, out);
    const auto parked = std::find_if(parked_.begin(), parked_.end(), [&](const Parked& p) {
        return p.node == from && p.put.txn == m.txn;
    });
    if (parked != parked_.end()) {
        answer_put(*parked, Errc::timed_out, out);
        parked_.erase(parked);
        return serve_parked(out);
    }
    for (auto& [number, put] : producers_[from].early)
        if (put.txn == m.txn) {
            put.flags |= flag::try_only;   // its turn will come, and it will not wait then
            return;
        }
    // Answered already, or the withdrawal has overtaken what it is about: the client knows.
    answer(from, m.txn, Errc::not_found, 0, out);
}

void ChannelMachine::home_watch(NodeId from, const Message& m, Outbox& out) {
    watchers_.push_back({from, m.txn, 0});
    tell_watchers(out);
}

void ChannelMachine::tell_watchers(Outbox& out) {
    const bool something = !state_.queue.empty() || ended();
    if (watchers_.empty() || (!something && !any_dead())) return;
    const Errc code = something ? Errc::ok : Errc::peer_lost;
    for (const Asker& w : std::exchange(watchers_, {})) answer(w.node, w.txn, code, 0, out);
}

void ChannelMachine::home_close(NodeId from, const Message& m, Outbox& out) {
    state_.closed = true;
    for (const Parked& parked : std::exchange(parked_, {}))
        answer_put(parked, Errc::cancelled, out);
    reclaim(out);
    answer(from, m.txn, Errc::ok, 0, out);
    tell_end(out);
}

// Nothing is left, and nobody may still send.
bool ChannelMachine::ended() const {
    return state_.closed && state_.queue.empty() && reserved_ == 0 && parked_.empty();
}

void ChannelMachine::tell_end(Outbox& out) {
    if (!ended()) return;
    for (const Asker& t : std::exchange(takers_, {}))
        answer(t.node, t.txn, Errc::cancelled, 0, out);
    tell_watchers(out);
}

// What the dead had sent is kept, what they had received is gone; whoever waits may wait for them.
void ChannelMachine::home_lost(NodeId node, Outbox& out) {
    if (const auto dead = producers_.find(node); dead != producers_.end()) {
        reserved_ -= dead->second.credits;
        producers_.erase(dead);
    }
    auto of_the_dead = [&](const auto& x) { return x.node == node; };
    std::erase_if(parked_, of_the_dead);
    std::erase_if(takers_, of_the_dead);
    std::erase_if(watchers_, of_the_dead);
    for (const Asker& t : std::exchange(takers_, {}))
        answer(t.node, t.txn, Errc::peer_lost, 0, out);
    serve_parked(out);
    tell_end(out);
    tell_watchers(out);
}

}  // namespace ssi::kddm::sync
