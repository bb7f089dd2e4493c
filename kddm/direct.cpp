// SPDX-License-Identifier: BSD-3-Clause
// The direct paths: a first get or grab of an object with which nothing else is going on, in three
// short critical sections: the request leaves, the home answers from its own copy, the answer
// arrives. Each takes the state machine from and to the same states as the general steps would, and
// leaves to them whatever is unusual.
#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

Surroundings Impl::surroundings(SetState& set, Shard& shard, std::uint32_t slot_version) {
    const std::uint64_t control = set.control.load(std::memory_order_acquire);
    return {self,        slot_version, set.has_hook.load(std::memory_order_acquire),
            set.moves_to_visit, &membership, &blocks, &shard.pools, &shard.counters,
            pin::generation_of(control), keepsakes_of(control)};
}

// True when the request is on its way; `w` will be notified.
bool Impl::ask_directly(SetState& set, ObjectId id, std::uint64_t hash, Waiter& w) {
    const Place place = place_of(set, id);
    if (!direct_ || place.home == self || set.options.coherence == Coherence::home) return false;
    Message request;
    {
        Shard& shard = set.shard(hash);
        std::lock_guard lock(shard.mutex);
        if (set.destroyed.load(std::memory_order_relaxed)) return false;
        Entry* entry = shard.index.find(hash, id);
        if (!entry) entry = shard.make(hash, set.id, id);
        if (!entry || !cache::ask(*entry, w, TxnId(next_txn()),
                                  surroundings(set, shard, place.slot_version), request))
            return false;
        ++shard.counters.misses;
        if (options.on_step) options.on_step(set.id, id);
    }
    send_block(place.home, request, nullptr);
    return true;
}

bool Impl::answer_directly(SetState& set, const Message& m, std::uint64_t hash,
                           Outbox* outbox) {
    if (!direct_) return false;
    Shard& shard = set.shard(hash);
    if (const Entry* hint = shard.index.find_hint(hash)) expect_home(hint);
    Message reply;
    Body body;
    {
        std::lock_guard lock(shard.mutex);
        Entry* entry = shard.index.find(hash, m.object());
        if (!entry || !directory::answer(*entry, m, surroundings(set, shard, 0), reply, body))
            return false;
        if (options.on_step) options.on_step(set.id, m.object());
    }
    outbox ? outbox->add(NodeId(m.requester), reply, body)
           : send_body(NodeId(m.requester), reply, body);
    return true;
}

bool Impl::arrive_directly(SetState& set, const Message& m, std::uint64_t hash, const Body& body) {
    if (!direct_ || set.options.coherence == Coherence::home) return false;
    Shard& shard = set.shard(hash);
    std::lock_guard lock(shard.mutex);
    Entry* entry = shard.index.find(hash, m.object());
    Waiter* w = entry ? cache::arrive(*entry, m, body, surroundings(set, shard, 0)) : nullptr;
    if (!w) return false;
    // Under the lock: a waiter that gives up looks at its state under it.
    waiter.notify(w->cell);
    if (options.on_step) options.on_step(set.id, m.object());
    return true;
}

}  // namespace ssi::kddm
