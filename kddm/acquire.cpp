// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>

#include "engine_impl.hpp"
#include "long_wait.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

std::string name_of(const SetState& set, ObjectId id) {
    return id.hi ? fmt::format("object {}:{} of set '{}'", id.hi, id.lo, set.name)
                 : fmt::format("object {} of set '{}'", id.lo, set.name);
}

}  // namespace

// The set lives, and nothing failed silently.
Result<void> Impl::check_set(SetState& set) {
    if (set.control.load(std::memory_order_acquire) & control::troubled) [[unlikely]] {
        std::lock_guard lock(set.mutex);
        if (set.destroyed)
            return fail(Errc::not_found, fmt::format("set '{}' was destroyed", set.name));
        if (set.failure) {
            Failure failure = std::move(*set.failure);
            set.failure.reset();
            set.control.fetch_and(~control::troubled, std::memory_order_seq_cst);
            return tl::unexpected<Failure>(std::move(failure));
        }
    }
    return {};
}

// What every verb checks first; then the object's place is known, too.
Result<void> Impl::check_verb(SetState& set, ObjectId id) {
    SSI_TRY(check_set(set));
    const bool inside = set.options.count == 0 || (id.hi == 0 && id.lo < set.options.count);
    if (!inside) [[unlikely]]
        return fail(Errc::invalid_argument,
                    fmt::format("{} is out of range: the set has {} objects", name_of(set, id),
                                set.options.count));
    if (set.touched) [[unlikely]] return touch(set, id);
    return {};
}

// Guards are taken in ascending (set, id) order, so that waiting can never close a cycle.
Result<void> Impl::check_order(const SetState& set, ObjectId id, const Held& held) const {
    const HeldItem* top = held.greatest(&set);
    if (!top) return {};
    const bool ascending = top->set->id != set.id ? top->set->id < set.id : top->id < id;
    if (ascending) return {};
    return fail(Errc::deadlock,
                fmt::format("{} wanted while holding {}: take guards in ascending (set, id) order, "
                            "let go first (a temporary guard lives until its statement ends), "
                            "or use try_grab",
                            name_of(set, id), name_of(*top->set, top->id)));
}

void unpin_stranger(SetState& set, Entry* entry, Access access) {
    const ObjectId other = entry->id;   // while it is pinned, and so not recycled
    if (pin::must_run(pin::drop(entry->word, access)))
        set.owner->impl().run_unpinned(set, other, entry);
}

// All that the fast path does not do: order, nested guards, waiting, errors.
Result<RawGuard> Impl::acquire(SetState& set, ObjectId id, Want want) {
    SSI_TRY(check_verb(set, id));
    Held& held = Held::of_task();
    if (!held.empty()) {
        if (HeldItem* item = held.find(&set, id)) return acquire_held(set, *item, want);
        if (!want.try_only) SSI_TRY(check_order(set, id, held));
    }
    held.counters(set, set.uid).count(want.access);
    const std::uint64_t hash = hash_object(set.id, id);
    const bool write = want.access == Access::write;
    Entry* entry = want.tried && held.empty() ? nullptr : set.shard(hash).index.find_hint(hash);
    if (entry && (write ? pin::try_write(entry->word) : pin::try_read(entry->word))) {
        if (entry->id == id && admit(set, *entry, want.access)) {
            held.add(&set, entry, id, want.access);
            if (want.renew) renew(set, *entry);
            return RawGuard(&set, entry, want.access);
        }
        unpin_stranger(set, entry, want.access);
    }
    return acquire_slow(set, id, hash, want, nullptr);
}

// grab_new: whatever the object was, it starts from nothing.
void Impl::renew(SetState& set, Entry& entry) {
    if (set.fixed_length() == 0) entry.block->length = 0;
    std::ranges::fill(entry.bytes(), std::byte{0});
}

// A second guard on an object that this task already holds.
Result<RawGuard> Impl::acquire_held(SetState& set, HeldItem& item, Want want) {
    SSI_ASSERT(want.access == Access::read || item.write,
               "grab of an object this task holds by get: use upgrade() on that guard");
    SSI_ASSERT(want.access == Access::read,
               "second grab of an object this task already holds: use the first guard");
    pin::pin_again(item.entry->word);
    ++item.read_pins;
    Held::of_task().counters(set, set.uid).count(Access::read);
    return RawGuard(&set, item.entry, Access::read);
}

Result<RawGuard> Impl::acquire_slow(SetState& set, ObjectId id, std::uint64_t hash, Want want,
                                    bool* value_kept) {
    Nanoseconds deadline = 0;
    for (;;) {
        Entrance entrance(*this, set, want.deadline);
        if (!entrance.passed())
            return fail(Errc::timed_out, name_of(set, id) + " did not come in time: a checkpoint "
                                                            "is being made");
        auto guard = acquire_once(set, id, hash, want, value_kept, entrance);
        const bool given_back = guard && !guard->held();
        if (given_back) continue;   // the gate was closed meanwhile: there it waits, and asks anew
        entrance.end();
        if (guard || want.try_only || !home_may_have_room(set, id, guard.error(), deadline))
            return guard;
    }
}

