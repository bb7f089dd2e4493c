// SPDX-License-Identifier: BSD-3-Clause
#include "cache.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "cache_parts.hpp"

namespace ssi::kddm {

Busy& busy_of(Entry& entry, const Transition& t) {
    if (!entry.busy) entry.busy = t.pools->busies.take();
    return *entry.busy;
}

namespace cache {
namespace {

// We were asked for a value that a dead node took with it.
void answer_lost(const Message& m, Transition& t) {
    Message& e = t.send(NodeId(m.requester), Kind::error, m);
    e.requester = no_node.value;  // in errors: the node at fault, here unknown
    e.acks = static_cast<std::uint32_t>(Errc::lost);
    const bool own_fetch = t.at_home() && m.kind() == Kind::fetch && !m.has(flag::want_done);
    if (own_fetch) t.send(t.self, Kind::served, m);
}

bool satisfies(CacheState state, Access want) {
    if (want == Access::write) return state == CacheState::exclusive;
    return state == CacheState::shared || state == CacheState::owner ||
           state == CacheState::exclusive;
}

}  // namespace

void drop_bytes(Entry& entry, Transition& t) {
    if (entry.inline_length) return;
    if (entry.block) t.blocks->release(entry.block);
    entry.block = nullptr;
}

bool make_bytes(Entry& entry, Transition& t, bool at_home) {
    pin::before_bytes_change();
    if (entry.inline_length) {
        std::memset(entry.small, 0, sizeof entry.small);
        return true;
    }
    entry.block = t.blocks->make(SetId(entry.set), entry.id, t.fixed_length, at_home);
    return entry.block;
}

namespace {

// A granted access must have bytes: where the home's memory is at its limit, the cache's will do.
void must_make_bytes(Entry& entry, Transition& t) {
    if (!make_bytes(entry, t, t.at_home())) make_bytes(entry, t, false);
}

}  // namespace

void take_in(Entry& entry, const Body& body, Transition& t) {
    pin::before_bytes_change();
    if (entry.inline_length) {
        std::memcpy(entry.small, body.small_bytes(), sizeof entry.small);
    } else {
        drop_bytes(entry, t);
        entry.block = body.block();
    }
}

namespace {

// A copy for a message; the entry keeps its own.
Body share(Entry& entry, Transition& t) {
    if (!entry.inline_length) t.blocks->keep(entry.block);
    return entry.body();
}

// The bytes leave with a message. Small ones stay behind too, to no purpose.
Body hand_over(Entry& entry) {
    const Body body = entry.body();
    if (!entry.inline_length) entry.block = nullptr;
    return body;
}

// Planted bugs: the bytes of nobody.
Body blank(const Entry& entry, Transition& t) {
    static constexpr std::byte zeroes[max_inline_bytes]{};
    if (entry.inline_length) return Body(zeroes, entry.inline_length);
    return Body(t.blocks->make(SetId(entry.set), entry.id, entry.block->length, false));
}

void pop_granted(Busy& busy, Transition& t) {
    Waiter* w = busy.head;
    busy.head = w->next;
    if (!busy.head) busy.tail = nullptr;
    w->next = nullptr;
    t.granted.push_back(w);
}

// Begins a request of ours; the rest of `m` is addressed already.
void begin_request(Entry& entry, Access want, std::uint16_t flags, std::uint32_t slot_version,
                   ShardCounters& counters, Message& m) {
    Busy& busy = *entry.busy;
    busy.txn = m.txn;
    busy.requested = want;
    busy.has_data = false;
    busy.want_done = false;
    busy.lost_copy = false;
    busy.visit = false;
    busy.acks_missing = 0;
    m.slot_version = slot_version;
    if (want != Access::write) {
        ++counters.remote_gets;
        return;
    }
    ++counters.remote_grabs;
    m.header.flags |= flag::write | flags;
    if (entry.state == CacheState::shared || entry.state == CacheState::owner) {
        m.header.flags |= flag::has_copy;
        m.version = entry.version.load(std::memory_order_relaxed);
    }
}

Kind request_kind(Access want) {
    return want == Access::write ? Kind::grab_request : Kind::get_request;
}

std::uint16_t flags_of(const Waiter& waiter) {
    return static_cast<std::uint16_t>((waiter.renew ? flag::renew : 0) |
                                      (waiter.stay ? flag::stay : 0));
}

void start_request(Entry& entry, Access want, std::uint16_t flags, Transition& t) {
    Message& m = t.send(t.home, request_kind(want), SetId(entry.set), entry.id,
                        TxnId(t.new_txn()), t.self);
    begin_request(entry, want, flags, t.slot_version, *t.counters, m);
}

bool can_ask(const Entry& entry) {
    return entry.busy->txn == 0 && !entry.busy->revocation && !entry.busy->loading &&
           entry.state != CacheState::evicting && entry.state != CacheState::given;
}

}  // namespace

void pump(Entry& entry, Transition& t, bool granting) {
    Busy* busy = entry.busy;
    if (!busy) return;
    while (busy->head && (granting || !busy->revocation)) {
        const bool write = busy->head->want == Access::write;
        const bool pinned = write ? pin::try_write(entry.word, pin::blocked)
                                  : pin::try_read(entry.word, pin::blocked);
        if (!pinned) break;
        busy->head->granted = true;
        pop_granted(*busy, t);
        if (write) break;
    }
    if (!busy->head) return pin::clear(entry.word, pin::waiters);
    const Waiter& head = *busy->head;
    if (!can_ask(entry) || satisfies(entry.state, head.want)) return;
    if (absent(entry, t)) {
        if (!bring(entry, head.renew, t))
            return fail_waiters(entry, Errc::out_of_memory, t.self, t);
        return loading(entry) ? void() : pump(entry, t);
    }
    const bool elsewhere = entry.state != CacheState::owner;
    if (head.use == Waiter::Use::operation && elsewhere && t.at_home()) ++t.counters->recalls;
    start_request(entry, head.want, flags_of(head), t);
}

namespace {

// Puts the revocation off until the last unpin or the release hook.
void put_off(Entry& entry, const Message& m, const Transition& t) {
    busy_of(entry, t).revocation = m;
}

}  // namespace

bool hook_first(Entry& entry, const Message& m, Transition& t) {
    if (!t.has_hook || entry.hooked) return false;
    put_off(entry, m, t);
    if (std::exchange(entry.busy->hook_running, true)) return true;   // it ends this one too
    t.run_hook = true;
    ++t.counters->hooks;
    return true;
}

namespace {

void end_eviction(Entry& entry, Transition& t) {
    drop_bytes(entry, t);
    pin::clear(entry.word, pin::dirty);
    entry.state = CacheState::invalid;
    entry.busy->txn = 0;
    --t.counters->evicting;
}

void serve_fetch(Entry& entry, const Message& m, Transition& t) {
    const bool here = entry.state == CacheState::owner || entry.state == CacheState::exclusive;
    if (!here && entry.state != CacheState::evicting) return answer_lost(m, t);
    if (here && !pin::revoke_write(entry.word) && t.plant != Plant::early_grant)
        return put_off(entry, m, t);
    if (entry.state == CacheState::exclusive) entry.state = CacheState::owner;
    const std::uint64_t version = entry.version.load(std::memory_order_relaxed);
    const bool stale = t.plant == Plant::stale_data && (version & version_writes_mask) % 4 == 3;
    Message& d = t.send(NodeId(m.requester), Kind::data, m,
                        stale ? blank(entry, t) : share(entry, t));
    d.header.flags = m.header.flags & flag::want_done;
    // The home may write the value back: from now on that is its business. (What is evicting says
    // so once more when it arrives.)
    const bool home_reads = t.linked && !t.at_home() && m.requester == t.home.value;
    if (home_reads && (entry.word.load(std::memory_order_relaxed) & pin::dirty)) {
        d.header.flags |= flag::dirty;
        if (here) pin::clear(entry.word, pin::dirty);
    }
    d.version = version;
    d.length = length_of(entry);
    t.counters->bytes_out += d.length;
    if (t.at_home() && !m.has(flag::want_done)) t.send(t.self, Kind::served, m);
}

void serve_yield(Entry& entry, const Message& m, Transition& t) {
    const bool here = entry.state == CacheState::owner || entry.state == CacheState::exclusive;
    if (!here && entry.state != CacheState::evicting) return answer_lost(m, t);
    if (here && !pin::revoke_all(entry.word)) {
        if (t.plant != Plant::early_grant) return put_off(entry, m, t);
        // The planted bug: ownership leaves under the feet of a local holder.
        Message& d = t.send(NodeId(m.requester), Kind::data, m, share(entry, t));
        d.header.flags = flag::write;
        d.acks = m.acks;
        d.version = entry.version.load(std::memory_order_relaxed) + version_owner_step;
        d.length = length_of(entry);
        return pin::clear(entry.word, pin::revoking);
    }
    if (here && hook_first(entry, m, t)) return;
    if (here && t.plant != Plant::cut_misses_leaving) keep_as_of_cut(entry, t);
    const std::uint64_t version = entry.version.load(std::memory_order_relaxed);
    const bool forced = t.plant == Plant::lost_upgrade;
    const bool keep = m.has(flag::has_copy) && (m.version == version || forced);
    const bool renew = !keep && m.has(flag::renew);
    const bool empty = keep || renew;
    const std::uint32_t length = empty ? 0 : length_of(entry);
    if (empty) drop_bytes(entry, t);
    Message& d = t.send(NodeId(m.requester), Kind::data, m, empty ? Body() : hand_over(entry));
    d.header.flags = static_cast<std::uint16_t>(flag::write | (m.header.flags & flag::visit));
    if (keep) d.header.flags |= flag::keep;
    if (renew) d.header.flags |= flag::renew;
    d.acks = m.acks;
    d.version = version + version_owner_step;
    d.length = length;
    t.counters->bytes_out += length;
    ++t.counters->transfers;
    entry.state = here ? CacheState::invalid : CacheState::given;
    pin::clear(entry.word, t.home_coherence ? pin::referenced : pin::referenced | pin::slow);
    if (!here && entry.busy->evict_acked) end_eviction(entry, t);
}

void acknowledge(const Message& m, Transition& t) {
    t.send(NodeId(m.ack_to), Kind::ack, m).acks = 1;
}

void serve_invalidate(Entry& entry, const Message& m, Transition& t) {
    if (entry.state == CacheState::shared) {
        if (!pin::revoke_all(entry.word)) return put_off(entry, m, t);
        if (hook_first(entry, m, t)) return;
        drop_bytes(entry, t);
        entry.state = CacheState::invalid;
        if (entry.busy && entry.busy->txn != 0) entry.busy->lost_copy = true;
        ++t.counters->invalidations;
    }
    acknowledge(m, t);
}

void start_evict(Entry& entry, Transition& t) {
    if (t.plant != Plant::cut_misses_leaving) keep_as_of_cut(entry, t);
    Busy& busy = busy_of(entry, t);
    busy.txn = t.new_txn();
    busy.requested = Access::none;
    busy.evict_acked = false;
    Message& m = t.send(t.home, Kind::evict, SetId(entry.set), entry.id, TxnId(busy.txn), t.self,
                        t.plant == Plant::lost_write ? blank(entry, t) : share(entry, t));
    m.slot_version = t.slot_version;
    m.version = entry.version.load(std::memory_order_relaxed);
    m.length = length_of(entry);
    if (t.linked && (entry.word.load(std::memory_order_relaxed) & pin::dirty))
        m.header.flags |= flag::dirty;
    t.counters->bytes_out += m.length;
    ++t.counters->evictions;
    entry.state = CacheState::evicting;
    if (!t.home_coherence) pin::clear(entry.word, pin::slow);
    ++t.counters->evicting;
    if (t.plant == Plant::evict_without_ack) {
        drop_bytes(entry, t);
        entry.state = CacheState::invalid;
        busy.txn = 0;
        --t.counters->evicting;
    }
}

}  // namespace

void give_up(Entry& entry, Transition& t) {
    if (entry.state == CacheState::shared) {
        drop_bytes(entry, t);
        entry.state = CacheState::invalid;
    } else if (t.at_home()) {
        put_away(entry, t);
    } else {
        start_evict(entry, t);
    }
}

namespace {

void revoke_now(Entry& entry, const Message& m, Transition& t) {
    switch (m.kind()) {
        case Kind::fetch: serve_fetch(entry, m, t); break;
        case Kind::yield: serve_yield(entry, m, t); break;
        case Kind::evict: give_up(entry, t); break;
        default: serve_invalidate(entry, m, t); break;
    }
    entry.hooked = false;
    pump(entry, t);
}

}  // namespace

void revoke_at_last(Entry& entry, Transition& t) {
    const Message m = *entry.busy->revocation;
    entry.busy->revocation.reset();
    revoke_now(entry, m, t);
}

namespace {

void complete(Entry& entry, Transition& t) {
    Busy& busy = *entry.busy;
    if (!busy.has_data || busy.acks_missing != 0) return;
    if (busy.forgetting) return forgotten(entry, true, t);
    const bool write = busy.requested == Access::write;
    if (write && entry.state != CacheState::owner && entry.state != CacheState::exclusive)
        pin::set_generation(entry.word, t.generation);   // it came after the cut
    if (write)
        entry.state = CacheState::exclusive;
    else if (entry.state != CacheState::owner && entry.state != CacheState::exclusive)
        entry.state = CacheState::shared;
    std::uint64_t bits = pin::readable;
    if (entry.state == CacheState::exclusive) bits |= pin::writable;
    if (write) bits |= pin::dirty;
    if ((t.home_coherence || busy.visit) && !t.at_home()) bits |= pin::slow;
    pin::set(entry.word, bits);
    // Before pump, which may start the next request of this entry.
    if (busy.want_done)
        t.send(t.home, Kind::done, SetId(entry.set), entry.id, TxnId(busy.txn), t.self);
    busy.txn = 0;
    pump(entry, t, true);
    if (busy.revocation_after) {
        const Message after = *busy.revocation_after;
        busy.revocation_after.reset();
        revoke_now(entry, after, t);
    }
    // What was prefetched and does not stay has no holder whose put would send it back; a fetch
    // that was put off leaves it here as well.
    if (bits & pin::slow) flush(entry, t);
}

}  // namespace

bool ask(Entry& entry, Waiter& waiter, TxnId txn, const Surroundings& s, Message& request) {
    const bool write = waiter.want == Access::write;
    if (entry.busy || !(entry.state == CacheState::invalid ||
                        (entry.state == CacheState::shared && write)))
        return false;
    address(request, request_kind(waiter.want), SetId(entry.set), entry.id, txn, s.self);
    entry.busy = s.pools->busies.take();
    entry.busy->head = entry.busy->tail = &waiter;
    waiter.entry = &entry;
    pin::set(entry.word, pin::waiters);
    begin_request(entry, waiter.want, flags_of(waiter), s.slot_version, *s.counters, request);
    return true;
}

Waiter* arrive(Entry& entry, const Message& m, const Body& body, const Surroundings& s) {
    Busy* busy = entry.busy;
    if (!busy || busy->txn != m.txn || busy->has_data || m.has(flag::renew) ||
        m.has(flag::want_done) || m.has(flag::visit))
        return nullptr;
    if (busy->revocation || busy->revocation_after ||
        busy->acks_missing + static_cast<std::int32_t>(m.acks) != 0)
        return nullptr;
    Waiter* waiter = busy->head;
    if (!waiter || waiter->next || waiter->want != busy->requested ||
        waiter->use != Waiter::Use::task)
        return nullptr;
    const bool plain = entry.state == CacheState::invalid || entry.state == CacheState::shared;
    // Nobody pins while a task waits, and the machine is ours: only pins can go away meanwhile.
    const std::uint64_t word = entry.word.load(std::memory_order_acquire);
    if (!plain || pin::count(word) != 0 || !(word & pin::waiters)) return nullptr;
    const bool write = busy->requested == Access::write;
    if (m.has(flag::keep)) {
        waiter->value_kept = !busy->lost_copy;
    } else if (entry.inline_length) {
        pin::before_bytes_change();
        std::memcpy(entry.small, body.small_bytes(), sizeof entry.small);
    } else {
        if (entry.block) s.blocks->release(entry.block);
        entry.block = body.block();
    }
    s.counters->bytes_in += m.length;
    entry.set_version(m.version);
    entry.state = write ? CacheState::exclusive : CacheState::shared;
    const std::uint64_t access =
        write ? pin::readable | pin::writable | pin::writer_held | pin::dirty : pin::readable;
    const std::uint64_t dirty = m.has(flag::dirty) ? pin::dirty : 0;
    const std::uint64_t since = write ? pin::generation_of(word) ^ s.generation : 0;
    entry.word.store((((word ^ since) | access | dirty | pin::referenced) & ~pin::waiters) +
                         pin::one,
                     std::memory_order_release);
    waiter->granted = true;
    busy->head = busy->tail = nullptr;
    busy->txn = 0;
    s.pools->busies.give_back(busy);
    entry.busy = nullptr;
    return waiter;
}

void give_copy(Entry& entry, const Surroundings& s, Message& reply, Body& body) {
    entry.state = CacheState::owner;
    if (!entry.inline_length) s.blocks->keep(entry.block);
    body = entry.body();
    reply.version = entry.version.load(std::memory_order_relaxed);
    reply.length = length_of(entry);
    s.counters->bytes_out += reply.length;
}

void give_away(Entry& entry, const Message& m, const Surroundings& s, Message& reply, Body& body) {
    keep_as_of_cut(entry, s);
    const std::uint64_t version = entry.version.load(std::memory_order_relaxed);
    reply.header.flags = flag::write;
    if (m.has(flag::has_copy) && m.version == version)
        reply.header.flags |= flag::keep;
    else if (m.has(flag::renew))
        reply.header.flags |= flag::renew;
    reply.version = version + version_owner_step;
    if (reply.header.flags == flag::write) {
        reply.length = length_of(entry);
        body = hand_over(entry);
    } else if (!entry.inline_length) {
        s.blocks->release(std::exchange(entry.block, nullptr));
    }
    entry.state = CacheState::invalid;
    s.counters->bytes_out += reply.length;
    ++s.counters->transfers;
}

void want(Entry& entry, Waiter& waiter, Transition& t) {
    Busy& busy = busy_of(entry, t);
    waiter.entry = &entry;
    waiter.next = nullptr;
    if (t.plant == Plant::unfair_queue && busy.head) {
        waiter.next = busy.head->next;
        busy.head->next = &waiter;
        if (!waiter.next) busy.tail = &waiter;
    } else {
        (busy.tail ? busy.tail->next : busy.head) = &waiter;
        busy.tail = &waiter;
    }
    pin::set(entry.word, pin::waiters);  // before trying: the last unpin must see it
    pump(entry, t);
}

void prefetch(Entry& entry, Access access, Transition& t) {
    busy_of(entry, t);
    if (can_ask(entry) && !satisfies(entry.state, access)) start_request(entry, access, 0, t);
}

bool withdraw(Entry& entry, Waiter& waiter, Transition& t) {
    if (waiter.granted || waiter.error != Errc::ok || !entry.busy) return false;
    Busy& busy = *entry.busy;
    Waiter* previous = nullptr;
    for (Waiter* w = busy.head; w; previous = w, w = w->next) {
        if (w != &waiter) continue;
        (previous ? previous->next : busy.head) = w->next;
        if (busy.tail == w) busy.tail = previous;
        pump(entry, t);
        return true;
    }
    return false;
}

void unpinned(Entry& entry, Transition& t) {
    Busy* busy = entry.busy;
    if (busy) {
        if (busy->revocation && !busy->hook_running)
            revoke_at_last(entry, t);
        else
            pump(entry, t);
    }
    const bool visits = entry.word.load(std::memory_order_relaxed) & pin::slow;
    if (!visits || t.at_home()) return;
    const bool quiet = !entry.busy || entry.busy->idle();
    if (quiet && (entry.state == CacheState::shared || entry.state == CacheState::owner ||
                  entry.state == CacheState::exclusive))
        flush(entry, t);
}

void on_data(Entry& entry, const Message& m, const Body& body, Transition& t) {
    Busy* busy = entry.busy;
    if (!busy || busy->txn != m.txn || busy->has_data) {
        t.release(body);
        return;
    }
    if (m.has(flag::keep)) {
        if (busy->head && !busy->lost_copy) busy->head->value_kept = true;
    } else {
        if (body) {
            take_in(entry, body, t);
        } else {   // renewed
            drop_bytes(entry, t);
            must_make_bytes(entry, t);
        }
        t.counters->bytes_in += m.length;
        if (m.has(flag::dirty)) pin::set(entry.word, pin::dirty);
    }
    if (!entry.here()) must_make_bytes(entry, t);   // a planted lost upgrade: never leave a hole
    // Renewal is a write by itself: whoever asked may have given up since.
    entry.set_version(m.version + (m.has(flag::renew) ? 1 : 0));
    busy->has_data = true;
    busy->want_done = m.has(flag::want_done);
    busy->visit = m.has(flag::visit);
    busy->acks_missing += static_cast<std::int32_t>(m.acks);
    complete(entry, t);
}

void on_grant(Entry& entry, const Message& m, Transition& t) {
    Busy* busy = entry.busy;
    if (!busy || busy->txn != m.txn || busy->has_data) return;
    if (entry.state != CacheState::owner && entry.state != CacheState::exclusive) {
        // The home counts us as owner, but the bytes never came: they died with a node.
        Message lost = m;
        lost.acks = static_cast<std::uint32_t>(Errc::lost);
        lost.requester = no_node.value;
        return on_error(entry, lost, t);
    }
    if (busy->head) busy->head->value_kept = true;
    busy->has_data = true;
    busy->want_done = m.has(flag::want_done);
    busy->acks_missing += static_cast<std::int32_t>(m.acks);
    if (busy->requested == Access::write)
        entry.version.fetch_add(version_owner_step, std::memory_order_relaxed);
    complete(entry, t);
}

void on_ack(Entry& entry, const Message& m, Transition& t) {
    Busy* busy = entry.busy;
    if (!busy || busy->txn != m.txn) return;
    busy->acks_missing -= static_cast<std::int32_t>(m.acks);
    complete(entry, t);
}

void on_error(Entry& entry, const Message& m, Transition& t) {
    Busy* busy = entry.busy;
    if (!busy || busy->txn != m.txn) return;
    t.send(t.home, Kind::done, SetId(entry.set), entry.id, TxnId(busy->txn), t.self);
    busy->txn = 0;
    // An eviction is refused when somebody who is dead now owned the object after us.
    if (entry.state == CacheState::evicting || entry.state == CacheState::given)
        end_eviction(entry, t);
    fail_waiters(entry, static_cast<Errc>(m.acks), NodeId(m.requester), t);
    if (!busy->revocation_after) return;
    const Message after = *busy->revocation_after;
    busy->revocation_after.reset();
    revoke_now(entry, after, t);
}

void on_revoke(Entry& entry, const Message& m, Transition& t) {
    Busy* busy = entry.busy;
    if (busy && busy->txn != 0 && m.after_node == t.self.value && m.after_txn == busy->txn) {
        busy->revocation_after = m;
        return;
    }
    // A coarse group holds nodes without a copy, and the owner: its yield may be put off here, and
    // must stay so.
    if (m.kind() == Kind::invalidate && entry.state != CacheState::shared) return acknowledge(m, t);
    revoke_now(entry, m, t);
}

void on_evict_ack(Entry& entry, const Message& m, Transition& t) {
    Busy* busy = entry.busy;
    const bool leaving = entry.state == CacheState::evicting || entry.state == CacheState::given;
    if (!leaving || !busy || busy->txn != m.txn) return;
    if (m.has(flag::asked) && entry.state == CacheState::evicting) {
        busy->evict_acked = true;  // the yield has been overtaken: keep the bytes for it
        return;
    }
    end_eviction(entry, t);
    pump(entry, t);
}

void released(Entry& entry, Transition& t) {
    if (!entry.busy || !entry.busy->revocation || !entry.busy->hook_running) return;
    entry.busy->hook_running = false;
    entry.hooked = true;
    revoke_at_last(entry, t);
}

bool flush(Entry& entry, Transition& t) {
    if (t.at_home()) return true;
    if (entry.busy && !entry.busy->idle()) return false;
    if (entry.state == CacheState::invalid) return true;
    if (!pin::try_take_all(entry.word)) return false;
    Message m = make_message(Kind::evict, SetId(entry.set), entry.id, no_txn, t.self);
    if (!hook_first(entry, m, t)) give_up(entry, t);
    return true;
}

void install_evicted(Entry& entry, const Message& m, const Body& body, bool copies,
                     Transition& t) {
    if (entry.state == CacheState::shared) {
        // Our read copy is the same version, and may be pinned: keep it.
        t.release(body);
    } else {
        take_in(entry, body, t);
    }
    t.counters->bytes_in += m.length;
    entry.set_version(m.version);
    pin::set_generation(entry.word, t.generation);   // whoever had it has kept it
    entry.state = copies ? CacheState::owner : CacheState::exclusive;
    std::uint64_t bits = copies ? pin::readable : pin::readable | pin::writable;
    if (m.has(flag::dirty)) bits |= pin::dirty;
    pin::set(entry.word, bits);
}

void destroy(Entry& entry, Transition& t) {
    // Back to the state of birth under the write pin (the linker has done it for its own); then, if
    // nobody waits, forget it.
    if (!t.linked && t.fixed_length)
        std::ranges::fill(entry.bytes(), std::byte{0});
    else if (!t.linked)
        entry.block->length = 0;
    entry.next_version();
    const Home* home = entry.home();
    const bool alone = !home || home->alone(t.self);
    if (alone && (!entry.busy || entry.busy->idle()) && pin::try_drop_and_take_all(entry.word))
        return put_away(entry, t);
    pin::drop(entry.word, Access::write);
    unpinned(entry, t);
}

void fail_waiters(Entry& entry, Errc error, NodeId fault, Transition& t) {
    if (!entry.busy) return;
    while (Waiter* w = entry.busy->head) {
        w->error = error;
        w->fault = fault;
        pop_granted(*entry.busy, t);
    }
    pin::clear(entry.word, pin::waiters);
}

void on_node_lost(Entry& entry, NodeId node, Transition& t) {
    Busy* busy = entry.busy;
    if (!busy) return;
    if (t.home == node) {
        if (busy->txn != 0) {
            busy->txn = 0;
            if (entry.state == CacheState::evicting || entry.state == CacheState::given) {
                drop_bytes(entry, t);
                entry.state = CacheState::invalid;
                --t.counters->evicting;
            }
        }
        return fail_waiters(entry, Errc::peer_lost, node, t);
    }
    if (busy->forgetting) return forgotten(entry, false, t);
    // Tasks look again and give their grace; operations run for others and simply fail: they have
    // not executed, and whether their recall can still succeed is not known.
    const bool uncertain = busy->txn != 0;
    Waiter* w = busy->head;
    busy->head = busy->tail = nullptr;
    while (w) {
        Waiter* next = w->next;
        w->next = nullptr;
        if (uncertain && w->use == Waiter::Use::operation) {
            w->error = Errc::peer_lost;
            w->fault = node;
        } else {
            w->recheck = true;
            (busy->tail ? busy->tail->next : busy->head) = w;
            busy->tail = w;
        }
        t.granted.push_back(w);
        w = next;
    }
    if (!busy->head) pin::clear(entry.word, pin::waiters);
}

void forget(Entry& entry, Transition& t) {
    fail_waiters(entry, Errc::cancelled, no_node, t);
    if (!pin::try_take_all(entry.word)) return;
    keep_as_of_cut(entry, t);
    const bool leaving = entry.state == CacheState::evicting || entry.state == CacheState::given;
    if (leaving) --t.counters->evicting;
    drop_bytes(entry, t);
    entry.state = CacheState::invalid;
    if (entry.busy) entry.busy->txn = 0;
    if (entry.busy) entry.busy->revocation.reset();
    if (entry.busy) entry.busy->revocation_after.reset();
    if (entry.busy) entry.busy->loading = entry.busy->forgetting = false;
    if (!entry.has_home) return;
    entry.home()->queue.for_each([&](const Queued& q) { t.release(q.body); });
    entry.forget_home();
}

bool idle(const Entry& entry) {
    return !entry.busy && !entry.has_home && entry.state == CacheState::invalid;
}

}  // namespace cache
}  // namespace ssi::kddm
