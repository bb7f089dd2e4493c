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
    std::string linker;
    d.requester = from;
    d.txn = txn;
    {
        std::lock_guard lock(sets_mutex);
        const auto it = managed.find(name);
        if (it != managed.end()) {
            d.set = it->second.id;
            linker = it->second.options.linker;
            managed.erase(it);
            d.number = next_txn();
            for (const auto& member : membership.members)
                if (!node.lost(member.node)) d.missing.push_back(member.node);
            destructions.push_back(d);
        }
    }
    if (d.number == 0) {
        Message e = make_message(Kind::error, SetId(0), 0, TxnId(txn), no_node);
        e.acks = static_cast<std::uint32_t>(Errc::not_found);
        return from == self ? complete_rpc(e, {}) : send_block(from, e, nullptr);
    }
    for (const NodeId member : d.missing) {
        if (member == self) continue;
        Message m = make_message(Kind::set_gone, d.set, 0, TxnId(d.number), self);
        m.header.flags = flag::want_done;
        send_bytes(member, m, std::as_bytes(std::span(linker)));
    }
    forget_set(d.set, linker, [this, number = d.number] { set_gone_acknowledged(self, number); });
}

void Impl::receive_set_gone(NodeId from, const Message& m, std::span<const std::byte> payload) {
    const std::string_view linker(reinterpret_cast<const char*>(payload.data()), payload.size());
    forget_set(m.set_id(), linker, [this, from, set = m.set_id(), txn = m.txn] {
        Message ack = make_message(Kind::set_gone, set, 0, TxnId(txn), self);
        send_block(from, ack, nullptr);
    });
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

// Whether or not the set is known here: an answer that tells of it may still be on its way, and its
// linker may have something of it from another session. `then`: all that is over.
void Impl::forget_set(SetId id, std::string_view linker_name, std::function<void()> then) {
    SetState* set = nullptr;
    std::shared_ptr<Linker> linker;
    {
        std::lock_guard lock(sets_mutex);
        gone.insert(id.value);
        set = find_set(id);
        if (const auto known = linkers.find(linker_name); known != linkers.end())
            linker = known->second;
    }
    if (set) clear_set(*set);
    if (set) linker = set->linker;
    if (!linker) return then();
    linker_pool.post([this, set, linker, name = std::string(linker_name), then] {
        destroy_linked(set, *linker, name);
        then();
    });
}

// Fails who waits and frees what nobody holds; guards still held stay valid until let go. Whoever
// takes a shard's lock after us sees `destroyed`.
void Impl::clear_set(SetState& set) {
    {
        std::lock_guard lock(set.mutex);
        set.destroyed = true;
        set.control.fetch_or(control::troubled, std::memory_order_seq_cst);
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
