// SPDX-License-Identifier: BSD-3-Clause
#include <algorithm>
#include <cstring>

#include "engine_impl.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::kddm {
namespace {

std::uint64_t next_txn_of(void* impl) { return static_cast<Engine::Impl*>(impl)->next_txn(); }

bool is_lost_for(void* impl, NodeId node) {
    return static_cast<Engine::Impl*>(impl)->node.lost(node);
}

struct SendReference {
    Blocks* blocks;
    Block* block;
    static void drop(void* context) {
        std::unique_ptr<SendReference> reference(static_cast<SendReference*>(context));
        reference->blocks->release(reference->block);
    }
};

}  // namespace

using Impl = Engine::Impl;

SlotId Impl::slot_of(const SetState& set, ObjectId id) const {
    const std::uint32_t mask = slots.size() - 1;  // a power of two
    switch (set.placement.kind) {
        case Placement::Kind::hashed:
            return SlotId(static_cast<std::uint32_t>(hash_object(set.id, id) >> 16) & mask);
        case Placement::Kind::high_bits: return SlotId(static_cast<std::uint32_t>(id.hi) & mask);
        case Placement::Kind::function: return set.placement.function(set.id, id, slots.size());
        default: return SlotId(0);
    }
}

Impl::Place Impl::place_of(const SetState& set, ObjectId id) const {
    const auto table_version = static_cast<std::uint32_t>(slots.version);
    if (set.placement.kind == Placement::Kind::node) return {set.placement.node, table_version};
    if (set.placement.homes) return {set.placement.homes->home(set.id, id), table_version};
    if (set.touched) return {set.touched->home(set.touched->slot_of(id)), table_version};
    if (set.placement.kind == Placement::Kind::blocked) {
        const std::uint64_t n = membership.members.size();
        const std::uint64_t per_node = (set.options.count + n - 1) / n;
        return {membership.members[std::min<std::uint64_t>(id.lo / per_node, n - 1)].node,
                table_version};
    }
    const auto& slot = slots.at(slot_of(set, id));
    return {slot.node, slot.version};
}

Impl::Step::Step(Impl& impl, SetState& set, ObjectId id, std::uint64_t hash, Place place,
                 Operations* ready)
    : impl_(impl), set_(set), id_(id), hash_(hash), shard_(set.shard(hash)), ready_(ready) {
    t_.self = impl.self;
    t_.home = place.home;
    t_.slot_version = place.slot_version;
    t_.fixed_length = set.fixed_length();
    t_.home_coherence = set.options.coherence == Coherence::home;
    t_.linked = set.linker != nullptr;
    t_.moves_to_visit = set.moves_to_visit;
    t_.has_hook = set.has_hook.load(std::memory_order_acquire);
    t_.plant = impl.options.plant;
    t_.members = &impl.membership;
    t_.pools = &shard_.pools;
    t_.blocks = &impl.blocks;
    t_.counters = &shard_.counters;
    t_.engine = &impl;
    t_.next_txn = next_txn_of;
    t_.is_lost = is_lost_for;
    shard_.mutex.lock();
    const std::uint64_t control = set.control.load(std::memory_order_acquire);
    t_.generation = pin::generation_of(control);
    t_.keepsakes = impl.keepsakes_of(control);
}

Impl::Step::~Step() { finish(); }

Entry& Impl::Step::make() {
    if (!find()) {
        entry_ = shard_.make(hash_, set_.id, id_);
        SSI_ASSERT(entry_, "memory ran out: run fewer ranks on this host or fewer objects");
    }
    return *entry_;
}

void Impl::Step::event(const Message& m, const Body& body) {
    dispatch(m, body);
    settle();
}

void Impl::Step::dispatch(const Message& m, const Body& body) {
    Entry& entry = make();
    switch (m.kind()) {
        case Kind::get_request:
        case Kind::grab_request:
        case Kind::evict: return directory::on_request(entry, m, body, t_);
        case Kind::done:
        case Kind::served: return directory::on_done(entry, m, t_);
        case Kind::fetch:
        case Kind::yield:
        case Kind::invalidate: return cache::on_revoke(entry, m, t_);
        case Kind::data: return cache::on_data(entry, m, body, t_);
        case Kind::grant: return cache::on_grant(entry, m, t_);
        case Kind::ack:
            if (NodeId(m.requester) != impl_.self) return impl_.receive_group_ack(m, t_);
            return cache::on_ack(entry, m, t_);
        case Kind::evict_ack: return cache::on_evict_ack(entry, m, t_);
        case Kind::error: return cache::on_error(entry, m, t_);
        case Kind::invalidate_group: return impl_.receive_group(m, t_);
        default: return;
    }
}

// Feeds messages to ourselves back into the machine, then wakes who was granted. Under the lock:
// a waiter may look at its state under it, so it must not outrun its own notification.
void Impl::Step::settle() {
    for (std::size_t i = 0; i < t_.local.size(); ++i) {
        const Queued& next = t_.local.at(i);
        dispatch(next.message, next.body);
    }
    t_.local.clear();
    for (Waiter* w : t_.granted) {
        if (w->use == Waiter::Use::operation) {
            if (!w->recheck) operations_.push_back(static_cast<Operation*>(w));
            w->recheck = false;
        } else {
            impl_.waiter.notify(w->cell);
        }
    }
    t_.granted.clear();
    if (impl_.options.on_step) impl_.options.on_step(set_.id, id_);
}

