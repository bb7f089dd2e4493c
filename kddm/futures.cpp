// SPDX-License-Identifier: BSD-3-Clause
// Asynchronous verbs. An acquisition is a prefetch that its future watches; an operation is a
// request whose answer finds the future's Rpc.
#include "ssi/kddm/future.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <optional>

#include "engine_impl.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

constexpr Nanoseconds shortest_rest_ns = 2'000;
constexpr Nanoseconds longest_rest_ns = 200'000;

Nanoseconds deadline_of(const Clock& clock, Nanoseconds duration) {
    const Nanoseconds now = clock.now();
    return duration >= sys::Waiter::forever - now ? sys::Waiter::forever : now + duration;
}

// Waits for messages, not for anything in particular.
void rest_for(Impl& impl, Nanoseconds duration) {
    sys::WaitCell never;
    impl.waiter.wait_until(never, impl.clock.now() + duration);
}

class PendingGuard final : public Pending {
public:
    PendingGuard(Impl& impl, SetState& set, ObjectId id, Access access)
        : impl_(impl), set_(set), id_(id), access_(access) {
        if (auto checked = impl.check_verb(set, id); !checked) {
            failure_ = std::move(checked).error();
            return;
        }
        const Impl::Entrance entrance(impl, set);
        Outbox outbox(impl);
        if (set.options.coherence == Coherence::coherent) impl.ask(set, id, access, outbox);
    }

    bool ready() override {
        if (guard_.held() || failure_ || impl_.here(set_, id_, access_)) return true;
        impl_.node.doors().transport.poll();
        if (impl_.here(set_, id_, access_)) return true;
        if (Impl::gated(set_) && !Held::of_task().inside()) return false;
        const Impl::Entrance entrance(impl_, set_);
        Outbox outbox(impl_);   // unless it is under way, somebody else has it
        impl_.ask(set_, id_, access_, outbox);
        return false;
    }
    bool wait_for(Nanoseconds duration) override {
        if (guard_.held() || failure_) return true;
        auto guard = impl_.acquire(set_, id_,
                                   {.access = access_,
                                    .deadline = deadline_of(impl_.clock, duration)});
        if (guard)
            guard_ = std::move(*guard);
        else if (guard.error().code != Errc::timed_out)
            failure_ = std::move(guard).error();
        return guard_.held() || failure_;
    }
    Result<RawGuard> take_guard() override {
        if (failure_) return tl::unexpected<Failure>(std::move(*failure_));
        return std::move(guard_);
    }
    Order order() const override { return {true, set_.id, id_}; }
    void rest(Nanoseconds duration) override { rest_for(impl_, duration); }

private:
    Impl& impl_;
    SetState& set_;
    const ObjectId id_;
    const Access access_;
    RawGuard guard_;
    std::optional<Failure> failure_;
};

class PendingOperation final : public Pending {
public:
    PendingOperation(Impl& impl, SetState& set, ObjectId id, Message m,
                     std::span<const std::byte> arguments, std::string_view name = {})
        : impl_(impl), set_(set), id_(id) {
        auto started = start(m, arguments, name);
        if (started) return;
        failure_ = std::move(started).error();
    }
    ~PendingOperation() override {
        if (under_way_) impl_.forget_rpc(rpc_);
    }

    bool ready() override {
        if (!under_way_) return true;
        if (!rpc_.cell.ready()) impl_.node.doors().transport.poll();
        return rpc_.cell.ready() && wait_for(0);
    }
    // To wait for the object's home is to want the object: the order rule holds.
    bool wait_for(Nanoseconds duration) override {
        if (!under_way_) return true;
        if (!rpc_.cell.ready()) {
            if (auto ordered = impl_.check_order(set_, id_, Held::of_task()); !ordered) {
                impl_.forget_rpc(rpc_);
                under_way_ = false;
                failure_ = std::move(ordered).error();
                return true;
            }
        }
        if (!impl_.wait_answered(rpc_, deadline_of(impl_.clock, duration))) return false;
        under_way_ = false;
        if (auto answered = impl_.answer_of(rpc_); !answered)
            failure_ = std::move(answered).error();
        return true;
    }
    Result<std::uint64_t> take_number() override {
        if (failure_) return tl::unexpected<Failure>(std::move(*failure_));
        return rpc_.answer.version;
    }
    Result<std::vector<std::byte>> take_bytes() override {
        if (failure_) return tl::unexpected<Failure>(std::move(*failure_));
        return std::move(rpc_.bytes);
    }
    void rest(Nanoseconds duration) override { rest_for(impl_, duration); }

private:
    Result<void> start(Message& m, std::span<const std::byte> arguments, std::string_view name);

