// SPDX-License-Identifier: BSD-3-Clause
// One-sided reads: a copy of an object, or of a part of it, with its version, which nobody needs to
// remember. From a valid copy on this node; else out of the home's memory, where it is mapped and
// known; else by a message. Who must wait for a writer far away takes a guard: there is no fairer
// queue.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "engine_impl.hpp"
#include "long_wait.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

// A writer is mostly done soon; with a queue or a revocation behind it, it may take long.
constexpr int most_looks = 16;
// Reads of one read_many under way at once, and how many are asked for together.
constexpr std::size_t most_pending = 128;
constexpr std::size_t asked_together = 32;
// How far read_many looks ahead: where entries are named, then the entries, then their bytes.
constexpr std::size_t names_ahead = 24;
constexpr std::size_t entries_ahead = 16;
constexpr std::size_t bytes_ahead = 8;

void pause_briefly() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

Failure outside(const SetState& set, const Reading& reading) {
    return {Errc::invalid_argument, 0, no_node,
            fmt::format("read of {} bytes at offset {} of an object of {} bytes of set '{}'",
                        reading.length == Reading::to_the_end ? "the" :
                                                                fmt::format("{}", reading.length),
                        reading.offset, reading.object_length, set.name)};
}

}  // namespace

template <class Memory>
Look Impl::look_often(const Entry& entry, ReadJob& job, const Memory& memory) const {
    const auto room = [&](std::size_t length) { return job.room(length); };
    const auto halfway = [&] {
        if (options.on_half_read) [[unlikely]]
            options.on_half_read();
    };
    const bool verify = options.plant != Plant::unverified_read;
    for (int i = 0;; ++i) {
        const Look seen = look(entry, job.reading, memory, room, halfway, verify);
        if (seen != Look::changing || i == most_looks) return seen;
        pause_briefly();
    }
}

// This node's own copy, then the home's, where a hint leads to it. No message, no lock.
Look Impl::look_around(SetState& set, ReadJob& job, TaskCounters& counters) {
    const ObjectId id = job.reading.id;
    const std::uint64_t hash = hash_object(set.id, id);
    Look seen = Look::away;
    if (const Entry* entry = set.shard(hash).index.find_hint(hash)) {
        seen = look_often(*entry, job, OwnMemory{});
        if (seen == Look::seen || seen == Look::outside) return seen;
    }
    const ReadHints* hints = set.hints.load(std::memory_order_acquire);
    const NodeId home = home_of(set, id);
    if (!hints || home == self) return seen;
    const ReadHint hint = hints->find(id);
    const Window* window = windows.find(hint.window, home);
    if (!window || hint.address % alignof(Entry) != 0) return seen;
    if (node.any_lost() && node.lost(home)) return seen;
    const std::byte* place = window->at(hint.address, sizeof(Entry));
    if (!place) return seen;
    seen = look_often(*reinterpret_cast<const Entry*>(place), job, *window);
    if (seen == Look::seen) TaskCounters::add(counters.mapped_reads);
    return seen;
}

std::optional<std::size_t> Impl::length_here(SetState& set, ObjectId id) const {
    const std::uint64_t hash = hash_object(set.id, id);
    const Entry* entry = set.shard(hash).index.find_hint(hash);
    if (!entry) return {};
    ReadJob job{{set.id, id}};
    job.reading.length = 0;   // of its bytes none, wherever they are
    if (look_often(*entry, job, OwnMemory{}) != Look::seen) return {};
    return job.reading.object_length;
}

// True when that was all.
Result<bool> Impl::read_at_once(SetState& set, ReadJob& job) {
    SSI_TRY(check_verb(set, job.reading.id));
    Held& held = Held::of_task();
    TaskCounters& counters = held.counters(set, set.uid);
    TaskCounters::add(counters.reads);
    if (!held.empty()) [[unlikely]] {
        if (HeldItem* item = held.find(&set, job.reading.id)) {
            SSI_TRY(copy_held(set, job, *item->entry));
            return true;
        }
        SSI_TRY(check_order(set, job.reading.id, held));
    }
    const Look seen = look_around(set, job, counters);
    if (seen == Look::seen) [[likely]]
        return true;
    if (seen == Look::outside) return tl::unexpected<Failure>(outside(set, job.reading));
    return false;
}

Result<void> Impl::read(SetState& set, ReadJob& job) {
    auto done = read_at_once(set, job);
    if (!done) return tl::unexpected<Failure>(std::move(done).error());
    if (*done) return {};
    const Entrance entrance(*this, set);
    PendingRead pending;
    start_read(set, job, pending);
    return finish_read(set, pending);
}