void Impl::Step::finish() {
    if (!locked_) return;
    settle();
    bool hook = t_.run_hook;
    Body body;
    if (hook) {
        if (!entry_->inline_length) impl_.blocks.keep(entry_->block);
        body = entry_->body();
    }
    if (entry_ && entry_->busy && entry_->busy->idle()) {
        shard_.pools.busies.give_back(entry_->busy);
        entry_->busy = nullptr;
    }
    if (entry_ && cache::idle(*entry_)) shard_.recycle(hash_, entry_);
    locked_ = false;
    shard_.mutex.unlock();
    carry_out();
    if (t_.load) impl_.start_load(set_, id_);
    if (!hook) return;
    impl_.executor.post([&impl = impl_, &set = set_, id = id_, hash = hash_, body] {
        std::function<void(ObjectId, std::span<const std::byte>)> call;
        {
            std::lock_guard lock(set.mutex);
            call = set.hook;
        }
        try {
            if (call) call(id, body.bytes());
        } catch (const std::exception& e) {
            SSI_LOG(impl.log, error, "kddm", "the release hook of set '{}' threw: {}", set.name,
                    e.what());
        } catch (...) {
            SSI_LOG(impl.log, error, "kddm", "the release hook of set '{}' threw", set.name);
        }
        if (body.block()) impl.blocks.release(body.block());
        Step step(impl, set, id, hash);
        --step.t().counters->hooks;
        if (step.find()) cache::released(*step.find(), step.t());
    });
}

void Impl::Step::carry_out() {
    for (Outgoing& o : t_.out) {
        const bool explained = o.message.kind() == Kind::error &&
                               o.message.acks == static_cast<std::uint32_t>(Errc::linker_failed);
        if (explained)
            impl_.send_linker_failure(set_, o.to, o.message);
        else if (outbox_)
            outbox_->add(o.to, o.message, o.body);
        else
            impl_.send_body(o.to, o.message, o.body);
    }
    t_.out.clear();
    if (ready_)
        ready_->insert(ready_->end(), operations_.begin(), operations_.end());
    else if (!operations_.empty())
        impl_.run_operations(operations_);
}

// Not an error by itself: who waits for the peer hears of its death from on_node_lost.
void Impl::log_unsent(NodeId to, const Message& m, const Result<void>& sent) {
    if (!sent)
        SSI_LOG(log, debug, "kddm", "message {} to node {} not sent: {}",
                static_cast<int>(m.kind()), to.value, sent.error().text);
}

void Impl::send_body(NodeId to, Message& m, const Body& body) {
    if (!body.is_small()) return send_block(to, m, body.block());
    const auto header = std::as_writable_bytes(std::span(&m, 1)).first(wire_bytes(m.kind()));
    log_unsent(to, m, node.send(to, header, {body.small_bytes(), m.length}));
}

void Impl::send_block(NodeId to, Message& m, Block* block) {
    const auto header = std::as_writable_bytes(std::span(&m, 1)).first(wire_bytes(m.kind()));
    if (!block || block->length == 0) {
        log_unsent(to, m, node.send(to, header));
        if (block) blocks.release(block);
        return;
    }
    net::Payload payload{sys::bytes_of(block), block->length, nullptr, nullptr};
    const bool copied = payload.length <= net::max_copied_payload;
    if (!copied) {
        payload.release = SendReference::drop;
        payload.context = new SendReference{&blocks, block};
        payload.shared = blocks.shared_place(block);
    }
    log_unsent(to, m, node.send(to, header, payload));
    if (copied) blocks.release(block);
}

// For answers and arguments that are not object bytes: copied when large.
void Impl::send_bytes(NodeId to, Message& m, std::span<const std::byte> bytes, Outbox* outbox) {
    m.length = static_cast<std::uint32_t>(bytes.size());
    if (outbox && outbox->add_bytes(to, m, bytes)) return;
    if (bytes.size() <= net::max_copied_payload) {
        const auto header = std::as_writable_bytes(std::span(&m, 1)).first(wire_bytes(m.kind()));
        return log_unsent(to, m, node.send(to, header, {bytes.data(), bytes.size()}));
    }
    Block* block = blocks.allocate(m.set_id(), m.object(), m.length, false);
    std::memcpy(sys::bytes_of(block), bytes.data(), bytes.size());
    send_block(to, m, block);
}

void Impl::run_unpinned(SetState& set, ObjectId id, Entry* entry, Operations* ready) {
    Step step(*this, set, id, hash_object(set.id, id), ready);
    if (step.find() == entry) cache::unpinned(*entry, step.t());
}

Entry* Shard::make(std::uint64_t hash, SetId set, ObjectId id) {
    Entry* entry = free_entries;
    if (entry) {
        free_entries = reinterpret_cast<Entry*>(entry->busy);
        __builtin_prefetch(free_entries, 1);   // for the next
        entry->busy = nullptr;
    } else {
        if (slabs.empty() || !(entry = slabs.back().carve())) {
            slabs.emplace_back(*blocks);
            entry = slabs.back().carve();
        }
        entry->inline_length = inline_length;
    }
    entry->id = id;
    entry->set = set.value;
    entry->hooked = false;
    if (!index.insert(hash, entry)) {
        entry->busy = reinterpret_cast<Busy*>(free_entries);
        free_entries = entry;
        return nullptr;
    }
    ++counters.objects;
    count(entry_use_bytes);
    return entry;
}

void Shard::recycle(std::uint64_t hash, Entry* entry) {
    pools.last_version = std::max(pools.last_version, entry->version.load(
                                                          std::memory_order_relaxed) &
                                                          version_writes_mask);
    index.erase(hash, entry);
    pin::clear(entry->word, pin::readable | pin::writable | pin::revoking | pin::waiters |
                                pin::slow | pin::dirty | pin::referenced);
    count(-entry_use_bytes);
    entry->busy = reinterpret_cast<Busy*>(free_entries);
    free_entries = entry;
    --counters.objects;
}

}  // namespace ssi::kddm
