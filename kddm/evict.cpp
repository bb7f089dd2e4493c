// SPDX-License-Identifier: BSD-3-Clause
// Memory within budgets: a clock over the entries of all sets, or of one. Whoever needs memory
// beyond the budget turns its hand; so does the executor ahead of need, between two marks. Copies
// are dropped, objects of other homes sent home, and what a linker keeps is written back first.
#include <fmt/format.h>

#include <algorithm>

#include "engine_impl.hpp"
#include "ssi/sys/racing.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

constexpr std::uint64_t slots_at_a_time = 64;      // looked at under a shard's lock
constexpr std::size_t victims_at_a_time = 16;
// On their way home at once, of a shard: what is on its way still takes its memory, and more in the
// transport.
std::uint64_t most_evictions_of(const SetState& set) {
    return std::clamp<std::uint64_t>((256u << 10) / std::max(set.fixed_length(), 1u), 1, 16);
}
constexpr unsigned most_stores = 64;               // write-backs that a sweep starts at once
constexpr Nanoseconds first_pause = 10'000, longest_pause = 500'000;
constexpr Nanoseconds rest_after_nothing = 10'000'000;

std::string mib(std::int64_t bytes) {
    return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

MemoryUse* Impl::use_of(SetId id) {
    SetState* set = find_set(id);
    return set && set->use.limit != 0 ? &set->use : nullptr;
}

std::int64_t Impl::room_for(const SetState& set) const {
    const bool block = set.inline_length() == 0;
    return entry_use_bytes +
           (block ? static_cast<std::int64_t>(set.fixed_length() + sizeof(Block)) : 0);
}

// By number, as the set's place in a sweep over all; null: there are not so many.
SetState* Impl::next_set(std::size_t number) const {
    std::lock_guard lock(sets_mutex);
    return number < owned_sets.size() ? owned_sets[number].get() : nullptr;
}

// Turns the set's hand by some slots. Objects that were used since it last came by are spared once.
// True when it has come around. Under sweep_mutex.
bool Impl::find_victims(SetState& set, Victims& victims) {
    if (gated(set) && !Held::of_task().inside()) return true;
    Shard& shard = set.shards[set.hand.shard];
    {
        std::lock_guard lock(shard.mutex);
        const bool enough = shard.counters.evicting >= most_evictions_of(set);
        const std::uint64_t slots = enough ? 0 : slots_at_a_time;
        set.hand.slot = shard.index.walk(set.hand.slot, slots, [&](Entry& e) {
            const bool stored = e.state == CacheState::invalid && e.has_home && e.home()->stored;
            if (!stored && e.state != CacheState::shared && e.state != CacheState::owner &&
                e.state != CacheState::exclusive)
                return;
            if (pin::count(e.word.load(std::memory_order_relaxed)) != 0 ||
                (e.busy && !e.busy->idle()))
                return;
            if (!set.linker && e.state != CacheState::shared && home_of(set, e.id) == self) return;
            if (e.word.load(std::memory_order_relaxed) & pin::referenced)
                pin::clear(e.word, pin::referenced);
            else
                victims.push_back(e.id);
        });
        if (enough) set.hand.slot = 0;   // the next shard
    }
    if (set.hand.slot != 0) return false;
    set.hand.shard = (set.hand.shard + 1) & set.shard_mask;
    return set.hand.shard == 0;
}

cache::Shed Impl::evict(SetState& set, ObjectId id, std::int64_t& bytes) {
    Step step(*this, set, id, hash_object(set.id, id));
    Entry* entry = step.find();
    // Looked at under the lock, as whoever closes the gate looks at the entries under it.
    if (!entry || (gated(set) && !Held::of_task().inside())) return cache::Shed::kept;
    bytes = entry_use_bytes;
    if (entry->inline_length == 0) {
        // A writer may be resizing it: then it stays, and the number is of no use.
        if (const Block* block = sys::racing_load(entry->block))
            bytes += sys::racing_load(block->capacity) + sizeof(Block);
    }
    const cache::Shed shed = cache::shed(*entry, step.t());
    if (shed != cache::Shed::write_back && shed != cache::Shed::recall) return shed;
    if (stores.load(std::memory_order_relaxed) >= most_stores) return cache::Shed::leaving;
    start_store(step, set, *entry, shed == cache::Shed::recall ? Access::write : Access::read, true,
                nullptr);
    return shed;
}

// Until `wanted` bytes are free or will be, or the hand has been around twice.
Impl::Swept Impl::sweep(SetState* only, std::int64_t wanted) {
    Swept swept;
    unsigned rounds = 0;
    while (swept.freed + swept.leaving < wanted && rounds < 2) {
        Victims victims;
        SetState* set = only;
        {
            std::lock_guard lock(sweep_mutex);
            if (!only && !(set = next_set(sweep_set))) {
                sweep_set = 0;
                ++rounds;
                continue;
            }
            bool around = false;
            while (!around && victims.size() < victims_at_a_time)
                around = find_victims(*set, victims);
            if (around && only) ++rounds;
            if (around && !only) ++sweep_set;
        }
        for (const ObjectId id : victims) {
            if (swept.freed + swept.leaving >= wanted) break;
            std::int64_t bytes = 0;
            const cache::Shed shed = evict(*set, id, bytes);
            if (shed == cache::Shed::dropped)
                swept.freed += bytes;
            else if (shed != cache::Shed::kept)
                swept.leaving += bytes;
        }
    }
    swept.around = rounds >= 2;
    return swept;
}

bool Impl::in_memory(SetState& set, ObjectId id, std::uint64_t hash) const {
    const Shard& shard = set.shard(hash);
    std::lock_guard lock(shard.mutex);
    const Entry* entry = shard.index.find(hash, id);
    return entry && entry->state != CacheState::invalid;
}

Result<void> Impl::make_room(SetState& set, ObjectId id, std::uint64_t hash,
                             const Passage& entrance) {
    const std::int64_t need = room_for(set);
    Nanoseconds pause = first_pause;
    Nanoseconds deadline = 0;
    for (;;) {
        // Looked at once: others free memory meanwhile.
        const std::int64_t of_node = blocks.use.excess(need), of_set = set.use.excess(need);
        if (of_node <= 0 && of_set <= 0) return {};
        if (in_memory(set, id, hash)) return {};   // and what waits for it needs no more memory
        if (gated(set) && entrance.would_stop()) return {};
        const bool by_set = of_set > 0;
        const MemoryUse& use = by_set ? set.use : blocks.use;
        const Swept swept = sweep(by_set ? &set : nullptr, by_set ? of_set : of_node);
        if (swept.freed > 0) continue;
        const Nanoseconds now = clock.now();
        if (deadline == 0) deadline = now + evict_timeout;
        if (now >= deadline || need > use.limit)
            return fail(Errc::out_of_memory,
                        fmt::format("no room for object {} of set '{}': {} of the {} of {} are "
                                    "taken by objects that are held, on their way, or at home "
                                    "without a linker: raise it, hold fewer guards at a time, or "
                                    "give sets a linker",
                                    id.lo, set.name, mib(use.now()), mib(use.limit),
                                    by_set ? "the set's memory_bytes" : "kddm.memory_bytes"));
        sys::WaitCell never;
        waiter.wait_until(never, now + pause);
        pause = std::min(pause * 2, longest_pause);
    }
}

// Twice when it does not all go at once: what was written back meanwhile may.
void Impl::drop_unused(SetState& set) {
    for (std::size_t before = SIZE_MAX;;) {
        const std::vector<ObjectId> ids = objects_here(set, false);
        if (ids.empty() || ids.size() >= before) return;
        before = ids.size();
        for (const ObjectId id : ids) {
            while (stores.load(std::memory_order_relaxed) >= most_stores)
                node.doors().tasks.sleep_for(first_pause);
            std::int64_t bytes = 0;
            (void)evict(set, id, bytes);
        }
        while (stores.load(std::memory_order_relaxed) != 0)
            node.doors().tasks.sleep_for(first_pause);
        wait_evictions(set);
    }
}

bool Impl::home_may_have_room(const SetState& set, ObjectId id, const Failure& failure,
                              Nanoseconds& deadline) {
    if (failure.code != Errc::out_of_memory || home_of(set, id) == self) return false;
    const Nanoseconds now = clock.now();
    if (deadline == 0) deadline = now + evict_timeout;
    if (now >= deadline) return false;
    sys::WaitCell never;
    waiter.wait_until(never, now + longest_pause);
    return true;
}

// Called whenever memory is taken above the high mark, under any lock.
void Impl::press() {
    if (closing.load(std::memory_order_relaxed) || sweeping.load(std::memory_order_relaxed) ||
        clock.now() < next_sweep)
        return;
    if (!sweeping.exchange(true)) executor.post([this] { sweep_ahead(); });
}

// Some at a time, as release hooks and functions wait for the executor too.
void Impl::sweep_ahead() {
    bool fruitful = true;
    if (sweep_once(fruitful)) return executor.post([this] { sweep_ahead(); });
    if (!fruitful) next_sweep = clock.now() + rest_after_nothing;
    sweeping = false;
}

// True when there is more to do.
bool Impl::sweep_once(bool& fruitful) {
    SetState* only = nullptr;
    const MemoryUse* use = blocks.use.above(blocks.use.low()) ? &blocks.use : nullptr;
    for (std::size_t i = 0; !use; ++i) {
        only = next_set(i);
        if (!only) return false;
        if (only->use.above(only->use.low())) use = &only->use;
    }
    const std::int64_t wanted = std::min<std::int64_t>(use->now() - use->low(), 256 << 10);
    const Swept swept = sweep(only, wanted);
    fruitful = swept.freed + swept.leaving > 0;
    if (swept.freed == 0 && fruitful) node.doors().tasks.sleep_for(first_pause * 5);
    return fruitful;
}

}  // namespace ssi::kddm
