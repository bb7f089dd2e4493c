// SPDX-License-Identifier: BSD-3-Clause
// get_many and grab_many. First all objects are asked for as copies that nobody has pinned, so that
// any other node may have them meanwhile; then they are pinned in ascending order. The task waits
// only for the smallest object that it has not pinned, and whatever it holds by then is smaller:
// the order rule that keeps single guards from deadlock. Waiting queues the task in that object's
// entry, whose grant pins it before anybody else gets the object: each round ends with one object
// more.
#include "ssi/kddm/many.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <numeric>

#include "engine_impl.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

// How much may be asked for ahead of the object that is waited for: what is under way takes memory
// here and in the transport's queues.
constexpr std::size_t most_ahead = 1024;
constexpr std::size_t most_bytes_ahead = 16u << 20;
constexpr std::size_t assumed_bytes = 64u << 10;   // of an object whose length is not known

std::size_t window_of(const SetState& set) {
    const std::size_t length = set.fixed_length() ? set.fixed_length() : assumed_bytes;
    return std::clamp<std::size_t>(most_bytes_ahead / length, 2, most_ahead);
}

}  // namespace

void Impl::send_one(NodeId to, Message& message, const Body& body) {
    send_body(to, message, body);
}

void Impl::send_packed(NodeId to, Message& m, std::span<const std::byte> packed) {
    const auto header = std::as_writable_bytes(std::span(&m, 1)).first(wire_bytes(m.kind()));
    log_unsent(to, m, node.send(to, header, {packed.data(), packed.size(), nullptr, nullptr}));
}

// Asks for the object unless it is here or asked for already. True when it did.
bool Impl::ask(SetState& set, ObjectId id, Access access, Outbox& outbox) {
    const std::uint64_t hash = hash_object(set.id, id);
    Step step(*this, set, id, hash);
    step.collect(&outbox);
    if (set.destroyed) return false;
    Entry* entry = step.find();
    if (step.t().at_home()) {   // born when it is acquired; the linker may bring it meanwhile
        if (!entry && !set.linker) return false;
        if (cache::absent(step.make(), step.t())) {
            if (set.linker) (void)cache::bring(step.make(), false, step.t());
            return false;
        }
    }
    const std::uint64_t before =
        step.shard().counters.remote_gets + step.shard().counters.remote_grabs;
    cache::prefetch(step.make(), access, step.t());
    return step.shard().counters.remote_gets + step.shard().counters.remote_grabs != before;
}

// One call of get_many or grab_many under way.
struct Impl::Many {
    Impl& impl;
    SetState& set;
    Access access;
    std::span<const ObjectId> ids;      // ascending, each once
    std::vector<RawGuard>& guards;      // of the first of these
    Held& held = Held::of_task();
    bool nested = !held.empty();        // some of them may be held already
    std::size_t window = window_of(set);
    std::size_t asked = 0;              // how many of the ids

    bool pin_now(ObjectId id, std::uint64_t hash);
    void ask_ahead(std::size_t from);
    Result<void> pin(ObjectId id);
    Result<void> pin_all();
    Result<void> pin_in_any_order();
    RawGuard guard(Entry* entry) const { return RawGuard(&set, entry, access); }
};

// Pins the object if it is here and free.
bool Impl::Many::pin_now(ObjectId id, std::uint64_t hash) {
    Entry* entry = set.shard(hash).index.find_hint(hash);
    const bool write = access == Access::write;
    if (!entry || !(write ? pin::try_write(entry->word) : pin::try_read(entry->word))) return false;
    if (entry->id != id || !impl.admit(set, *entry, access)) {
        unpin_stranger(set, entry, access);
        return false;
    }
    held.add(&set, entry, id, access);
    guards.push_back(guard(entry));
    return true;
}

// Asks for the window from the object that is waited for next. What was revoked since it was asked
// for is asked for again when the smallest one was.
void Impl::Many::ask_ahead(std::size_t from) {
    // Nothing stays in the cache of such a set without a guard: to ask ahead would be in vain.
    if (set.options.coherence == Coherence::home) return;
    const Entrance entrance(impl, set);
    Outbox outbox(impl);
    const bool again = from < asked && impl.ask(set, ids[from], access, outbox);
    if (from < asked && !again && asked - from > window / 2) return;
    const std::size_t end = std::min(ids.size(), from + window);
    for (std::size_t i = again ? from + 1 : std::max(from, asked); i < end; ++i)
        impl.ask(set, ids[i], access, outbox);
    asked = end;
}

Result<void> Impl::Many::pin(ObjectId id) {
    held.counters(set, set.uid).count(access);
    const std::uint64_t hash = hash_object(set.id, id);
    if (nested) {
        if (HeldItem* item = held.find(&set, id)) {
            auto again = impl.acquire_held(set, *item, {.access = access});
            if (!again) return tl::unexpected<Failure>(std::move(again).error());
            guards.push_back(std::move(*again));
            return {};
        }
    }
    if (pin_now(id, hash)) return {};
    ask_ahead(guards.size());
    auto acquired = impl.acquire_slow(set, id, hash, {.access = access}, nullptr);
    if (!acquired) return tl::unexpected<Failure>(std::move(acquired).error());
    guards.push_back(std::move(*acquired));
    return {};
}

