// SPDX-License-Identifier: BSD-3-Clause
// Free lists in the manner of magazines (Bonwick and Adams, USENIX 2001): a shard keeps, per size
// class, one chain that it pushes to and pops from and one full chain in reserve, and exchanges
// full chains with the depot, so the depot's lock is taken once in many blocks. Fresh blocks are
// cut from spans that a shard takes from the arena's space.
#include "ssi/sys/arena.hpp"

#include <fmt/core.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "arena_classes.hpp"
#include "arena_space.hpp"
#include "ssi/base/assert.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::sys {
namespace {

constexpr unsigned most_shards = 64;
constexpr std::size_t span_bytes = 4096;

// Held for a few instructions; who finds it taken tries another shard. (sys::Mutex would add an
// atomic exchange to every unlock.)
class TryLock {
public:
    bool try_lock() noexcept {
        return !taken_.load(std::memory_order_relaxed) &&
               !taken_.exchange(true, std::memory_order_acquire);
    }
    void unlock() noexcept { taken_.store(false, std::memory_order_release); }

private:
    std::atomic<bool> taken_{false};
};

// Racing readers may look at any block at any time, so every field is written atomically.
template <class T>
void put(T& field, T value) {
    std::atomic_ref<T>(field).store(value, std::memory_order_relaxed);
}

// Where a free block keeps the next of its chain (in its bytes: its header stays a free header),
// and the first block of a full chain the next chain of the depot.
std::uint64_t& link_in_chain(ObjectHeader* block) {
    return *reinterpret_cast<std::uint64_t*>(bytes_of(block));
}
std::uint64_t& link_of_chains(ObjectHeader* block) { return block->id.hi; }

void set_link(std::uint64_t& link, ObjectHeader* to) {
    put(link, static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(to)));
}
ObjectHeader* get_link(std::uint64_t& link) {
    return reinterpret_cast<ObjectHeader*>(
        static_cast<std::uintptr_t>(std::atomic_ref(link).load(std::memory_order_relaxed)));
}

void mark_free(ObjectHeader* block) {
    put(block->version, std::uint64_t{0});
    put(block->state, header_away);
    // A reader that sees the bytes change then also sees that the version did.
    std::atomic_thread_fence(std::memory_order_release);
}

void mark_fresh(ObjectHeader* block) {
    put(block->version, std::uint64_t{0});
    put(block->id.hi, std::uint64_t{0});
    put(block->id.lo, std::uint64_t{0});
    put(block->set.value, std::uint32_t{0});
    put(block->length, std::uint32_t{0});
    put(block->state, std::uint16_t{0});
    put(block->references, std::uint16_t{0});
}

struct Magazine {
    ObjectHeader* chain = nullptr;
    ObjectHeader* reserve = nullptr;  // a full chain, or none
    std::byte* fresh = nullptr;       // the span that new blocks are cut from
    std::byte* fresh_end = nullptr;
    unsigned count = 0;               // of chain
};

struct alignas(64) Shard {
    TryLock lock;
    std::int64_t used_bytes = 0;  // allocated less released here: may be negative
    Magazine magazines[class_count];
};

// About 16 KiB of blocks, at most 64.
unsigned chain_blocks(std::size_t round) {
    return static_cast<unsigned>(std::clamp<std::size_t>(16384 / total_bytes(round), 1, 64));
}

tl::unexpected<Failure> would_grow() {
    return fail(Errc::out_of_memory, "the arena may not grow now");
}

unsigned shard_count(const Arena::Options& options) {
    const unsigned wanted = options.shards ? options.shards : std::thread::hardware_concurrency();
    return std::clamp(wanted, 1u, most_shards);
}

}  // namespace

struct Arena::Impl {
    explicit Impl(const Options& options)
        : shard_total(shard_count(options)),
          shards(std::make_unique<std::atomic<Shard*>[]>(shard_total)),
          space(options) {}
    ~Impl() {
        for (unsigned i = 0; i < shard_total; ++i) delete shards[i].load();
    }

    Shard& lock_shard();
    Shard& make_shard(unsigned index);
    ObjectHeader* pop(Magazine& magazine, std::size_t round);
    Result<ObjectHeader*> allocate_slow(std::size_t round, bool may_grow);
    Result<void> refill(Magazine& magazine, std::size_t round, bool may_grow);
    Result<void> take_span(Magazine& magazine, std::size_t total, bool may_grow);
    ObjectHeader* scavenge(std::size_t round);
    Result<ObjectHeader*> allocate_large(std::size_t round, bool may_grow);

    const unsigned shard_total;
    // Made when first used: an arena that one thread uses has one.
    const std::unique_ptr<std::atomic<Shard*>[]> shards;

