// SPDX-License-Identifier: BSD-3-Clause
#include "directory.hpp"

#include <algorithm>
#include <utility>

#include "cache.hpp"

namespace ssi::kddm {

namespace directory {
namespace {

Message& forward(const Message& request, Kind kind, const Home& home, NodeId to, Transition& t) {
    Message& m = t.send(to, kind, request);
    m.after_node = no_node.value;
    if (home.open_node == to) {
        m.after_node = to.value;
        m.after_txn = home.open_txn;
    }
    m.ack_to = request.requester;
    return m;
}

void refuse(const Message& request, Errc error, NodeId fault, Transition& t) {
    Message& e = t.send(NodeId(request.requester), Kind::error, request);
    e.requester = fault.value;
    e.acks = static_cast<std::uint32_t>(error);
}

// Whether the node that takes ownership gets it for one visit only. `used_here`: by the home's own
// tasks since it was here.
bool for_a_visit(Home& home, const Message& m, NodeId self, bool used_here, unsigned moves_to_visit,
                 ShardCounters& counters) {
    if (m.requester == self.value && !m.has(flag::stay)) return false;
    const auto name = static_cast<std::uint16_t>(1 + m.requester % 0xffff);
    const bool again = name == home.last_grabber;
    home.last_grabber = name;
    if (m.has(flag::stay)) {
        home.bounce = {};
        return false;
    }
    const bool before = home.bounce.visiting;
    const bool visit = home.bounce.grab(again, used_here, moves_to_visit);
    counters.bounces += visit && !before;
    if (!visit) return false;
    ++counters.visits;
    return true;
}

bool used_here(const Entry& entry) {
    return entry.word.load(std::memory_order_relaxed) & pin::referenced;
}

// A new request proves that the requester's earlier grant is complete.
void close_open(Home& home, NodeId node) {
    if (home.open_node == node) home.open_node = no_node;
}

void start_get(Entry& entry, const Message& m, Transition& t) {
    Home& home = *entry.home();
    const NodeId requester(m.requester);
    close_open(home, requester);
    if (home.owner == requester) {
        t.send(requester, Kind::grant, m);
        return;
    }
    const bool reader_open = home.open_node != no_node && home.open_node != home.owner;
    const bool want_done = home.owner != t.self || reader_open;
    if (t.plant != Plant::forget_copy || m.lo % 2 == 0)
        home.copies.add(requester, *t.members);
    home.busy_txn = m.txn;
    home.busy_node = requester;
    Message& f = forward(m, Kind::fetch, home, home.owner, t);
    if (want_done) f.header.flags |= flag::want_done;
}

// Sends the invalidations of a coarse copyset: one message per group with a member to ask.
std::uint32_t invalidate_groups(const Message& request, const Home& home, Transition& t) {
    const auto& members = t.members->members;
    const auto size = Copyset::group_size(members.size());
    const auto total = static_cast<std::uint32_t>(members.size());
    std::uint32_t groups = 0;
    for (std::uint32_t g = 0; g * size < total; ++g) {
        if (!home.copies.group(g)) continue;
        std::uint32_t lo = g * size;
        const std::uint32_t hi = std::min(total, lo + size);
        while (lo < hi && (members[lo].node.value == request.requester ||
                           t.lost(members[lo].node)))
            ++lo;
        if (lo == hi) continue;
        Message& i = forward(request, Kind::invalidate_group, home, members[lo].node, t);
        i.after_node = home.open_node.value;  // whoever of the group it is
        i.after_txn = home.open_txn;
        i.range_lo = lo;
        i.range_hi = hi;
        ++groups;
    }
    return groups;
}

std::uint32_t invalidate_copies(const Message& request, Home& home, Transition& t) {
    if (home.copies.coarse()) return invalidate_groups(request, home, t);
    std::uint32_t asked = 0;
    bool skip = t.plant == Plant::skip_invalidation;
    for (unsigned i = 0; i < home.copies.inline_size(); ++i) {
        const NodeId reader = home.copies.at(i);
        if (reader.value == request.requester || reader == home.owner) continue;
        if (skip) {
            skip = false;
            continue;
        }
        forward(request, Kind::invalidate, home, reader, t);
        ++asked;
    }
    return asked;
}

void start_grab(Entry& entry, const Message& m, Transition& t) {
    Home& home = *entry.home();
    const NodeId requester(m.requester);
    close_open(home, requester);
    std::uint32_t acks = invalidate_copies(m, home, t);
    if (t.plant == Plant::skip_invalidation_ack && acks > 0) --acks;
    if (home.owner == requester) {
        Message& g = t.send(requester, Kind::grant, m);
        g.header.flags = flag::write;
        g.acks = acks;
    } else {
        Message& y = forward(m, Kind::yield, home, home.owner, t);
        y.header.flags = m.header.flags & (flag::has_copy | flag::renew);
        y.version = m.version;
        y.acks = acks;
        const bool used = home.owner == t.self && used_here(entry);
        if (for_a_visit(home, m, t.self, used, t.moves_to_visit, *t.counters))
            y.header.flags |= flag::visit;
    }
    home.owner = requester;
    home.open_node = requester;
    home.open_txn = m.txn;
    home.copies.clear();
}

void start_evict(Entry& entry, const Message& m, const Body& body, Transition& t) {
    Home& home = *entry.home();
    const NodeId requester(m.requester);
    close_open(home, requester);
    Message& ack = t.send(requester, Kind::evict_ack, m);
    if (home.owner == requester) {
        home.owner = t.self;
        home.copies.remove(t.self);
        cache::install_evicted(entry, m, body, !home.copies.empty(), t);
    } else {
        // Our yield for somebody else may still be on its way to the evicting node.
        ack.header.flags |= flag::asked;
        t.release(body);
    }
}

void start(Entry& entry, const Message& m, const Body& body, Transition& t) {
    if (entry.home()->recovering) {
        t.release(body);
        return refuse(m, Errc::peer_lost, entry.home()->owner, t);
    }
    switch (m.kind()) {
        case Kind::get_request: return start_get(entry, m, t);
        case Kind::grab_request: return start_grab(entry, m, t);
        default: return start_evict(entry, m, body, t);
    }
}

void start_next(Entry& entry, Transition& t) {
    Home& home = *entry.home();
    while (home.busy_txn == 0 && !home.queue.empty() && !cache::loading(entry)) {
        const bool last = t.plant == Plant::unfair_queue;
        const Queued next = home.queue.pop(last);
        start(entry, next.message, next.body, t);
    }
}

}  // namespace

void on_request(Entry& entry, const Message& m, const Body& body, Transition& t) {
    if (cache::absent(entry, t) && !cache::bring(entry, m.has(flag::renew), t)) {
        t.release(body);
        return refuse(m, Errc::out_of_memory, t.self, t);
    }
    Home& home = entry.make_home(t.self);
    if (home.busy_txn != 0 || cache::loading(entry)) {
        home.queue.push(m, body);
        return;
    }
    start(entry, m, body, t);
}

namespace {

// A grant that somebody else has not completed yet makes the next transition wait for it.
bool open_elsewhere(const Home& home, const Message& m, NodeId self) {
    return home.open_node != no_node && home.open_node != self &&
           home.open_node.value != m.requester;
}

bool only_reader(const Copyset& copies, NodeId node) {
    if (copies.coarse()) return false;
    return copies.empty() || (copies.inline_size() == 1 && copies.at(0) == node);
}

}  // namespace

bool answer(Entry& entry, const Message& m, const Surroundings& s, Message& reply, Body& body) {
    const bool ours = entry.state == CacheState::exclusive || entry.state == CacheState::owner;
    if (!ours || entry.busy) return false;
    const NodeId requester(m.requester);
    Home* home = entry.home();
    if (home && (!home->quiet() || home->owner != s.self || open_elsewhere(*home, m, s.self)))
        return false;
    const bool write = m.kind() == Kind::grab_request;
    if (write) {
        if (s.has_hook || (home && !only_reader(home->copies, requester))) return false;
        if (!pin::try_take_all(entry.word, pin::dirty)) return false;
    } else if (!pin::try_take_write(entry.word)) {
        return false;
    }
    if (!home) home = &entry.make_home(s.self);
    address(reply, Kind::data, m.set_id(), m.object(), TxnId(m.txn), requester);
    home->open_node = requester;
    home->open_txn = m.txn;
    if (write) {
        cache::give_away(entry, m, s, reply, body);
        if (for_a_visit(*home, m, s.self, used_here(entry), s.moves_to_visit, *s.counters))
            reply.header.flags |= flag::visit;
        pin::clear(entry.word, pin::referenced);
        home->owner = requester;
        home->copies.clear();
    } else {
        cache::give_copy(entry, s, reply, body);
        home->copies.add(requester, *s.members);
    }
    return true;
}

void on_done(Entry& entry, const Message& m, Transition& t) {
    Home* home = entry.home();
    if (!home || home->busy_txn != m.txn || home->busy_node.value != m.requester) return;
    home->busy_txn = 0;
    if (m.kind() == Kind::served) {
        home->open_node = home->busy_node;
        home->open_txn = m.txn;
    } else if (home->open_node == home->owner) {
        home->open_node = no_node;  // it served this one, so its own grant is complete
    }
    start_next(entry, t);
}

std::uint32_t invalidate(Entry& entry, const Message& request, Transition& t) {
    return invalidate_copies(request, *entry.home(), t);
}

void resume(Entry& entry, Transition& t) {
    if (entry.has_home) start_next(entry, t);
}

void refuse_all(Entry& entry, Errc error, Transition& t) {
    Home* home = entry.home();
    while (home && !home->queue.empty()) {
        const Queued next = home->queue.pop();
        if (next.message.kind() == Kind::evict)   // of somebody who is not the owner any more
            start_evict(entry, next.message, next.body, t);
        else
            refuse(next.message, error, t.self, t);
    }
}

void on_node_lost(Entry& entry, NodeId node, Transition& t) {
    Home* home = entry.home();
    if (!home) return;
    home->copies.remove(node);
    close_open(*home, node);
    home->queue.remove_if([&](const Queued& q) {
        if (NodeId(q.message.requester) != node) return false;
        t.release(q.body);
        return true;
    });
    if (home->owner == node) home->recovering = true;
    if (home->busy_txn != 0 && (home->busy_node == node || home->recovering)) {
        if (home->busy_node != node) {
            Message request = make_message(Kind::get_request, SetId(entry.set), entry.id,
                                           TxnId(home->busy_txn), home->busy_node);
            refuse(request, Errc::peer_lost, node, t);
        }
        home->busy_txn = 0;
    }
    start_next(entry, t);
}

}  // namespace directory
}  // namespace ssi::kddm
