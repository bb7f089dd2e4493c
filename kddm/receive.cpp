// SPDX-License-Identifier: BSD-3-Clause
#include <cstring>
#include <utility>

#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

bool is_request(Kind kind) {
    return kind == Kind::get_request || kind == Kind::grab_request || kind == Kind::evict ||
           kind == Kind::atomic || kind == Kind::apply || kind == Kind::remove ||
           kind == Kind::update || kind == Kind::read_request;
}
bool is_control(Kind kind) { return kind >= Kind::set_open && kind <= Kind::set_gone; }
bool is_operation(Kind kind) {
    return kind == Kind::atomic || kind == Kind::apply || kind == Kind::remove;
}
bool carries_object(Kind kind) { return kind == Kind::data || kind == Kind::evict; }
bool brings_bytes(const Message& m) {
    return carries_object(m.kind()) && !m.has(flag::keep) && !m.has(flag::renew);
}

}  // namespace

// Large payloads land where they will stay when they are object bytes.
std::byte* Impl::on_large(NodeId, std::span<const std::byte> header, std::size_t length) {
    Message m;
    if (!decode(header, m) || length > max_object_bytes) return nullptr;
    const SetState* set = find_set(m.set_id());
    const bool at_home = set && carries_object(m.kind()) &&
                         home_of(*set, m.object()) == self;
    const auto bytes = static_cast<std::uint32_t>(length);
    Block* block = blocks.allocate(m.set_id(), m.object(), bytes, at_home);
    if (!block) block = blocks.allocate(m.set_id(), m.object(), bytes, false);
    return sys::bytes_of(block);
}

void Impl::on_large_failed(NodeId, std::byte* memory) { blocks.release(block_of(memory)); }

void Impl::on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                      bool owned) {
    Message m;
    Block* block = owned ? block_of(payload.data()) : nullptr;
    if (!decode(header, m) || payload.size() != m.length) {
        SSI_LOG(log, error, "kddm", "malformed message of {} bytes and {} of payload from node {}",
                header.size(), payload.size(), from.value);
        if (block) blocks.release(block);
        return;
    }
    if (m.kind() == Kind::batch)
        receive_batch(from, m, payload);
    else
        take(from, m, payload, std::exchange(block, nullptr), nullptr);
    if (block) blocks.release(block);
}

// Answers of a batch leave as batches too.
void Impl::receive_batch(NodeId from, const Message& m, std::span<std::byte> payload) {
    Outbox outbox(*this);
    Unpacker unpacker(payload);
    while (unpacker.next()) take(from, unpacker.message(), unpacker.payload(), nullptr, &outbox);
    if (!unpacker.ok())
        SSI_LOG(log, error, "kddm", "malformed batch of {} messages from node {}", m.acks,
                from.value);
}

// Takes the block over.
void Impl::take(NodeId from, const Message& m, std::span<std::byte> payload, Block* block,
                Outbox* outbox) {
    const bool for_rpc = (m.kind() == Kind::reply || m.kind() == Kind::error ||
                          m.kind() == Kind::read_reply || m.kind() == Kind::set_info) &&
                         (m.txn & rpc_bit);
    if (for_rpc) {
        complete_rpc(m, payload);
    } else if (is_control(m.kind())) {
        receive_control(from, m, payload);
    } else {
        SetState* set = find_set(m.set_id());
        if (!set) set = park(from, m, payload);
        const bool object = set && carries_object(m.kind());
        if (set) receive(from, *set, m, payload, object ? block : nullptr, outbox);
        if (object) block = nullptr;
    }
    if (block) blocks.release(block);
}

// The bytes of a data or evict message, those of a block in the right arena.
Body Impl::body_of(const SetState& set, const Message& m, std::span<std::byte> payload,
                   Block* owned, bool at_home) {
    if (owned) return Body(owned);
    if (!brings_bytes(m)) return {};
    if (set.inline_length() != 0) return Body::small(payload);
    Block* block = blocks.allocate(set.id, m.object(), m.length, at_home);
    if (!block) block = blocks.allocate(set.id, m.object(), m.length, false);
    if (!payload.empty()) std::memcpy(sys::bytes_of(block), payload.data(), payload.size());
    return Body(block);
}

void Impl::receive(NodeId from, SetState& set, const Message& m, std::span<std::byte> payload,
                   Block* owned, Outbox* outbox) {
    if (m.kind() == Kind::claim) return receive_claim(set, m);
    // A cut is told of what may change an object, before it does.
    const auto hear = [&set] {
        if (set.control.load(std::memory_order_relaxed) & control::chosen) [[unlikely]]
            set.heard.fetch_add(1, std::memory_order_seq_cst);
    };
    if (m.kind() == Kind::migrate || m.kind() == Kind::unpinned) {
        hear();
        return m.kind() == Kind::migrate ? receive_migrate(set, m, payload)
                                         : receive_unpinned(set, m.object());
    }
    const bool request = is_request(m.kind());
    const bool forwarded = m.kind() == Kind::read_request && m.has(flag::forwarded);
    if (set.touched && request && !forwarded && m.kind() != Kind::update) [[unlikely]]
        learn_touched(set, m.object());
    const Place place = place_of(set, m.object());
    Errc refusal = Errc::ok;
    if (set.destroyed.load(std::memory_order_acquire)) {
        refusal = Errc::not_found;
    } else if (request && !forwarded && m.kind() != Kind::update) {   // checks each of its own
        const bool ours = place.home == self;
        if (!ours || (place.slot_version != m.slot_version && options.plant != Plant::stale_slot))
            refusal = Errc::stale_slot;
    }
    if (refusal != Errc::ok) {
        if (owned) blocks.release(owned);
        if (!request) return;
        if (refusal == Errc::stale_slot) refused_slots.fetch_add(1, std::memory_order_relaxed);
        Message e = make_message(Kind::error, m.set_id(), m.object(), TxnId(m.txn), self);
        e.acks = static_cast<std::uint32_t>(refusal);
        return send_block(forwarded ? NodeId(m.requester) : from, e, nullptr);
    }
    hear();
    if (m.kind() == Kind::update) return receive_updates(set, m, payload);
    if (m.kind() == Kind::read_request) return receive_read(set, m, outbox);
    if (m.kind() == Kind::error && !payload.empty()) note_linker_failure(set, payload);
    if (is_operation(m.kind())) return receive_operation(set, m, payload);
    const std::size_t small = set.inline_length();
    if (small != 0 && brings_bytes(m) && payload.size() != small) [[unlikely]] {
        SSI_LOG(log, error, "kddm", "message from node {} with {} bytes of an object of {}",
                from.value, payload.size(), small);
        if (owned) blocks.release(owned);
        return;
    }
    const std::uint64_t hash = hash_object(set.id, m.object());
    const bool access = m.kind() == Kind::get_request || m.kind() == Kind::grab_request;
    if (access && answer_directly(set, m, hash, outbox)) return;
    const Body body = body_of(set, m, payload, owned, place.home == self);
    if (m.kind() == Kind::data && arrive_directly(set, m, hash, body)) return;
    Step step(*this, set, m.object(), hash, place);
    step.collect(outbox);
    step.event(m, body);
}

}  // namespace ssi::kddm
