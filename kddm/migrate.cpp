// SPDX-License-Identifier: BSD-3-Clause
// migrate: a node is told to take ownership of objects. There each is wanted by an operation, as by
// a task that grabs it and lets go at once; the last one answers.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

constexpr std::size_t most_ids = 256;       // of one message
constexpr std::size_t most_messages = 16;   // under way

struct WireId {
    std::uint64_t hi;
    std::uint64_t lo;
};

}  // namespace

struct MoveBatch {
    Message request;
    std::atomic<std::uint32_t> missing{1};   // operations, and the handler itself
    sys::Mutex mutex;                        // of the next
    Result<void> result;                     // the first failure
    void note(Result<void>&& failed) {
        std::lock_guard lock(mutex);
        if (result) result = std::move(failed);
    }
};

void Impl::receive_migrate(SetState& set, const Message& m, std::span<const std::byte> payload) {
    auto batch = std::make_shared<MoveBatch>();
    batch->request = m;
    if (payload.size() % sizeof(WireId) != 0) {
        batch->note(fail(Errc::bad_message, "a list of ids that this build does not know"));
        return finish_move(*batch);
    }
    std::vector<WireId> ids(payload.size() / sizeof(WireId));
    if (!ids.empty()) std::memcpy(ids.data(), payload.data(), payload.size());
    const auto exists = [&](const WireId& id) {
        return set.options.count == 0 || (id.hi == 0 && id.lo < set.options.count);
    };
    if (set.destroyed || !std::ranges::all_of(ids, exists)) {
        batch->note(fail(set.destroyed ? Errc::not_found : Errc::bad_message,
                         fmt::format("set '{}' {}", set.name,
                                     set.destroyed ? "was destroyed" : "has no such object")));
        return finish_move(*batch);
    }
    // Where an object was first touched may have to be asked for, which a handler cannot wait for.
    const bool asks = set.touched && std::ranges::any_of(ids, [&](const WireId& id) {
        return set.touched->home(set.touched->slot_of({id.hi, id.lo})) == no_node;
    });
    const auto take_all = [this, &set, batch, ids = std::move(ids)] {
        Outbox outbox(*this);
        for (const WireId& id : ids) take_over(set, batch, {id.hi, id.lo}, outbox);
        finish_move(*batch);
    };
    asks ? executor.post(take_all) : take_all();
}

void Impl::take_over(SetState& set, const std::shared_ptr<MoveBatch>& batch, ObjectId id,
                     Outbox& outbox) {
    if (set.touched) {
        if (auto touched = touch(set, id); !touched) return batch->note(std::move(touched));
    }
    batch->missing.fetch_add(1, std::memory_order_relaxed);
    auto* operation = new Operation;
    operation->stay = true;
    operation->request = batch->request;
    operation->request.hi = id.hi;
    operation->request.lo = id.lo;
    operation->move = batch;
    queue_operation(set, operation, &outbox);
}

// The operation has the write pin, or has failed.
void Impl::run_move(Operation& operation, Operations& ready) {
    MoveBatch& batch = *operation.move;
    if (!operation.granted) {
        batch.note(fail(operation.error,
                        fmt::format("object {} could not move to node {}", operation.request.lo,
                                    self.value),
                        operation.fault));
    } else if (pin::must_run(pin::drop(operation.entry->word, Access::write))) {
        run_unpinned(*operation.set, operation.request.object(), operation.entry, &ready);
    }
    finish_move(batch);
}

void Impl::finish_move(MoveBatch& batch) {
    if (batch.missing.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
    const Message& m = batch.request;
    Message answer = make_message(Kind::reply, m.set_id(), 0, TxnId(m.txn), self);
    std::vector<std::byte> none;
    answer_operation(m, answer, batch.result, none);
}

Result<void> Impl::check_migrate(SetState& set, std::span<const ObjectId> ids, NodeId to) {
    if (!membership.find(to))
        return fail(Errc::invalid_argument,
                    fmt::format("migrate to node {}: no such node in this session", to.value));
    if (set.options.coherence == Coherence::home)
        return fail(Errc::invalid_argument,
                    fmt::format("migrate in set '{}': with coherence home nothing stays anywhere "
                                "but at its home", set.name));
    Held& held = Held::of_task();
    for (const ObjectId id : ids) {
        SSI_TRY(check_verb(set, id));
        if (held.empty()) continue;
        if (held.find(&set, id))
            return fail(Errc::deadlock, fmt::format("migrate of object {} of set '{}', which this "
                                                    "task holds: let go first", id.lo, set.name));
        SSI_TRY(check_order(set, id, held));
    }
    return {};
}

Result<void> Impl::migrate(SetState& set, std::span<const ObjectId> ids, NodeId to) {
    SSI_TRY(check_migrate(set, ids, to));
    const Entrance entrance(*this, set);
    struct Part {
        Message message;
        Rpc rpc;
    };
    Result<void> result;
    std::array<Part, most_messages> parts;
    for (std::size_t first = 0; first < ids.size() && result;) {
        std::size_t started = 0;
        for (; started < parts.size() && first < ids.size(); ++started) {
            Part& part = parts[started];
            std::array<WireId, most_ids> wire;
            const std::size_t count = std::min(most_ids, ids.size() - first);
            for (std::size_t i = 0; i < count; ++i)
                wire[i] = {ids[first + i].hi, ids[first + i].lo};
            first += count;
            part.message = make_message(Kind::migrate, set.id, 0, no_txn, self);
            part.rpc.cell.reset();
            part.rpc.error = Errc::ok;
            part.rpc.answered = false;
            part.rpc.request = &part.message;
            part.message.txn = new_rpc(part.rpc, to, set.id);
            const auto bytes = std::as_bytes(std::span(wire.data(), count));
            if (to == self)
                receive_migrate(set, part.message, bytes);
            else
                send_request(to, part.message, bytes);
        }
        // All are waited for, also after one has failed: their answers come to this stack.
        for (std::size_t i = 0; i < started; ++i) {
            wait_answered(parts[i].rpc);
            auto answered = answer_of(parts[i].rpc);
            if (result) result = std::move(answered);
        }
    }
    return result;
}

Result<void> RawSet::migrate(std::span<const ObjectId> ids, NodeId to) {
    return engine_->impl().migrate(*set_, ids, to);
}

}  // namespace ssi::kddm
