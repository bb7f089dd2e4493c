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
                    if (e.busy || e.has_home) touched.push_back(e.id);
                });
            }
            for (const ObjectId id : touched) {
                Step step(*this, *set, id, hash_object(set->id, id));
                Entry* entry = step.find();
                if (!entry) continue;
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
        for (Rpc* rpc = rpcs; rpc; rpc = rpc->next) {
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
void Impl::wait_answered(Rpc& rpc) {
    Nanoseconds deadline = sys::Waiter::forever;
    if (node.any_lost()) deadline = std::max(clock.now(), node.last_loss()) + loss_grace;
    AnswerWait note(*this, rpc);
    for (;;) {
        const bool ready = waiter.wait_until(rpc.cell, deadline);
        if (ready && !node.any_lost()) return;
        std::lock_guard lock(rpc_mutex);
        if (rpc.answered) return;
        if (!ready) {
            for (Rpc** link = &rpcs; *link; link = &(*link)->next) {
                if (*link != &rpc) continue;
                *link = rpc.next;
                break;
            }
            rpc.error = Errc::peer_lost;
            return;
        }
        rpc.cell.reset();
        deadline = std::max(clock.now(), node.last_loss()) + loss_grace;
    }
}

}  // namespace ssi::kddm
