// SPDX-License-Identifier: BSD-3-Clause
// Shipped operations: apply, atomics and remove run at the object's home with the write pin, as
// if a task of the home had grabbed the object. The fast path runs in the handler without a lock.
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <cstring>

#include "engine_impl.hpp"
#include "entry_view.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

constexpr std::size_t max_reply_bytes = 64u << 10;

Atomic atomic_of(const Message& m) {
    const unsigned flags = m.header.flags;
    return {static_cast<AtomicOp>((flags >> flag::atomic_op_shift) & 15),
            static_cast<NumberKind>((flags >> flag::number_kind_shift) & 15), m.version, 0};
}

}  // namespace

std::uint64_t function_hash(std::string_view name) {
    return XXH3_64bits(name.data(), name.size());
}

const RegisteredFunction* Impl::function(std::uint64_t hash) const {
    std::lock_guard lock(sets_mutex);
    const auto it = functions.find(hash);
    return it == functions.end() ? nullptr : &it->second;
}

Result<void> Impl::resize(SetState& set, Entry& entry, std::size_t length, Growth growth) {
    if (length == entry.bytes().size()) return {};
    if (set.options.kind == ObjectKind::fixed)
        return fail(Errc::invalid_argument,
                    fmt::format("set '{}' has objects of fixed size: they cannot be resized",
                                set.name));
    if (length > max_object_bytes)
        return fail(Errc::too_large, fmt::format("object of {} bytes: the limit is {}", length,
                                                 max_object_bytes));
    Block* block = entry.block;
    const auto wanted = static_cast<std::uint32_t>(length);
    if (length > block->capacity) {
        const bool at_home = block->state & 2;
        const auto room = static_cast<std::uint32_t>(
            std::clamp<std::size_t>(growth.room, length, max_object_bytes));
        Block* bigger = blocks.allocate(set.id, entry.id, room, at_home);
        if (!bigger)
            return fail(Errc::out_of_memory,
                        fmt::format("no memory for an object of {} bytes: raise arena.limit_bytes",
                                    length));
        std::memcpy(sys::bytes_of(bigger), sys::bytes_of(block), block->length);
        bigger->length = block->length;
        entry.block = bigger;
        blocks.release(block);
        block = bigger;
    }
    if (wanted > block->length && growth.zeroed)
        std::memset(sys::bytes_of(block) + block->length, 0, wanted - block->length);
    block->length = wanted;
    return {};
}

Result<void> Impl::execute_atomic(std::span<std::byte> bytes, const Message& m,
                                  std::span<const std::byte> arguments, Message& answer) const {
    if (m.acks % 8 != 0 || m.acks + 8ull > bytes.size())
        return fail(Errc::invalid_argument,
                    fmt::format("an atomic operation at offset {} of an object of {} bytes: needs "
                                "8 aligned bytes", m.acks, bytes.size()));
    Atomic atomic = atomic_of(m);
    const std::size_t wanted = atomic.op == AtomicOp::compare_exchange ? 8 : 0;
    if (atomic.op > AtomicOp::compare_exchange || atomic.kind > NumberKind::float64 ||
        arguments.size() != wanted)
        return fail(Errc::bad_message, "an atomic operation that this build does not know");
    if (wanted) std::memcpy(&atomic.expected, arguments.data(), wanted);
    std::byte* place = bytes.data() + m.acks;
    std::uint64_t before;
    std::memcpy(&before, place, 8);
    if (options.plant == Plant::careless_compare && wanted && !((before ^ atomic.expected) & 1))
        atomic.op = AtomicOp::exchange;
    const std::uint64_t after = atomic.apply(before);
    std::memcpy(place, &after, 8);
    answer.version = before;  // `answer` may be `m`
    return {};
}

// Runs the operation on an object whose write pin we have. Fills version (atomic) or bytes.
Result<void> Impl::execute(SetState& set, Entry& entry, const Message& m,
                           std::span<const std::byte> arguments, Message& answer,
                           std::vector<std::byte>& bytes) {
    entry.note_change();
    if (m.kind() == Kind::atomic) return execute_atomic(entry.bytes(), m, arguments, answer);
    const RegisteredFunction* f = function(m.version);
    if (!f)
        return fail(Errc::not_found, fmt::format("no function with hash {:x} is registered at "
                                                 "node {}", m.version, self.value));
    EntryView view(*this, set, entry, &m);
    SSI_TRY(view.check(f->name));
    set.applies.fetch_add(1, std::memory_order_relaxed);
    Result<void> result;
    try {
        result = f->function(view, arguments, bytes);
    } catch (const std::exception& e) {
        result = fail(Errc::function_failed, e.what());
    } catch (...) {
        result = fail(Errc::function_failed, "it threw something that is no std::exception");
    }
    if (!result)
        return fail(Errc::function_failed,
                    fmt::format("function '{}' at node {}: {}", f->name, self.value,
                                result.error().text));
    if (bytes.size() > max_reply_bytes)
        return fail(Errc::too_large, fmt::format("function '{}' replied {} bytes: the limit is {}",
                                                 f->name, bytes.size(), max_reply_bytes));
    return {};
}