// Hints and entries come from memory ahead of their use; what cannot be had at once is asked for in
// parallel.
Result<void> Impl::read_many(SetState& set, std::span<ReadJob> jobs) {
    std::vector<ReadJob*> later;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (i + names_ahead < jobs.size()) expect_name(set, jobs[i + names_ahead].reading.id);
        if (i + entries_ahead < jobs.size()) expect_read(set, jobs[i + entries_ahead].reading.id);
        if (i + bytes_ahead < jobs.size()) expect_own(set, jobs[i + bytes_ahead].reading.id);
        auto done = read_at_once(set, jobs[i]);
        if (!done) return tl::unexpected<Failure>(std::move(done).error());
        if (!*done) later.push_back(&jobs[i]);
    }
    if (later.empty()) return {};
    const Entrance entrance(*this, set);
    // All that was begun is waited for, also after one has failed: answers come to this stack.
    Result<void> result;
    std::vector<PendingRead> pending(std::min(later.size(), most_pending));
    std::size_t begun = 0;
    for (std::size_t i = 0; i < begun || (result && begun < later.size()); ++i) {
        const std::size_t end = std::min(later.size(), i + pending.size());
        if (result && end - begun >= std::min(asked_together, later.size() - begun)) {
            Outbox outbox(*this);
            for (; begun < end; ++begun) {
                PendingRead& next = pending[begun % pending.size()];
                next.rpc.cell.reset();
                start_read(set, *later[begun], next, &outbox);
            }
        }
        auto done = finish_read(set, pending[i % pending.size()]);
        if (result) result = std::move(done);
    }
    return result;
}

void Impl::expect_name(SetState& set, ObjectId id) {
    const std::uint64_t hash = hash_object(set.id, id);
    set.shard(hash).index.prefetch(hash);
    if (const ReadHints* hints = set.hints.load(std::memory_order_acquire)) hints->prefetch(id);
}

void Impl::expect_own(SetState& set, ObjectId id) {
    const std::uint64_t hash = hash_object(set.id, id);
    const Entry* entry = set.shard(hash).index.find_hint(hash);
    if (!entry) return;
    for (std::size_t line = 0; line < 3; ++line) expect_bytes(*entry, line * 64);
}

void Impl::expect_read(SetState& set, ObjectId id) const {
    const std::uint64_t hash = hash_object(set.id, id);
    if (const Entry* entry = set.shard(hash).index.find_hint(hash)) __builtin_prefetch(entry);
    const ReadHints* hints = set.hints.load(std::memory_order_acquire);
    if (!hints) return;
    const ReadHint hint = hints->find(id);
    const Window* window = windows.find(hint.window, home_of(set, id));
    if (!window) return;
    if (const std::byte* place = window->at(hint.address, sizeof(Entry)))
        __builtin_prefetch(place);
}

// Whoever has the newest value as far as this node knows: the home, or, at the home, the owner.
NodeId Impl::keeper_of(SetState& set, ObjectId id) {
    const NodeId home = home_of(set, id);
    if (home != self) return home;
    const std::uint64_t hash = hash_object(set.id, id);
    Shard& shard = set.shard(hash);
    std::lock_guard lock(shard.mutex);
    const Entry* entry = shard.index.find(hash, id);
    const bool elsewhere = entry && entry->state == CacheState::invalid && entry->has_home;
    return elsewhere && !entry->home()->recovering ? entry->home()->owner : self;
}

// Gets it from the home's memory, or sends the request; or, when this node is the keeper and a
// writer is in the way, leaves it to finish_read.
void Impl::start_read(SetState& set, ReadJob& job, PendingRead& pending, Outbox* outbox) {
    pending.job = &job;
    if (start_remote_read(set, job, pending)) return;
    pending.asked = keeper_of(set, job.reading.id);
    if (pending.asked != self) ask_to_read(set, pending, outbox);
}

bool Impl::start_remote_read(SetState& set, ReadJob& job, PendingRead& pending) {
    pending.remote.reset();
    const ReadHints* hints = set.hints.load(std::memory_order_acquire);
    if (!hints || !uses_rma()) return false;
    const NodeId home = home_of(set, job.reading.id);
    const ReadHint hint = hints->find(job.reading.id);
    if (hint.window != Windows::remote || home == self || node.lost(home)) return false;
    pending.remote.start(node.doors().transport, waiter, pending.rpc.cell, job, home, hint.address,
                         {set.fixed_length(), options.plant != Plant::unverified_rma});
    return true;
}

// True when that was all; else it has to be asked for.
Result<bool> Impl::finish_remote_read(SetState& set, PendingRead& pending) {
    const ObjectId id = pending.remote.id();
    pending.request = make_message(Kind::read_request, set.id, id, no_txn, self);
    pending.rpc.request = &pending.request;
    pending.rpc.to = home_of(set, id);
    {
        const AnswerWait note(*this, pending.rpc);
        waiter.wait(pending.rpc.cell);
    }
    const Look seen = pending.remote.seen();
    if (seen == Look::seen) {
        set.rma_reads.fetch_add(1, std::memory_order_relaxed);
        return true;
    }
    if (seen == Look::outside) return tl::unexpected<Failure>(outside(set, pending.job->reading));
    pending.rpc.cell.reset();
    return false;
}