    Impl& impl_;
    SetState& set_;
    const ObjectId id_;
    Rpc rpc_;
    bool under_way_ = false;
    std::optional<Failure> failure_;
};

Result<void> PendingOperation::start(Message& m, std::span<const std::byte> arguments,
                                     std::string_view name) {
    SSI_TRY(impl_.check_verb(set_, id_));
    if (m.kind() == Kind::apply) SSI_TRY(impl_.check_apply(m, name, arguments.size()));
    Held& held = Held::of_task();
    if (HeldItem* item = held.find(&set_, id_)) {
        if (!item->write)
            return fail(Errc::deadlock, "the operation needs its object exclusively, but this task "
                                        "holds it: let go first");
        SSI_TRY(impl_.execute(set_, *item->entry, m, arguments, rpc_.answer, rpc_.bytes));
        return {};
    }
    SSI_TRY(impl_.check_order(set_, id_, held));
    const Impl::Entrance entrance(impl_, set_);
    const auto [home, slot_version] = impl_.place_of(set_, id_);
    m.slot_version = slot_version;
    m.txn = impl_.new_rpc(rpc_, home, set_.id);
    m.length = static_cast<std::uint32_t>(arguments.size());
    under_way_ = true;
    if (home == impl_.self) {
        std::vector<std::byte> copy(arguments.begin(), arguments.end());
        impl_.receive_operation(set_, m, copy);
    } else {
        impl_.send_request(home, m, arguments);
    }
    return {};
}

}  // namespace

Result<RawGuard> Pending::take_guard() {
    SSI_ASSERT(false, "this future has no guard");
}
Result<std::uint64_t> Pending::take_number() {
    SSI_ASSERT(false, "this future has no number");
}
Result<std::vector<std::byte>> Pending::take_bytes() {
    SSI_ASSERT(false, "this future has no reply");
}

void wait_all(std::span<Pending* const> pending) {
    std::vector<Pending*> ordered(pending.begin(), pending.end());
    std::stable_sort(ordered.begin(), ordered.end(), [](const Pending* a, const Pending* b) {
        return a->order() < b->order();
    });
    for (Pending* one : ordered) one->wait_for(Pending::forever);
}

std::size_t wait_any(std::span<Pending* const> pending) {
    SSI_ASSERT(!pending.empty(), "wait_any of nothing would wait for ever");
    for (Nanoseconds pause = shortest_rest_ns;; pause = std::min(2 * pause, longest_rest_ns)) {
        for (std::size_t i = 0; i < pending.size(); ++i)
            if (pending[i]->ready()) return i;
        pending.front()->rest(pause);
    }
}

// Whether acquiring the object would not wait for messages. A hint.
bool Impl::here(SetState& set, ObjectId id, Access access) {
    const bool at_home = home_of(set, id) == self;
    if (set.options.coherence == Coherence::home && !at_home) return true;
    Step step(*this, set, id, hash_object(set.id, id));
    Entry* entry = step.find();
    if (!entry || cache::absent(*entry, step.t())) return at_home && !set.linker;
    const std::uint64_t word = entry->word.load(std::memory_order_relaxed);
    return word & (access == Access::write ? pin::writable : pin::readable);
}

Future<RawGuard> RawSet::get_async(ObjectId id) {
    return {std::make_unique<PendingGuard>(engine_->impl(), *set_, id, Access::read),
            [](Pending& p) { return p.take_guard(); }};
}

Future<RawGuard> RawSet::grab_async(ObjectId id) {
    return {std::make_unique<PendingGuard>(engine_->impl(), *set_, id, Access::write),
            [](Pending& p) { return p.take_guard(); }};
}

Future<std::vector<std::byte>> RawSet::apply_async(ObjectId id, std::string_view function,
                                                   std::span<const std::byte> arguments) {
    Message m = make_message(Kind::apply, set_->id, id, no_txn, engine_->impl().self);
    m.version = function_hash(function);
    return {std::make_unique<PendingOperation>(engine_->impl(), *set_, id, m, arguments, function),
            [](Pending& p) { return p.take_bytes(); }};
}

Future<std::uint64_t> RawSet::atomic_async(ObjectId id, const Atomic& atomic,
                                           std::uint32_t offset) {
    const Message m = atomic_message(*set_, id, atomic, offset, engine_->impl().self);
    std::span<const std::byte> expected;
    if (atomic.op == AtomicOp::compare_exchange)
        expected = std::as_bytes(std::span(&atomic.expected, 1));
    return {std::make_unique<PendingOperation>(engine_->impl(), *set_, id, m, expected),
            [](Pending& p) { return p.take_number(); }};
}

}  // namespace ssi::kddm
