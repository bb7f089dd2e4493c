// SPDX-License-Identifier: BSD-3-Clause
// Destroying a set: the manager forgets the name, tells every node, and answers when all have
// given the objects up.
#include <fmt/format.h>

#include <algorithm>

#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

// At the manager. `from` may be this node.
void Impl::start_destroy(std::string_view name, NodeId from, std::uint64_t txn) {
    Destruction d;
    d.requester = from;
    d.txn = txn;
    {
        std::lock_guard lock(sets_mutex);
        const auto it = managed.find(name);
        if (it != managed.end()) {
            d.set = it->second.id;
            managed.erase(it);
            d.number = next_txn();
            for (const auto& member : membership.members)
                if (member.node != self && !node.lost(member.node))
                    d.missing.push_back(member.node);
            destructions.push_back(d);
        }
    }
    if (d.number == 0) {
        Message e = make_message(Kind::error, SetId(0), 0, TxnId(txn), no_node);
        e.acks = static_cast<std::uint32_t>(Errc::not_found);
        return from == self ? complete_rpc(e, {}) : send_block(from, e, nullptr);
    }
    for (const NodeId member : d.missing) {
        Message m = make_message(Kind::set_gone, d.set, 0, TxnId(d.number), self);
        m.header.flags = flag::want_done;
        send_block(member, m, nullptr);
    }
    forget_set(d.set);
    set_gone_acknowledged(no_node, d.number);
}

void Impl::receive_set_gone(NodeId from, const Message& m) {
    forget_set(m.set_id());
    Message ack = make_message(Kind::set_gone, m.set_id(), 0, TxnId(m.txn), self);
    send_block(from, ack, nullptr);
}

// `number` 0: a node died, it will not answer any destruction.
void Impl::set_gone_acknowledged(NodeId from, std::uint64_t number) {
    std::vector<Destruction> complete;
    {
        std::lock_guard lock(sets_mutex);
        for (Destruction& d : destructions)
            if (number == 0 || d.number == number) std::erase(d.missing, from);
        const auto done = std::stable_partition(
            destructions.begin(), destructions.end(),
            [](const Destruction& d) { return !d.missing.empty(); });
        complete.assign(done, destructions.end());
        destructions.erase(done, destructions.end());
    }
    for (const Destruction& d : complete) {
        Message r = make_message(Kind::reply, d.set, 0, TxnId(d.txn), self);
        if (d.requester == self)
            complete_rpc(r, {});
        else
            send_block(d.requester, r, nullptr);
    }
}

// Whether or not the set is known here: an answer that tells of it may still be on its way.
void Impl::forget_set(SetId id) {
    SetState* set = nullptr;
    {
        std::lock_guard lock(sets_mutex);
        gone.insert(id.value);
        set = find_set(id);
    }
    if (set) clear_set(*set);
}

// Fails who waits and frees what nobody holds; guards still held stay valid until let go. Whoever
// takes a shard's lock after us sees `destroyed`.
void Impl::clear_set(SetState& set) {
    {
        std::lock_guard lock(set.mutex);
        set.destroyed = true;
        set.troubled = true;
    }
    for (std::uint32_t i = 0; i <= set.shard_mask; ++i) {
        std::vector<ObjectId> ids;
        {
            std::lock_guard lock(set.shards[i].mutex);
            set.shards[i].index.for_each([&](const Entry& e) { ids.push_back(e.id); });
        }
        for (const ObjectId id : ids) {
            Step step(*this, set, id, hash_object(set.id, id));
            if (Entry* entry = step.find()) cache::forget(*entry, step.t());
        }
    }
    if (set.linker) linker_pool.post([this, &set] { destroy_linked(set); });
}

Result<void> Impl::destroy_set(std::string_view name) {
    Rpc rpc;
    const std::uint64_t txn = new_rpc(rpc, manager());
    if (self == manager()) {
        start_destroy(name, self, txn);
        wait_answered(rpc);
        if (rpc.error != Errc::ok)
            return fail(rpc.error, fmt::format("no set '{}' in this session", name));
        return {};
    }
    Message m = make_message(Kind::set_destroy, SetId(0), 0, TxnId(txn), self);
    auto done = call(manager(), m, std::as_bytes(std::span(name)), rpc);
    if (!done && done.error().code == Errc::not_found)
        return fail(Errc::not_found, fmt::format("no set '{}' in this session", name));
    return done;
}

}  // namespace ssi::kddm