Result<void> Impl::Many::pin_all() {
    guards.reserve(ids.size());
    for (const ObjectId id : ids) SSI_TRY(pin(id));
    return {};
}

// The planted bug: all objects are waited for at once and pinned as they come.
Result<void> Impl::Many::pin_in_any_order() {
    std::deque<Waiter> waiters;
    for (const ObjectId id : ids) {
        Waiter& w = waiters.emplace_back();
        w.want = access;
        Step step(impl, set, id, hash_object(set.id, id));
        Entry& entry = step.make();
        if (cache::absent(entry, step.t())) (void)cache::bring(entry, false, step.t());
        cache::want(entry, w, step.t());
    }
    for (std::size_t i = 0; i < ids.size(); ++i) {
        SSI_TRY(impl.wait_granted(set, ids[i], waiters[i], {.access = access}));
        held.add(&set, waiters[i].entry, ids[i], access);
        guards.push_back(guard(waiters[i].entry));
    }
    return {};
}

// What concerns all of them, before anything is asked for or held. `ids` ascend.
Result<void> Impl::check_many(SetState& set, std::span<const ObjectId> ids, Access access) {
    Held& held = Held::of_task();
    if (held.empty()) return {};
    for (const ObjectId id : ids) {
        const HeldItem* item = held.find(&set, id);
        if (!item) return check_order(set, id, held);   // the smallest that must be waited for
        SSI_ASSERT(access == Access::read || item->write,
                   "grab_many of an object this task holds by get: use upgrade() on that guard");
        SSI_ASSERT(access == Access::read,
                   "grab_many of an object this task has grabbed: use the first guard");
    }
    return {};
}

Result<RawGuards> Impl::acquire_many(SetState& set, std::span<const ObjectId> ids, Access access) {
    for (const ObjectId id : ids) SSI_TRY(check_verb(set, id));
    RawGuards result;
    std::vector<ObjectId> sorted;
    std::span<const ObjectId> distinct = ids;
    if (std::adjacent_find(ids.begin(), ids.end(), std::greater_equal<>()) != ids.end()) {
        sorted.assign(ids.begin(), ids.end());
        std::sort(sorted.begin(), sorted.end());
        sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
        distinct = sorted;
        result.places_.reserve(ids.size());
        for (const ObjectId id : ids)
            result.places_.push_back(static_cast<std::uint32_t>(
                std::lower_bound(sorted.begin(), sorted.end(), id) - sorted.begin()));
    }
    SSI_TRY(check_many(set, distinct, access));
    Many many{*this, set, access, distinct, result.guards_};
    SSI_TRY(options.plant == Plant::parallel_pinning ? many.pin_in_any_order() : many.pin_all());
    return result;
}

// The last first: that is how a task's list of guards is fastest.
void RawGuards::release() noexcept {
    while (!guards_.empty()) guards_.pop_back();
    places_.clear();
}

Result<void> RawGuards::put() {
    Result<void> first;
    while (!guards_.empty()) {
        if (Result<void> done = guards_.back().put(); !done && first) first = std::move(done);
        guards_.pop_back();
    }
    places_.clear();
    return first;
}

Result<RawGuards> RawSet::get_many(std::span<const ObjectId> ids) {
    return engine_->impl().acquire_many(*set_, ids, Access::read);
}

Result<RawGuards> RawSet::grab_many(std::span<const ObjectId> ids) {
    return engine_->impl().acquire_many(*set_, ids, Access::write);
}

Result<void> RawSet::put_many(RawGuards& guards) { return guards.put(); }

Result<void> RawSet::prefetch_many(std::span<const ObjectId> ids, Access access) {
    auto& impl = engine_->impl();
    for (const ObjectId id : ids) SSI_TRY(impl.check_verb(*set_, id));
    const Engine::Impl::Entrance entrance(impl, *set_);
    Outbox outbox(impl);
    for (const ObjectId id : ids) impl.ask(*set_, id, access, outbox);
    return {};
}

Result<void> RawSet::prefetch_range(ObjectId first, std::uint64_t count, std::uint64_t stride,
                                    Access access) {
    auto& impl = engine_->impl();
    if (count == 0) return {};
    const std::uint64_t steps = stride ? (UINT64_MAX - first.lo) / stride : UINT64_MAX;
    if (count - 1 > steps)
        return ssi::fail(Errc::invalid_argument,
                         fmt::format("prefetch_range: {} ids from {} by {} do not fit in 64 bits",
                                     count, first.lo, stride));
    const auto id = [&](std::uint64_t i) { return ObjectId(first.hi, first.lo + i * stride); };
    SSI_TRY(impl.check_verb(*set_, first));
    SSI_TRY(impl.check_verb(*set_, id(count - 1)));
    const Engine::Impl::Entrance entrance(impl, *set_);
    Outbox outbox(impl);
    for (std::uint64_t i = 0; i < (stride ? count : 1); ++i)
        impl.ask(*set_, id(i), access, outbox);
    return {};
}

}  // namespace ssi::kddm
