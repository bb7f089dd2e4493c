// SPDX-License-Identifier: BSD-3-Clause
#include "share_machine.hpp"

#include "ssi/base/assert.hpp"

namespace ssi::kddm::sync {

// -- client

void ShareMachine::lock(Waiter& w, Outbox& out) {
    if (broken_) return out.finish(w, Errc::peer_lost, fault_);
    const bool waits = !queue_.empty() || asked_ != Mode::none;
    const bool taken = w.exclusive ? held() : writer_ != 0;
    if (w.try_only && (waits || revoking_ || taken)) return out.finish(w, Errc::would_block);
    queue_.push(w);
    advance(out);
}

void ShareMachine::unlock(std::uint64_t task, bool exclusive, Outbox& out) {
    if (exclusive)
        writer_ = 0;
    else
        readers_.erase(std::find(readers_.begin(), readers_.end(), task));
    advance(out);
}

void ShareMachine::withdraw(Waiter& w, Outbox& out) {
    const auto [found, place] = queue_.take_if([&](Waiter& other) { return &other == &w; });
    SSI_ASSERT(found, "a task gave up a lock that it does not wait for: please report this");
    if (place < quota_) --quota_;
    out.finish(w, Errc::timed_out);
    advance(out);
}

// Does this node's hold allow it, and do its tasks?
bool ShareMachine::servable(const Waiter& w) const {
    if (revoking_ && quota_ == 0) return false;
    if (writer_ != 0) return false;
    return w.exclusive ? mode_ == Mode::exclusive && readers_.empty() : mode_ != Mode::none;
}

void ShareMachine::advance(Outbox& out) {
    while (!queue_.empty() && servable(*queue_.front())) {
        Waiter& w = *queue_.pop();
        if (revoking_) --quota_;
        if (w.exclusive)
            writer_ = w.task;
        else
            readers_.push_back(w.task);
        out.finish(w);
    }
    if (revoking_) let_go(out);
    if (broken_ || queue_.empty() || asked_ != Mode::none) return;
    const Waiter& w = *queue_.front();
    const Mode needed = w.exclusive ? Mode::exclusive : Mode::shared;
    if (mode_ < needed || revoking_) ask(w, out);
}

void ShareMachine::ask(const Waiter& w, Outbox& out) {
    asked_ = w.exclusive ? Mode::exclusive : Mode::shared;
    Message m = message(Op::share_request);
    m.header.flags = static_cast<std::uint16_t>((w.exclusive ? flag::exclusive : 0) |
                                                (w.try_only ? flag::try_only : 0) |
                                                (mode_ != Mode::none ? flag::upgrade : 0));
    send(out, place_.home, m);
}

// A revoked hold goes home when its tasks are done with it.
void ShareMachine::let_go(Outbox& out) {
    if (writer_ != 0 || (revoked_to_ == Mode::none && !readers_.empty())) return;
    const bool serves_more = quota_ != 0 && !queue_.empty() && servable(*queue_.front());
    if (serves_more) return;
    Message m = message(Op::share_release);
    m.value = number_;
    if (revoked_to_ == Mode::shared) m.header.flags = flag::upgrade;
    mode_ = std::min(mode_, revoked_to_);
    revoking_ = false;
    quota_ = 0;
    send(out, place_.home, m);
}

// Somebody else has it, so whoever only tries has tried. The hold that was asked for comes all the
// same, for those that wait.
void ShareMachine::granted(const Message& m, Outbox& out) {
    if (m.code != 0) {
        if (asked_ == Mode::none) return;
        while (Waiter* w = queue_.take_if([](Waiter& x) { return x.try_only; }).first)
            out.finish(*w, static_cast<Errc>(m.code));
        return advance(out);
    }
    mode_ = m.has(flag::exclusive) ? Mode::exclusive : Mode::shared;
    number_ = m.value;
    asked_ = Mode::none;
    revoking_ = false;   // that was of the hold that this one replaces
    quota_ = 0;
    const auto early = early_.find(number_);
    if (early != early_.end()) {
        revoking_ = true;
        revoked_to_ = early->second;
        quota_ = queue_.size();   // whoever asked is served before it goes
        early_.erase(early);
    }
    advance(out);
}

void ShareMachine::revoke(const Message& m, Outbox& out) {
    const Mode to = m.has(flag::upgrade) ? Mode::shared : Mode::none;
    if (m.value > number_) {
        early_[m.value] = to;
    } else if (m.value == number_) {
        revoking_ = true;
        revoked_to_ = to;
        quota_ = queue_.size();
        advance(out);
        if (!revoking_) return;
    } else {
        return;   // of a hold that an upgrade replaced
    }
    if (m.has(flag::try_only)) tell_busy(NodeId(m.node), out);
}

void ShareMachine::give_up(NodeId fault, Outbox& out) {
    if (broken_) return;
    broken_ = true;
    fault_ = fault;
    while (Waiter* w = queue_.pop()) out.finish(*w, Errc::peer_lost, fault);
}

// -- home

// Asks for what stands in the way. A node that asks afresh has released its hold: the release is
// on its way.
bool ShareMachine::blocked(Request& r, Outbox& out) {
    bool blocked = false;
    const bool first_look = !std::exchange(r.looked_at, true);
    for (Hold& hold : holds_) {
        if (hold.node == r.node) {
            blocked = blocked || !r.upgrade;
            continue;
        }
        if (r.mode == Mode::shared && hold.mode == Mode::shared) continue;
        if (planted(Plant::writer_beside_reader) && hold.mode == Mode::shared) continue;
        blocked = true;
        if (std::exchange(hold.revoked, true)) {
            if (first_look && r.try_only) tell_busy(r.node, out);
            continue;
        }
        Message m = message(Op::share_revoke);
        m.value = hold.number;
        m.node = r.node.value;
        m.header.flags =
            static_cast<std::uint16_t>((r.mode == Mode::shared ? flag::upgrade : 0) |
                                       (r.try_only ? flag::try_only : 0));
        send(out, hold.node, m);
    }
    return blocked;
}

void ShareMachine::tell_busy(NodeId node, Outbox& out) const {
    Message m = message(Op::share_grant);
    m.code = static_cast<std::uint32_t>(Errc::would_block);
    send(out, node, m);
}

void ShareMachine::request(NodeId from, const Message& m, Outbox& out) {
    if (broken_) {
        Message answer = message(Op::share_broken);
        answer.node = fault_.value;
        return send(out, from, answer);
    }
    const Mode mode = m.has(flag::exclusive) ? Mode::exclusive : Mode::shared;
    const bool waits = !requests_.empty();
    requests_.push_back({from, mode, m.has(flag::upgrade), m.has(flag::try_only), waits});
    if (waits && m.has(flag::try_only)) tell_busy(from, out);
    serve(out);
}

void ShareMachine::serve(Outbox& out) {
    while (!requests_.empty() && !blocked(requests_.front(), out)) {
        const Request r = requests_.front();
        requests_.erase(requests_.begin());
        std::erase_if(holds_, [&](const Hold& hold) { return hold.node == r.node; });
        holds_.push_back({r.node, r.mode, ++last_number_, false});
        Message m = message(Op::share_grant);
        m.value = last_number_;
        if (r.mode == Mode::exclusive) m.header.flags = flag::exclusive;
        send(out, r.node, m);
    }
}

void ShareMachine::released(NodeId from, const Message& m, Outbox& out) {
    for (auto hold = holds_.begin(); hold != holds_.end(); ++hold) {
        if (hold->node != from || hold->number != m.value) continue;
        hold->revoked = false;
        hold->mode = Mode::shared;
        if (!m.has(flag::upgrade)) holds_.erase(hold);
        break;
    }
    serve(out);
}

void ShareMachine::receive(NodeId from, const Message& m, std::span<const std::byte>,
                           Outbox& out) {
    switch (m.op()) {
        case Op::share_request: return request(from, m, out);
        case Op::share_release: return released(from, m, out);
        case Op::share_grant: return granted(m, out);
        case Op::share_revoke: return revoke(m, out);
        default: return give_up(NodeId(m.node), out);
    }
}

// A dead reader leaves nothing behind; a dead writer leaves nobody knows what.
void ShareMachine::on_lost(NodeId node, Outbox& out) {
    if (node == place_.home) return give_up(node, out);
    if (!is_home()) return;
    std::erase_if(requests_, [&](const Request& r) { return r.node == node; });
    const auto hold = std::find_if(holds_.begin(), holds_.end(),
                                   [&](const Hold& h) { return h.node == node; });
    if (hold == holds_.end()) return;
    const bool wrote = hold->mode == Mode::exclusive;
    holds_.erase(hold);
    if (!wrote) return serve(out);
    Message m = message(Op::share_broken);
    m.node = node.value;
    for (const Request& r : requests_)
        if (r.node != place_.self) send(out, r.node, m);
    requests_.clear();
    give_up(node, out);
}

}  // namespace ssi::kddm::sync