void Impl::answer_operation(const Message& request, Message& answer, const Result<void>& result,
                            std::vector<std::byte>& bytes) {
    if (!result) {
        answer.header.kind = static_cast<std::uint8_t>(Kind::error);
        answer.acks = static_cast<std::uint32_t>(result.error().code);
        answer.requester = result.error().node.value;
        const auto text = std::as_bytes(std::span(result.error().text));
        bytes.assign(text.begin(), text.end());
    }
    if (NodeId(request.requester) == self) {   // see RawUpdates, and futures
        answer.length = static_cast<std::uint32_t>(bytes.size());
        return complete_rpc(answer, bytes);
    }
    send_bytes(NodeId(request.requester), answer, bytes);
}

void Impl::receive_operation(SetState& set, const Message& m, std::span<std::byte> payload) {
    const std::uint64_t hash = hash_object(set.id, m.object());
    const RegisteredFunction* f = m.kind() == Kind::apply ? function(m.version) : nullptr;
    const bool here = m.kind() != Kind::remove && !(f && f->run == Run::on_executor);
    Entry* entry = here ? set.shard(hash).index.find_hint(hash) : nullptr;
    if (entry) expect_bytes(*entry);
    if (entry && pin::try_write(entry->word)) {
        const ObjectId found = entry->id;
        if (found == m.object()) {
            Message answer = make_message(Kind::reply, m.set_id(), found, TxnId(m.txn), self);
            std::vector<std::byte> bytes;
            before_write(set, *entry, false);
            const Result<void> result = execute(set, *entry, m, payload, answer, bytes);
            if (result && m.kind() == Kind::atomic) show_place(*entry, m, answer);
            entry->next_version();
            const auto before = pin::drop(entry->word, Access::write);
            answer_operation(m, answer, result, bytes);
            if (pin::must_run(before)) run_unpinned(set, found, entry);
            return;
        }
        if (pin::must_run(pin::drop(entry->word, Access::write))) run_unpinned(set, found, entry);
    }
    auto* operation = new Operation;
    operation->request = m;
    operation->arguments.assign(payload.begin(), payload.end());
    queue_operation(set, operation, nullptr);
}

// Has it wait for its object exclusively, which comes into memory if need be; without memory for
// that it fails at once. Its messages go to `outbox`, or out.
void Impl::queue_operation(SetState& set, Operation* operation, Outbox* outbox) {
    operation->use = Waiter::Use::operation;
    operation->want = Access::write;
    operation->set = &set;
    const ObjectId id = operation->request.object();
    Step step(*this, set, id, hash_object(set.id, id));
    step.collect(outbox);
    Entry& entry = step.make();
    if (cache::absent(entry, step.t()) && !cache::bring(entry, false, step.t())) {
        operation->error = Errc::out_of_memory;
        step.finish();
        Operations failed{operation};
        return run_operations(failed);
    }
    cache::want(entry, *operation, step.t());
}

// One operation lets the next go: a loop, so that a long queue needs no deep stack.
void Impl::run_operations(Operations& ready) {
    for (std::size_t i = 0; i < ready.size(); ++i) {
        Operation* operation = ready[i];
        if (operation->storing) {
            begin_store(operation);
            continue;
        }
        const RegisteredFunction* f = operation->request.kind() == Kind::apply
                                          ? function(operation->request.version)
                                          : nullptr;
        const bool removes = operation->request.kind() == Kind::remove && operation->set->linker;
        const bool lengthy = removes || (f && f->run == Run::on_executor) ||
                             is_lengthy_read(*operation);
        if (operation->granted && lengthy)
            (removes ? linker_pool : executor).post([this, operation] {
                Operations next;
                run_operation(operation, next);
                run_operations(next);
            });
        else
            run_operation(operation, ready);
    }
}