    // The depot. Its lock may be taken while a shard's is held, never the other way round.
    mutable Mutex depot_lock;
    ArenaSpace space;
    ObjectHeader* full_chains[class_count] = {};
    std::map<std::size_t, std::vector<ObjectHeader*>> free_large;  // by rounded size
    std::int64_t used_large_bytes = 0;
};

// The shard of this core, or, while somebody else is in it, the next that is free. Nearly always
// the first try: a shard is contended only when its holder was descheduled or moved.
Shard& Arena::Impl::lock_shard() {
    // A fiber must not act by the core its thread happens to run on: same seed, same run.
    const bool first = shard_total == 1 || current_task().scheduler;
    const unsigned here = first ? 0 : static_cast<unsigned>(sched_getcpu()) % shard_total;
    for (;;) {
        for (unsigned i = 0; i < shard_total; ++i) {
            const unsigned index = (here + i) % shard_total;
            Shard* shard = shards[index].load(std::memory_order_acquire);
            if (shard == nullptr) shard = &make_shard(index);
            if (shard->lock.try_lock()) return *shard;
        }
        yield_task();
    }
}

Shard& Arena::Impl::make_shard(unsigned index) {
    const std::lock_guard hold(depot_lock);
    Shard* shard = shards[index].load(std::memory_order_acquire);
    if (shard == nullptr) {
        shard = new Shard;
        shards[index].store(shard, std::memory_order_release);
    }
    return *shard;
}

// From what the shard has; null when that is nothing.
ObjectHeader* Arena::Impl::pop(Magazine& magazine, std::size_t round) {
    if (magazine.chain == nullptr && magazine.reserve != nullptr) {
        magazine.chain = std::exchange(magazine.reserve, nullptr);
        magazine.count = chain_blocks(round);
    }
    if (ObjectHeader* block = magazine.chain) {
        magazine.chain = get_link(link_in_chain(block));
        __builtin_prefetch(magazine.chain, 1);  // for the next
        --magazine.count;
        return block;
    }
    if (magazine.fresh == magazine.fresh_end) return nullptr;
    auto* block = reinterpret_cast<ObjectHeader*>(magazine.fresh);
    magazine.fresh += total_bytes(round);
    put(block->capacity, static_cast<std::uint32_t>(capacity_of(round)));
    return block;
}

// A shard had nothing: from the depot, from fresh memory, or at last from the other shards.
Result<ObjectHeader*> Arena::Impl::allocate_slow(std::size_t round, bool may_grow) {
    Result<void> refilled;
    {
        Shard& shard = lock_shard();
        const std::lock_guard hold(shard.lock, std::adopt_lock);
        Magazine& magazine = shard.magazines[class_of(round)];
        ObjectHeader* block = pop(magazine, round);
        if (block == nullptr) {
            refilled = refill(magazine, round, may_grow);
            if (refilled) block = pop(magazine, round);
        }
        if (block != nullptr) {
            shard.used_bytes += static_cast<std::int64_t>(total_bytes(round));
            return block;
        }
    }
    if (ObjectHeader* block = scavenge(round)) return block;
    return tl::unexpected(std::move(refilled).error());
}

// The shard's lock is held and its magazine is empty.
Result<void> Arena::Impl::refill(Magazine& magazine, std::size_t round, bool may_grow) {
    const unsigned index = class_of(round);
    const std::lock_guard hold(depot_lock);
    ObjectHeader* chain = full_chains[index];
    if (chain == nullptr) return take_span(magazine, total_bytes(round), may_grow);
    full_chains[index] = get_link(link_of_chains(chain));
    magazine.chain = chain;
    magazine.count = chain_blocks(round);
    return {};
}

Result<void> Arena::Impl::take_span(Magazine& magazine, std::size_t total, bool may_grow) {
    std::size_t wanted = std::max<std::size_t>(span_bytes / total, 1) * total;
    if (!may_grow && !space.has_room(wanted)) {
        if (!space.has_room(total)) return would_grow();
        wanted = total;
    }
    std::size_t got = wanted;
    auto span = space.take(wanted);
    if (!span && wanted > total) {  // close to a limit: a single block may still fit
        got = total;
        span = space.take(total);
    }
    if (!span) return tl::unexpected(std::move(span).error());
    magazine.fresh = *span;
    magazine.fresh_end = *span + got;
    return {};
}

// The space is exhausted, but other shards may hold free blocks of the class. No lock is held.
ObjectHeader* Arena::Impl::scavenge(std::size_t round) {
    for (unsigned i = 0; i < shard_total; ++i) {
        Shard* shard = shards[i].load(std::memory_order_acquire);
        if (shard == nullptr) continue;
        while (!shard->lock.try_lock()) yield_task();
        const std::lock_guard hold(shard->lock, std::adopt_lock);
        ObjectHeader* block = pop(shard->magazines[class_of(round)], round);
        if (block != nullptr) {
            shard->used_bytes += static_cast<std::int64_t>(total_bytes(round));
            return block;
        }
    }
    return nullptr;
}