// An empty guard when the gate was closed meanwhile and would stop the task now.
Result<RawGuard> Impl::acquire_once(SetState& set, ObjectId id, std::uint64_t hash, Want want,
                                    bool* value_kept, const Passage& entrance) {
    Waiter w;
    w.want = want.access;
    w.renew = want.renew;
    Shard& shard = set.shard(hash);
    if (crowded(set, room_for(set))) [[unlikely]] {
        SSI_TRY(make_room(set, id, hash, entrance));
        if (gated(set) && entrance.would_stop()) return RawGuard();
    }
    if (want.try_only || !ask_directly(set, id, hash, w)) {
        Step step(*this, set, id, hash);
        if (set.destroyed)   // since check_verb
            return fail(Errc::not_found, fmt::format("set '{}' was destroyed", set.name));
        Entry& entry = step.make();
        if (cache::absent(entry, step.t()) && !cache::bring(entry, want.renew, step.t()))
            return fail(Errc::out_of_memory,
                        fmt::format("no memory for {}: raise arena.limit_bytes or "
                                    "kddm.memory_bytes, or run fewer ranks on this host",
                                    name_of(set, id)));
        const bool held_here = pin::count(entry.word.load(std::memory_order_relaxed)) != 0;
        if (want.try_only && (held_here || (entry.busy && entry.busy->head)))
            return fail(Errc::would_block, fmt::format("{} is held", name_of(set, id)));
        cache::want(entry, w, step.t());
        if (!w.granted) ++shard.counters.misses;
    }
    SSI_TRY(wait_granted(set, id, w, want));
    // What renewing has emptied already is not given back: nobody but this task can fill it.
    if (!want.renew && gated(set) && entrance.would_stop()) {
        unpin_stranger(set, w.entry, want.access);
        return RawGuard();
    }
    if (want.access == Access::write) {
        pin::before_bytes_change();   // another task closed the word
        before_write(set, *w.entry, true);
    }
    if (value_kept) *value_kept = w.value_kept;
    if (want.renew) renew(set, *w.entry);
    Held::of_task().add(&set, w.entry, id, want.access);
    return RawGuard(&set, w.entry, want.access);
}

// Waits for the machine's verdict. After the loss of a node nobody waits without a bound: what can
// still complete does so within the grace time, the rest fails.
Result<void> Impl::wait_granted(SetState& set, ObjectId id, Waiter& w, const Want& want) {
    if (w.cell.ready() && w.granted) return {};
    const auto loss_deadline = [&] {
        return std::max(clock.now(), node.last_loss()) + loss_grace;
    };
    const bool try_only = want.try_only;
    Nanoseconds deadline = sys::Waiter::forever;
    if (try_only)
        deadline = clock.now() + try_timeout;
    else if (node.any_lost())
        deadline = loss_deadline();
    GrantWait note(*this, set, id, w);
    for (;;) {
        const bool ready = waiter.wait_until(w.cell, std::min(deadline, want.deadline));
        if (ready && !node.any_lost()) break;
        Step step(*this, set, id, hash_object(set.id, id));
        if (w.granted || w.error != Errc::ok) break;
        if (!ready) {
            step.use(w.entry);
            cache::withdraw(*w.entry, w, step.t());
            w.error = want.deadline < deadline ? Errc::timed_out
                      : try_only               ? Errc::would_block
                                               : Errc::peer_lost;
            break;
        }
        w.recheck = false;
        w.cell.reset();
        if (!try_only) deadline = loss_deadline();
    }
    if (w.error == Errc::ok) return {};
    static constexpr const char* texts[] = {"its home is dead", "it waits for a node that is dead"};
    std::string text = name_of(set, id);
    if (w.error == Errc::would_block) text += " is held elsewhere";
    if (w.error == Errc::peer_lost) text += std::string(": ") + texts[w.fault == no_node];
    if (w.error == Errc::lost) text += ": its newest value died with a node";
    if (w.error == Errc::timed_out) text += " did not come in time";
    if (w.error == Errc::linker_failed) text += ": " + linker_failure(set);
    if (w.error == Errc::out_of_memory)
        text += ": its home has no memory for it: raise arena.limit_bytes or kddm.memory_bytes";
    if (w.error == Errc::cancelled) text += ": the set was destroyed";
    return fail(w.error, std::move(text), w.fault);
}

Result<bool> Impl::upgrade(RawGuard& guard) {
    SSI_ASSERT(guard.access_ == Access::read, "upgrade() is for a guard made by get");
    SetState& set = *guard.set_;
    const ObjectId id = guard.id();
    const HeldItem* item = Held::of_task().find(&set, id);
    SSI_ASSERT(item->read_pins == 1 && !item->write,
               "upgrade() of an object with other guards in this task: let those go first");
    const std::uint64_t before = guard.version();
    guard.release();
    SSI_TRY(check_order(set, id, Held::of_task()));
    Held::of_task().counters(set, set.uid).count(Access::write);
    bool value_kept = false;
    auto grabbed = acquire_slow(set, id, hash_object(set.id, id), {Access::write}, &value_kept);
    if (!grabbed) return tl::unexpected<Failure>(std::move(grabbed).error());
    guard = std::move(*grabbed);
    return guard.version() != before;
}

// Waits until nothing that this node sent home is still on its way.
void Impl::wait_evictions(SetState& set) {
    Nanoseconds pause = 20'000;
    const Nanoseconds give_up = clock.now() + loss_grace;
    for (;;) {
        std::uint64_t evicting = 0;
        for (std::uint32_t i = 0; i <= set.shard_mask; ++i) {
            std::lock_guard lock(set.shards[i].mutex);
            evicting += set.shards[i].counters.evicting + set.shards[i].counters.hooks;
        }
        if (evicting == 0 || (node.any_lost() && clock.now() > give_up)) return;
        sys::WaitCell never;
        waiter.wait_until(never, clock.now() + pause);
        pause = std::min<Nanoseconds>(pause * 2, 1'000'000);
    }
}

}  // namespace ssi::kddm