// The operation has the write pin (or failed). Called without a lock.
void Impl::run_operation(Operation* operation, Operations& ready) {
    std::unique_ptr<Operation> owned(operation);
    const Message& m = operation->request;
    if (owned->part) return run_part(*owned, ready);
    if (owned->move) return run_move(*owned, ready);
    SetState& set = *operation->set;
    Message answer = make_message(Kind::reply, m.set_id(), m.object(), TxnId(m.txn), self);
    std::vector<std::byte> bytes;
    if (!operation->granted) {
        std::string text = "the operation was not executed: its object is out of reach";
        if (operation->error == Errc::linker_failed) text += ": " + linker_failure(set);
        const Result<void> failed = fail(operation->error, std::move(text), operation->fault);
        return answer_operation(m, answer, failed, bytes);
    }
    Entry* entry = operation->entry;
    pin::before_bytes_change();   // another task may have closed the word for us
    if (m.kind() == Kind::read_request) {
        answer_read(set, m, *entry);
        if (pin::must_run(pin::drop(entry->word, Access::read)))
            run_unpinned(set, m.object(), entry, &ready);
        return;
    }
    before_write(set, *entry, false);
    if (m.kind() == Kind::remove) {
        if (auto removed = unlink(set, *entry); !removed) {
            if (pin::must_run(pin::drop(entry->word, Access::write)))
                run_unpinned(set, m.object(), entry, &ready);
            return answer_operation(m, answer, removed, bytes);
        }
        {
            Step step(*this, set, m.object(), hash_object(set.id, m.object()), &ready);
            step.use(entry);
            cache::destroy(*entry, step.t());
        }
        return answer_operation(m, answer, {}, bytes);
    }
    const Result<void> result = execute(set, *entry, m, operation->arguments, answer, bytes);
    entry->next_version();
    const auto before = pin::drop(entry->word, Access::write);
    answer_operation(m, answer, result, bytes);
    if (pin::must_run(before)) run_unpinned(set, m.object(), entry, &ready);
}

std::uint64_t Impl::new_rpc(Rpc& rpc, NodeId to, SetId set) {
    rpc.txn = next_txn() | rpc_bit;
    rpc.to = to;
    rpc.set = set;
    std::lock_guard lock(rpc_mutex);
    Rpc*& first = rpcs[rpc.txn % rpcs.size()];
    rpc.next = std::exchange(first, &rpc);
    return rpc.txn;
}

bool Impl::unlink_rpc(Rpc& rpc) {
    for (Rpc** link = &rpcs[rpc.txn % rpcs.size()]; *link; link = &(*link)->next) {
        if (*link != &rpc) continue;
        *link = rpc.next;
        return true;
    }
    return false;
}

// What it asked for may be done all the same: until it is answered a cut waits for it.
void Impl::forget_rpc(Rpc& rpc) {
    auto orphan = std::make_unique<Rpc>();
    orphan->txn = rpc.txn;
    orphan->to = rpc.to;
    orphan->set = rpc.set;
    orphan->orphaned = true;
    std::lock_guard lock(rpc_mutex);
    if (!unlink_rpc(rpc)) return;
    Rpc*& first = rpcs[orphan->txn % rpcs.size()];
    orphan->next = first;
    first = orphan.release();
}

void Impl::complete_rpc(const Message& m, std::span<const std::byte> payload) {
    std::lock_guard lock(rpc_mutex);
    for (Rpc** link = &rpcs[m.txn % rpcs.size()]; *link; link = &(*link)->next) {
        Rpc* rpc = *link;
        if (rpc->txn != m.txn) continue;
        *link = rpc->next;
        if (rpc->orphaned) {
            delete rpc;
            return;
        }
        rpc->answer = m;
        if (m.kind() == Kind::read_reply && rpc->room && payload.size() == rpc->room_bytes)
            std::memcpy(rpc->room, payload.data(), payload.size());
        else if (!payload.empty())
            rpc->bytes.assign(payload.begin(), payload.end());
        if (m.kind() == Kind::error) {
            rpc->error = static_cast<Errc>(m.acks);
            rpc->fault = NodeId(m.requester);
        }
        rpc->answered = true;
        return waiter.notify(rpc->cell);
    }
}

// Sends a request whose txn new_rpc gave.
void Impl::send_request(NodeId to, Message& m, std::span<const std::byte> bytes, Outbox* outbox) {
    if (node.lost(to)) {
        Message e = make_message(Kind::error, m.set_id(), m.object(), TxnId(m.txn), to);
        e.acks = static_cast<std::uint32_t>(Errc::peer_lost);
        complete_rpc(e, {});
    } else {
        send_bytes(to, m, bytes, outbox);
    }
}

// Sends it and waits for its answer.
Result<void> Impl::call(NodeId to, Message& m, std::span<const std::byte> bytes, Rpc& rpc) {
    rpc.request = &m;
    send_request(to, m, bytes);
    wait_answered(rpc);
    return answer_of(rpc);
}

// Of an answered request: what went wrong.
Result<void> Impl::answer_of(Rpc& rpc) {
    if (rpc.error == Errc::ok) return {};
    std::string text(reinterpret_cast<const char*>(rpc.bytes.data()), rpc.bytes.size());
    if (text.empty()) text = fmt::format("the request to node {} failed", rpc.to.value);
    return fail(rpc.error, std::move(text), rpc.fault);
}