Result<ObjectHeader*> Arena::Impl::allocate_large(std::size_t round, bool may_grow) {
    const std::lock_guard hold(depot_lock);
    ObjectHeader* block = nullptr;
    const auto free = free_large.find(round);
    if (free != free_large.end() && !free->second.empty()) {
        block = free->second.back();
        free->second.pop_back();
    } else {
        if (!may_grow && !space.has_room(total_bytes(round))) return would_grow();
        auto fresh = space.take(total_bytes(round));
        if (!fresh) return tl::unexpected(std::move(fresh).error());
        block = reinterpret_cast<ObjectHeader*>(*fresh);
        put(block->capacity, static_cast<std::uint32_t>(capacity_of(round)));
    }
    used_large_bytes += static_cast<std::int64_t>(total_bytes(round));
    mark_fresh(block);
    return block;
}

Arena::Arena(Options options) : impl_(std::make_unique<Impl>(options)) {}
Arena::~Arena() = default;

Result<ObjectHeader*> Arena::allocate(std::size_t bytes, bool may_grow) {
    if (bytes > max_object_bytes)
        return fail(Errc::too_large,
                    fmt::format("an object of {} bytes: the limit is {}", bytes, max_object_bytes));
    const std::size_t round = round_object(bytes);
    if (is_large(bytes)) [[unlikely]] return impl_->allocate_large(round, may_grow);
    ObjectHeader* block = nullptr;
    {
        Shard& shard = impl_->lock_shard();
        const std::lock_guard hold(shard.lock, std::adopt_lock);
        block = impl_->pop(shard.magazines[class_of(round)], round);
        if (block != nullptr) [[likely]]
            shard.used_bytes += static_cast<std::int64_t>(total_bytes(round));
    }
    if (block == nullptr) [[unlikely]] {
        auto slow = impl_->allocate_slow(round, may_grow);
        if (!slow) return slow;
        block = *slow;
    }
    mark_fresh(block);
    return block;
}

void Arena::release(ObjectHeader* block, bool discard) {
    SSI_ASSERT(block->references == 0, "release a block only when no send reads it any more");
    const std::size_t round = round_of_capacity(block->capacity);
    mark_free(block);
    if (discard) [[unlikely]] impl_->space.discard(block, total_bytes(round));
    if (is_large(block->capacity)) [[unlikely]] {
        const std::lock_guard hold(impl_->depot_lock);
        impl_->free_large[round].push_back(block);
        impl_->used_large_bytes -= static_cast<std::int64_t>(total_bytes(round));
        return;
    }
    Shard& shard = impl_->lock_shard();
    const std::lock_guard hold(shard.lock, std::adopt_lock);
    Magazine& magazine = shard.magazines[class_of(round)];
    if (magazine.count == chain_blocks(round)) [[unlikely]] {
        if (magazine.reserve != nullptr) {
            const std::lock_guard depot(impl_->depot_lock);
            ObjectHeader*& chains = impl_->full_chains[class_of(round)];
            set_link(link_of_chains(magazine.reserve), chains);
            chains = magazine.reserve;
        }
        magazine.reserve = std::exchange(magazine.chain, nullptr);
        magazine.count = 0;
    }
    set_link(link_in_chain(block), magazine.chain);
    magazine.chain = block;
    ++magazine.count;
    shard.used_bytes -= static_cast<std::int64_t>(total_bytes(round));
}

void Arena::touch_ahead(std::size_t bytes) {
    ArenaSpace::Range range;
    {
        const std::lock_guard hold(impl_->depot_lock);
        range = impl_->space.plan_touch(bytes);
    }
    ArenaSpace::touch(range);
}

Arena::Usage Arena::usage() const {
    std::int64_t used = 0;
    for (unsigned i = 0; i < impl_->shard_total; ++i) {
        Shard* shard = impl_->shards[i].load(std::memory_order_acquire);
        if (shard == nullptr) continue;
        while (!shard->lock.try_lock()) yield_task();
        used += shard->used_bytes;
        shard->lock.unlock();
    }
    const std::lock_guard hold(impl_->depot_lock);
    used += impl_->used_large_bytes;
    // Blocks released on a shard read before and taken on one read after may make it negative.
    used = std::max<std::int64_t>(used, 0);
    return {impl_->space.reserved_bytes(), static_cast<std::size_t>(used)};
}

std::size_t Arena::reserved_bytes() const { return impl_->space.reserved_bytes(); }

int Arena::memory_fd() const { return impl_->space.memory_fd(); }

std::span<const std::byte> Arena::piece_at(std::uint64_t address, std::size_t piece_bytes) const {
    return impl_->space.piece_at(address, piece_bytes);
}

std::uint64_t Arena::offset_of(const ObjectHeader* block) const {
    return impl_->space.offset_of(block);
}

}  // namespace ssi::sys
