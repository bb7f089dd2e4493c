// SPDX-License-Identifier: BSD-3-Clause
// What a node does when another is dead. Surviving a loss is a later release's business: here every
// operation that needs the dead node fails with peer_lost, and none waits for ever.
#include <algorithm>

#include "engine_impl.hpp"
#include "long_wait.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

void Impl::on_node_lost(NodeId lost) {
    std::vector<SetState*> sets;
    {
        std::lock_guard lock(sets_mutex);
        for (const auto& set : owned_sets) sets.push_back(set.get());
    }
    for (SetState* set : sets) {
        for (std::uint32_t i = 0; i <= set->shard_mask; ++i) {
            std::vector<ObjectId> touched;
            {
                std::lock_guard lock(set->shards[i].mutex);
                set->shards[i].index.for_each([&](const Entry& e) {
                    const bool pinned = pin::mark_of(e.word.load(std::memory_order_relaxed)) != 0;
                    if (e.busy || e.has_home || pinned) touched.push_back(e.id);
                });
            }
            for (const ObjectId id : touched) {
                Step step(*this, *set, id, hash_object(set->id, id));
                Entry* entry = step.find();
                if (!entry) continue;
                drop_pin_of(lost, *entry, step);
                directory::on_node_lost(*entry, lost, step.t());
                cache::on_node_lost(*entry, lost, step.t());
            }
        }
    }
    fail_rpcs(lost);
    set_gone_acknowledged(lost, 0);
}

// Requests to the dead node fail. The others are woken: what they wait for may wait for the dead.
void Impl::fail_rpcs(NodeId lost) {
    std::vector<std::uint64_t> txns;
    {
        std::lock_guard lock(rpc_mutex);
        for (Rpc* first : rpcs)
            for (Rpc* rpc = first; rpc; rpc = rpc->next) {
                if (rpc->to == lost)
                    txns.push_back(rpc->txn);
                else
                    waiter.notify(rpc->cell);
            }
    }
    for (const std::uint64_t txn : txns) {
        Message e = make_message(Kind::error, SetId(0), 0, TxnId(txn), lost);
        e.acks = static_cast<std::uint32_t>(Errc::peer_lost);
        complete_rpc(e, {});
    }
}

// As in wait_granted: after a loss nobody waits without a bound. An operation that failed this way
// may still execute.
bool Impl::wait_answered(Rpc& rpc, Nanoseconds limit) {
    Nanoseconds deadline = sys::Waiter::forever;
    if (node.any_lost()) deadline = std::max(clock.now(), node.last_loss()) + loss_grace;
    AnswerWait note(*this, rpc);
    for (;;) {
        const bool ready = waiter.wait_until(rpc.cell, std::min(deadline, limit));
        if (ready && !node.any_lost()) return true;
        std::lock_guard lock(rpc_mutex);
        if (rpc.answered) return true;
        if (!ready && limit < deadline) return false;
        if (!ready) {
            unlink_rpc(rpc);
            rpc.error = Errc::peer_lost;
            return true;
        }
        rpc.cell.reset();
        deadline = std::max(clock.now(), node.last_loss()) + loss_grace;
    }
}

}  // namespace ssi::kddm