// apply, fetch_add or remove from this node: in place, as a local grab at the home, or shipped.
Result<void> Impl::operate(SetState& set, ObjectId id, Message& m,
                           std::span<const std::byte> arguments, std::vector<std::byte>& bytes) {
    SSI_TRY(check_verb(set, id));
    Held& held = Held::of_task();
    if (HeldItem* item = held.find(&set, id)) {
        if (!item->write || m.kind() == Kind::remove)
            return fail(Errc::deadlock, "the operation needs its object exclusively, but this task "
                                        "holds it: let go first (or grab it, for apply)");
        return execute(set, *item->entry, m, arguments, m, bytes);
    }
    SSI_TRY(check_order(set, id, held));
    const auto [home, slot_version] = place_of(set, id);
    if (home == self) {
        // With its value, also for remove: when the linker refuses, the object stays as it was.
        auto guard = acquire(set, id, {Access::write});
        if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
        if (m.kind() != Kind::remove) return execute(set, *guard->entry_, m, arguments, m, bytes);
        Entry* entry = guard->entry_;
        SSI_TRY(unlink(set, *entry));
        guard->access_ = Access::none;
        held.remove(entry, Access::write);
        Step step(*this, set, id, hash_object(set.id, id));
        step.use(entry);
        cache::destroy(*entry, step.t());
        return {};
    }
    const Entrance entrance(*this, set);
    const bool number = m.kind() == Kind::atomic;
    if (number)
        if (auto done = operate_in_place(set, id, home, m, arguments)) return *done;
    m.slot_version = slot_version;
    for (Nanoseconds deadline = 0;;) {
        Rpc rpc;
        m.txn = new_rpc(rpc, home, set.id);
        const Result<void> done = call(home, m, arguments, rpc);
        if (!done && home_may_have_room(set, id, done.error(), deadline)) continue;
        SSI_TRY(done);
        if (number) learn_shown(set, id, home, rpc.answer);
        m.version = rpc.answer.version;
        bytes = std::move(rpc.bytes);
        return {};
    }
}

Result<void> RawSet::remove(ObjectId id) {
    auto& impl = engine_->impl();
    Message m = make_message(Kind::remove, set_->id, id, no_txn, impl.self);
    std::vector<std::byte> bytes;
    return impl.operate(*set_, id, m, {}, bytes);
}

Result<void> Impl::check_apply(const Message& m, std::string_view name, std::size_t bytes) const {
    if (!function(m.version))
        return fail(Errc::not_found, fmt::format("no function '{}' is registered: call "
                                                 "register_function on every node", name));
    if (bytes > max_object_bytes)
        return fail(Errc::too_large, fmt::format("apply: {} bytes of arguments: the limit is {}",
                                                 bytes, max_object_bytes));
    return {};
}

Result<std::vector<std::byte>> RawSet::apply(ObjectId id, std::string_view name,
                                             std::span<const std::byte> arguments, Range range) {
    auto& impl = engine_->impl();
    Message m = make_message(Kind::apply, set_->id, id, no_txn, impl.self);
    m.version = function_hash(name);
    if (range.length != Range::all) {
        if (std::max(range.offset, range.length) > max_object_bytes)
            return ssi::fail(Errc::invalid_argument, "apply: no object has such a range");
        m.header.flags = flag::part;
        m.acks = static_cast<std::uint32_t>(range.offset);
        m.after_node = static_cast<std::uint32_t>(range.length);
    }
    if (auto known = impl.check_apply(m, name, arguments.size()); !known)
        return tl::unexpected<Failure>(std::move(known).error());
    std::vector<std::byte> bytes;
    if (auto done = impl.operate(*set_, id, m, arguments, bytes); !done)
        return tl::unexpected<Failure>(std::move(done).error());
    return bytes;
}

Message atomic_message(const SetState& set, ObjectId id, const Atomic& atomic,
                       std::uint32_t offset, NodeId self) {
    Message m = make_message(Kind::atomic, set.id, id, no_txn, self);
    m.header.flags = static_cast<std::uint16_t>(
        static_cast<unsigned>(atomic.op) << flag::atomic_op_shift |
        static_cast<unsigned>(atomic.kind) << flag::number_kind_shift);
    m.version = atomic.operand;
    m.acks = offset;
    return m;
}

Result<std::uint64_t> RawSet::atomic(ObjectId id, const Atomic& atomic, std::uint32_t offset) {
    auto& impl = engine_->impl();
    Message m = atomic_message(*set_, id, atomic, offset, impl.self);
    std::span<const std::byte> expected;
    if (atomic.op == AtomicOp::compare_exchange)
        expected = std::as_bytes(std::span(&atomic.expected, 1));
    std::vector<std::byte> bytes;
    if (auto done = impl.operate(*set_, id, m, expected, bytes); !done)
        return tl::unexpected<Failure>(std::move(done).error());
    return m.version;
}

}  // namespace ssi::kddm
