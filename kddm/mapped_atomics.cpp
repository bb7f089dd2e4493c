// SPDX-License-Identifier: BSD-3-Clause
// Atomics in place: a number of an object that is at home on another node of this host is changed
// in that node's memory, which is mapped here, under a write pin that this process takes there. It
// is what the home's handler would do for a message, without the message and that processor's help.
// Whatever is unusual (a pin, a queue, a copy elsewhere, another coherence) is left to a message.
// docs/decisions/0014-atomics-in-place.md reasons why that is safe, also when a process dies in it.
#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

// By which a word tells which node's pin it has; 0: the node has too high a number to pin anything.
std::uint64_t Impl::pin_mark(NodeId node) {
    return node.value < 0xffff ? std::uint64_t{node.value} + 1 : 0;
}

// The home's entry of the object, as far as can be told without touching it; null: unknown, or not
// to be written to.
Entry* Impl::mapped_entry(const SetState& set, ObjectId id, NodeId home,
                          const Window*& window) const {
    const ReadHints* hints = set.hints.load(std::memory_order_acquire);
    if (!hints || !atomics_in_place_ || (node.any_lost() && node.lost(home))) return nullptr;
    const ReadHint hint = hints->find(id);
    window = windows.find(hint.window, home);
    if (!window || hint.address % alignof(Entry) != 0) return nullptr;
    return reinterpret_cast<Entry*>(window->writable_at(hint.address, sizeof(Entry)));
}

// Nothing when it has to go by a message. `m` gets the number that stood there.
std::optional<Result<void>> Impl::operate_in_place(SetState& set, ObjectId id, NodeId home,
                                                   Message& m,
                                                   std::span<const std::byte> arguments) {
    const Window* window = nullptr;
    Entry* entry = mapped_entry(set, id, home, window);
    const std::uint64_t mark = pin_mark(self);
    if (!entry || sys::racing_load(entry->id.lo) != id.lo) return {};   // likely another's by now
    if (!pin::try_write_from_outside(entry->word, mark)) return {};
    // Pinned, so neither recycled nor moved; whose it is, is known only now.
    const ObjectId found = entry->id;
    const SetId found_set(entry->set);
    std::optional<Result<void>> done;
    // One that is older than the last cut is changed by its home alone, which keeps it first.
    const bool older = is_older(*entry, set.control.load(std::memory_order_acquire));
    if (found == id && found_set == set.id && !older) {
        const std::span<std::byte> bytes = mapped_bytes(*entry, *window);
        if (bytes.data()) done = execute_atomic(bytes, m, arguments, m);
        if (done && *done) entry->next_version();
    }
    if (pin::must_run(pin::drop_from_outside(entry->word, mark))) {
        // Somebody there waits for the last unpin, which was ours.
        Message unpinned = make_message(Kind::unpinned, found_set, found, no_txn, self);
        send_block(home, unpinned, nullptr);
    }
    if (done && *done) TaskCounters::add(Held::of_task().counters(set, set.uid).mapped_atomics);
    return done;
}

std::span<std::byte> Impl::mapped_bytes(Entry& entry, const Window& window) {
    if (entry.inline_length) return {entry.small, entry.inline_length};
    const auto address = reinterpret_cast<std::uint64_t>(entry.block);
    auto* block = reinterpret_cast<Block*>(window.writable_at(address, sizeof(Block)));
    if (!block || !window.writable_at(address, sizeof(Block) + block->length)) return {};
    return {sys::bytes_of(block), block->length};
}

// The answer of an atomic that came as a message tells where its object stands, to whoever may map
// it.
void Impl::show_place(const Entry& entry, const Message& request, Message& answer) const {
    const NodeId to(request.requester);
    if (!atomics_in_place_ || to == self || !windows.may_map(to)) return;
    answer.header.flags |= flag::placed;
    answer.hi = reinterpret_cast<std::uintptr_t>(&entry);
    answer.lo = offer.inode;
    answer.acks = static_cast<std::uint32_t>(offer.fd + 1);
}

void Impl::learn_shown(SetState& set, ObjectId id, NodeId home, const Message& answer) {
    if (answer.kind() != Kind::reply || !answer.has(flag::placed)) return;
    learn_place(set, id, home, {0, answer.hi, answer.acks, answer.lo});
}

void Impl::receive_unpinned(SetState& set, ObjectId id) {
    Step step(*this, set, id, hash_object(set.id, id));
    if (Entry* entry = step.find()) cache::unpinned(*entry, step.t());
}

// A dead node's pin, and what nobody heard of because it died before it could tell.
void Impl::drop_pin_of(NodeId lost, Entry& entry, Step& step) {
    const std::uint64_t mark = pin_mark(lost);
    const std::uint64_t word = entry.word.load(std::memory_order_acquire);
    if (mark != 0 && pin::mark_of(word) == mark) {
        entry.next_version();   // it may have changed the number
        pin::drop_from_outside(entry.word, mark);
    }
    const std::uint64_t now = entry.word.load(std::memory_order_acquire);
    if (pin::count(now) == 0 && (now & pin::blocked)) cache::unpinned(entry, step.t());
}

}  // namespace ssi::kddm
