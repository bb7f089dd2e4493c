// SPDX-License-Identifier: BSD-3-Clause
// The other side of a read by message: the home answers from its copy, or sends the request on to
// the owner, who answers from its own. Nobody becomes a reader in the directory's eyes.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

// What a handler copies; more is left to the executor.
constexpr std::uint64_t lengthy_bytes = 64u << 10;

Reading reading_of(const Message& m) {
    Reading reading{m.set_id(), m.object()};
    reading.offset = m.acks;
    reading.length = static_cast<std::uint32_t>(std::min<std::uint64_t>(m.version,
                                                                        Reading::to_the_end));
    return reading;
}

bool valid_here(const Entry& entry) {
    return entry.state == CacheState::shared || entry.state == CacheState::owner ||
           entry.state == CacheState::exclusive;
}

// More than a handler should copy, as far as can be told without a lock.
bool seems_lengthy(const Entry& entry, const Reading& reading) {
    if (sys::racing_load(entry.inline_length) != 0) return false;
    const Block* block = sys::racing_load(entry.block);
    if (!block) return false;
    Reading copy = reading;
    copy.object_length = sys::racing_load(block->length);
    return copy.fits() && copy.true_length() > lengthy_bytes;
}

}  // namespace

bool Impl::is_lengthy_read(const Operation& operation) {
    if (operation.request.kind() != Kind::read_request || !operation.granted) return false;
    Reading reading = reading_of(operation.request);
    reading.object_length = static_cast<std::uint32_t>(operation.entry->bytes().size());
    return reading.fits() && reading.true_length() > lengthy_bytes;
}

void Impl::refuse_read(const Message& m, Errc code, std::string_view text) {
    Message e = make_message(Kind::error, m.set_id(), m.object(), TxnId(m.txn), no_node);
    e.acks = static_cast<std::uint32_t>(code);
    send_bytes(NodeId(m.requester), e, std::as_bytes(std::span(text)));
}

// `entry`: where the object stands, when this is its home.
void Impl::send_read(SetState& set, const Message& m, const Reading& reading, const Entry* entry,
                     std::span<const std::byte> bytes, Outbox* outbox) {
    if (!reading.fits())
        return refuse_read(m, Errc::invalid_argument,
                           fmt::format("read at offset {} of an object of {} bytes of set '{}'",
                                       reading.offset, reading.object_length, set.name));
    Message reply = make_message(Kind::read_reply, set.id, reading.id, TxnId(m.txn), self);
    reply.header.flags = m.header.flags & flag::forwarded;
    reply.version = reading.version;
    ReadReply{reading.object_length, reinterpret_cast<std::uintptr_t>(entry),
              static_cast<std::uint32_t>(offer.fd + 1), offer.inode}
        .write(reply);
    send_bytes(NodeId(m.requester), reply, bytes, outbox);
}

// Of an object that is pinned.
void Impl::answer_read(SetState& set, const Message& m, Entry& entry) {
    const std::span<const std::byte> bytes = entry.bytes();
    Reading reading = reading_of(m);
    reading.version = entry.version.load(std::memory_order_relaxed) & version_writes_mask;
    reading.object_length = static_cast<std::uint32_t>(bytes.size());
    send_read(set, m, reading, m.has(flag::forwarded) ? nullptr : &entry,
              reading.part_of(bytes));
}

bool Impl::answer_read_at_once(SetState& set, const Message& m, std::uint64_t hash,
                               Outbox* outbox) {
    const Entry* entry = set.shard(hash).index.find_hint(hash);
    Reading reading = reading_of(m);
    if (!entry || seems_lengthy(*entry, reading)) return false;
    std::array<std::byte, 4096> few;
    std::vector<std::byte> many;
    std::byte* place = few.data();
    const auto room = [&](std::size_t length) {
        if (length > few.size()) {
            many.resize(length);
            place = many.data();
        }
        return place;
    };
    const Look seen = look(*entry, reading, OwnMemory{}, room, [] {});
    if (seen != Look::seen && seen != Look::outside) return false;
    const std::size_t length = seen == Look::outside ? 0 : reading.length;
    send_read(set, m, reading, m.has(flag::forwarded) ? nullptr : entry, {place, length},
              outbox);
    return true;
}

// The home has no valid copy: the owner has, or will soon.
void Impl::forward_read(const Message& m, const Entry& entry, Step& step) {
    const Home* home = entry.home();
    Errc refusal = Errc::ok;
    if (!home || home->owner == self || home->owner.value == m.requester || node.lost(home->owner))
        refusal = Errc::would_block;
    if (home && home->recovering) refusal = Errc::peer_lost;
    const NodeId owner = home ? home->owner : no_node;
    step.finish();   // nothing is sent under the lock
    if (refusal != Errc::ok) return refuse_read(m, refusal);
    Message onward = m;
    onward.header.flags |= flag::forwarded;
    send_block(owner, onward, nullptr);
}

// The home sent this on, and the bytes are on their way to it: they were the newest then.
void Impl::answer_evicting_read(SetState& set, const Message& m, Entry& entry, Step& step) {
    Reading reading = reading_of(m);
    reading.version = entry.version.load(std::memory_order_relaxed) & version_writes_mask;
    if (!entry.inline_length) blocks.keep(entry.block);
    const Body body = entry.body();
    step.finish();
    const std::span<const std::byte> bytes = body.bytes();
    reading.object_length = static_cast<std::uint32_t>(bytes.size());
    send_read(set, m, reading, nullptr, reading.part_of(bytes));
    if (body.block()) blocks.release(body.block());
}

void Impl::receive_read(SetState& set, const Message& m, Outbox* outbox) {
    const ObjectId id = m.object();
    const std::uint64_t hash = hash_object(set.id, id);
    if (answer_read_at_once(set, m, hash, outbox)) return;
    const bool forwarded = m.has(flag::forwarded);
    Step step(*this, set, id, hash);
    Entry* entry = forwarded ? step.find() : &step.make();
    const bool absent = !forwarded && cache::absent(*entry, step.t());
    if (absent && !cache::bring(*entry, false, step.t())) {
        step.finish();
        return refuse_read(m, Errc::out_of_memory);
    }
    if (entry && (valid_here(*entry) || cache::loading(*entry))) {
        // A writer of this node is at work, the bytes are many, or a linker brings them: like a
        // task that waits here.
        auto* operation = new Operation;
        operation->use = Waiter::Use::operation;
        operation->want = Access::read;
        operation->set = &set;
        operation->request = m;
        return cache::want(*entry, *operation, step.t());
    }
    if (!forwarded) return forward_read(m, *entry, step);
    if (entry && entry->state == CacheState::evicting)
        return answer_evicting_read(set, m, *entry, step);
    step.finish();
    refuse_read(m, Errc::would_block);   // it has moved on
}

}  // namespace ssi::kddm