void Impl::ask_to_read(SetState& set, PendingRead& pending, Outbox* outbox) {
    const ReadJob& job = *pending.job;
    const ObjectId id = job.reading.id;
    set.message_reads.fetch_add(1, std::memory_order_relaxed);
    const Place place = place_of(set, id);
    Message& m = pending.request;
    m = make_message(Kind::read_request, set.id, id, no_txn, self);
    if (place.home == self) m.header.flags = flag::forwarded;
    m.slot_version = place.slot_version;
    m.acks = job.reading.offset;
    m.version = job.reading.length;
    pending.rpc.request = &m;
    pending.rpc.room = job.fixed;
    pending.rpc.room_bytes = job.fixed ? job.reading.length : 0;
    pending.rpc.error = Errc::ok;
    pending.rpc.answered = false;
    pending.rpc.bytes.clear();
    m.txn = new_rpc(pending.rpc, pending.asked, set.id);
    send_request(pending.asked, m, {}, outbox);
}

Result<void> Impl::finish_read(SetState& set, PendingRead& pending) {
    ReadJob& job = *pending.job;
    if (pending.remote.started()) {
        auto done = finish_remote_read(set, pending);
        if (!done) return tl::unexpected<Failure>(std::move(done).error());
        if (*done) return {};
        pending.asked = home_of(set, job.reading.id);
        ask_to_read(set, pending);
    }
    if (pending.asked == self) return read_by_guard(set, job);
    Rpc& rpc = pending.rpc;
    wait_answered(rpc);
    auto answered = answer_of(rpc);
    if (!answered && answered.error().code == Errc::would_block) return read_by_guard(set, job);
    if (!answered) return answered;
    const Message& answer = rpc.answer;
    const std::uint32_t wanted = job.reading.length;
    const bool fits = job.fixed ? answer.length == wanted
                                : wanted == Reading::to_the_end || answer.length == wanted;
    if (answer.kind() != Kind::read_reply || !fits)
        return fail(Errc::bad_message, "the answer to a read is malformed", pending.asked);
    job.reading.version = answer.version & version_writes_mask;
    job.reading.object_length = ReadReply::of(answer).object_length;
    job.reading.length = answer.length;
    if (!job.fixed) *job.grown = std::move(rpc.bytes);
    if (!answer.has(flag::forwarded))
        learn_place(set, job.reading.id, pending.asked, ReadReply::of(answer));
    return {};
}

// Whether memory of that node is worth reading over the network.
bool Impl::reads_remotely(NodeId home) const {
    if (!uses_rma()) return false;
    const bool forced = read_way == ReadWay::rma;
    if (!forced && windows.may_map(home)) return false;
    const net::GetSupport support = node.doors().transport.get_support(home);
    return support == net::GetSupport::native || (forced && support == net::GetSupport::emulated);
}

void Impl::learn_place(SetState& set, ObjectId id, NodeId home, const ReadReply& reply) {
    if (reply.entry == 0) return;
    Windows::Number window = windows.number_of(home);
    if (window == 0) {
        windows.consider(home, {static_cast<int>(reply.fd) - 1, reply.inode});
        if (!reads_remotely(home)) return;
        window = Windows::remote;
    }
    ReadHints* hints = set.hints.load(std::memory_order_acquire);
    if (!hints) {
        std::lock_guard lock(set.mutex);
        if (!set.owned_hints)
            set.owned_hints = std::make_unique<ReadHints>(set.options.count, options.simulated);
        hints = set.owned_hints.get();
        set.hints.store(hints, std::memory_order_release);
    }
    hints->learn(id, {reply.entry, window});
}

// In line with everybody else.
Result<void> Impl::read_by_guard(SetState& set, ReadJob& job) {
    auto guard = acquire(set, job.reading.id, {Access::read});
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    return copy_held(set, job, *guard->entry_);
}

// Out of an object that is pinned for this task.
Result<void> Impl::copy_held(SetState& set, ReadJob& job, Entry& entry) {
    Reading& reading = job.reading;
    const std::span<const std::byte> bytes = entry.bytes();
    reading.version = entry.version.load(std::memory_order_relaxed) & version_writes_mask;
    reading.object_length = static_cast<std::uint32_t>(bytes.size());
    if (!reading.fits()) return tl::unexpected<Failure>(outside(set, reading));
    const auto part = reading.part_of(bytes);
    reading.length = static_cast<std::uint32_t>(part.size());
    std::byte* to = job.room(part.size());
    if (!part.empty()) std::memcpy(to, part.data(), part.size());
    return {};
}

}  // namespace ssi::kddm
