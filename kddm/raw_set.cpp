// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/raw_set.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

#include "engine_impl.hpp"
#include "fast_path.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::kddm {

void RawGuard::release() noexcept {
    Entry* entry = entry_;
    const Access access = std::exchange(access_, Access::none);
    const ObjectId id = entry->id;   // afterwards it may be another's
    if (access == Access::write) entry->next_version();
    Held::of_task().remove(entry, access);
    if (pin::must_run(pin::drop(entry->word, access))) [[unlikely]]
        set_->owner->impl().run_unpinned(*set_, id, entry);
}

ObjectId RawGuard::id() const {
    SSI_ASSERT(held(), "the guard was let go or moved from");
    return entry_->id;
}

std::span<const std::byte> RawGuard::bytes() const {
    SSI_ASSERT(held(), "the guard was let go or moved from");
    return entry_->bytes();
}

std::span<std::byte> RawGuard::writable() {
    SSI_ASSERT(access_ == Access::write, "writing needs a guard made by grab, or upgrade()");
    entry_->note_change();
    return entry_->bytes();
}

// Nobody writes back meanwhile: that takes a pin of its own, and so was queued, or will be. Whoever
// noted before that the linker had version v finds another once this guard is let go.
void RawGuard::stored() {
    SSI_ASSERT(access_ == Access::write && set_->linker, "stored() is for a grab of a kept object");
    auto& impl = set_->owner->impl();
    SSI_ASSERT(impl.home_of(*set_, entry_->id) == impl.self, "stored() is for the object's home");
    pin::clear(entry_->word, pin::dirty);
}

std::uint64_t RawGuard::version() const {
    SSI_ASSERT(held(), "the guard was let go or moved from");
    return entry_->version.load(std::memory_order_relaxed) & version_writes_mask;
}

Result<void> RawGuard::resize(std::size_t length) {
    SSI_ASSERT(access_ == Access::write, "resizing needs a guard made by grab, or upgrade()");
    entry_->note_change();
    return set_->owner->impl().resize(*set_, *entry_, length);
}

Result<void> RawGuard::resize_for_overwrite(std::size_t length, std::size_t room) {
    SSI_ASSERT(access_ == Access::write, "resizing needs a guard made by grab, or upgrade()");
    entry_->note_change();
    return set_->owner->impl().resize(*set_, *entry_, length, {.room = room, .zeroed = false});
}

Result<void> RawGuard::put() {
    if (held()) release();
    return {};
}

Result<bool> RawGuard::upgrade() { return set_->owner->impl().upgrade(*this); }

void RawGuard::fail(Failure failure) {
    if (!held()) return;
    set_->fail_later(std::move(failure));
    release();
}

void SetState::fail_later(Failure&& trouble) {
    std::lock_guard lock(mutex);
    if (!failure) failure = std::move(trouble);
    control.fetch_or(control::troubled, std::memory_order_seq_cst);
}

SetId RawSet::id() const { return set_->id; }
const std::string& RawSet::name() const { return set_->name; }
const SetOptions& RawSet::options() const { return set_->options; }

Result<RawGuard> RawSet::acquire(ObjectId id, Access access) {
    Entry* entry = try_fast(*set_, id, access);
    if (entry) [[likely]]
        return RawGuard(set_, entry, access);
    return engine_->impl().acquire(*set_, id, {.access = access, .tried = true});
}
RawGuard RawSet::acquire_or_throw(ObjectId id, Access access) {
    if (Entry* entry = try_fast(*set_, id, access)) [[likely]]
        return RawGuard(set_, entry, access);
    return value_or_throw(engine_->impl().acquire(*set_, id, {.access = access, .tried = true}));
}
Result<RawGuard> RawSet::get(ObjectId id) { return acquire(id, Access::read); }
Result<RawGuard> RawSet::grab(ObjectId id) { return acquire(id, Access::write); }
Result<RawGuard> RawSet::grab_new(ObjectId id) {
    return engine_->impl().acquire(*set_, id, {Access::write, true, false});
}
Result<RawGuard> RawSet::try_grab(ObjectId id) {
    return engine_->impl().acquire(*set_, id, {Access::write, false, true});
}

namespace {

Result<ReadJob> job_for(SetId set, ObjectId id, std::size_t offset, std::size_t length) {
    if (offset > max_object_bytes || (length > max_object_bytes && length != SIZE_MAX))
        return fail(Errc::invalid_argument,
                    fmt::format("read of {} bytes at offset {}: objects have at most {} bytes",
                                length, offset, max_object_bytes));
    ReadJob job{{set, id}};
    job.reading.offset = static_cast<std::uint32_t>(offset);
    if (length != SIZE_MAX) job.reading.length = static_cast<std::uint32_t>(length);
    return job;
}

Result<RawSnapshot> read_one(Engine::Impl& impl, SetState& set, ObjectId id, std::size_t offset,
                             std::size_t length) {
    auto job = job_for(set.id, id, offset, length);
    if (!job) return tl::unexpected<Failure>(std::move(job).error());
    RawSnapshot snapshot;
    job->grown = &snapshot.bytes;
    SSI_TRY(impl.read(set, *job));
    snapshot.version = job->reading.version;
    return snapshot;
}

}  // namespace

Result<RawSnapshot> RawSet::read(ObjectId id) {
    return read_one(engine_->impl(), *set_, id, 0, SIZE_MAX);
}

Result<RawSnapshot> RawSet::read(ObjectId id, std::size_t offset, std::size_t length) {
    return read_one(engine_->impl(), *set_, id, offset, std::min(length, SIZE_MAX - 1));
}

Result<std::uint64_t> RawSet::read_into(ObjectId id, std::size_t offset,
                                        std::span<std::byte> out) {
    auto job = job_for(set_->id, id, offset, out.size());
    if (!job) return tl::unexpected<Failure>(std::move(job).error());
    job->fixed = out.data();
    SSI_TRY(engine_->impl().read(*set_, *job));
    return job->reading.version;
}

Result<std::vector<RawSnapshot>> RawSet::read_many(std::span<const ObjectId> ids) {
    std::vector<RawSnapshot> snapshots(ids.size());
    std::vector<ReadJob> jobs(ids.size());
    for (std::size_t i = 0; i < ids.size(); ++i) {
        jobs[i].reading = {set_->id, ids[i]};
        jobs[i].grown = &snapshots[i].bytes;
    }
    SSI_TRY(engine_->impl().read_many(*set_, jobs));
    for (std::size_t i = 0; i < ids.size(); ++i) snapshots[i].version = jobs[i].reading.version;
    return snapshots;
}

Result<void> RawSet::read_many(std::span<const ObjectId> ids, std::size_t offset,
                               std::size_t length, std::span<std::byte> out,
                               std::span<std::uint64_t> versions) {
    if (ids.size() != 0 && out.size() / ids.size() < length)
        return ssi::fail(Errc::invalid_argument,
                         fmt::format("read_many of {} objects with {} bytes each into {} bytes",
                                     ids.size(), length, out.size()));
    if (!versions.empty() && versions.size() < ids.size())
        return ssi::fail(Errc::invalid_argument,
                         fmt::format("read_many of {} objects into {} versions", ids.size(),
                                     versions.size()));
    auto first = job_for(set_->id, 0, offset, std::min(length, SIZE_MAX - 1));
    if (!first) return tl::unexpected<Failure>(std::move(first).error());
    std::vector<ReadJob> jobs(ids.size(), *first);
    for (std::size_t i = 0; i < ids.size(); ++i) {
        jobs[i].reading.id = ids[i];
        jobs[i].fixed = out.data() + i * length;
    }
    SSI_TRY(engine_->impl().read_many(*set_, jobs));
    if (versions.empty()) return {};
    for (std::size_t i = 0; i < ids.size(); ++i) versions[i] = jobs[i].reading.version;
    return {};
}

Access RawSet::find(ObjectId id) const {
    const std::uint64_t hash = hash_object(set_->id, id);
    const Shard& shard = set_->shard(hash);
    std::lock_guard lock(shard.mutex);
    const Entry* entry = shard.index.find(hash, id);
    if (!entry) return Access::none;
    const std::uint64_t word = entry->word.load(std::memory_order_relaxed);
    if (word & pin::writable) return Access::write;
    return word & pin::readable ? Access::read : Access::none;
}

std::optional<std::size_t> RawSet::length_here(ObjectId id) const {
    return engine_->impl().length_here(*set_, id);
}

std::vector<ObjectId> RawSet::known_of(std::uint64_t hi) const {
    return engine_->impl().known_of(*set_, hi);
}

HeldHere RawSet::held_here(ObjectId id) const {
    Held& held = Held::of_task();
    const HeldItem* item = held.empty() ? nullptr : held.find(set_, id);
    return item ? HeldHere{item->read_pins, item->write} : HeldHere{};
}

NodeId RawSet::home(ObjectId id) const { return engine_->impl().home_of(*set_, id); }

Result<void> RawSet::prefetch(ObjectId id, Access access) {
    auto& impl = engine_->impl();
    SSI_TRY(impl.check_verb(*set_, id));
    const Engine::Impl::Entrance entrance(impl, *set_);
    const std::uint64_t hash = hash_object(set_->id, id);
    Engine::Impl::Step step(impl, *set_, id, hash);
    if (set_->destroyed)
        return ssi::fail(Errc::not_found, "the set was destroyed");
    Entry& entry = step.make();
    if (cache::absent(entry, step.t())) {
        if (set_->linker) (void)cache::bring(entry, false, step.t());
        return {};
    }
    cache::prefetch(entry, access, step.t());
    return {};
}

Result<void> RawSet::flush(ObjectId id) {
    auto& impl = engine_->impl();
    SSI_TRY(impl.check_verb(*set_, id));
    const Engine::Impl::Entrance entrance(impl, *set_);
    Engine::Impl::Step step(impl, *set_, id, hash_object(set_->id, id));
    Entry* entry = step.find();
    if (!entry || cache::flush(*entry, step.t())) return {};
    return ssi::fail(Errc::would_block, "flush of an object that is held or in transition here");
}

Result<void> RawSet::drop_unused() {
    auto& impl = engine_->impl();
    SSI_TRY(impl.check_set(*set_));
    const Engine::Impl::Entrance entrance(impl, *set_);
    impl.drop_unused(*set_);
    return {};
}

Result<void> RawSet::sync() {
    auto& impl = engine_->impl();
    const Engine::Impl::Entrance entrance(impl, *set_);
    impl.wait_evictions(*set_);
    if (set_->linker) SSI_TRY(impl.sync_linked(*set_));
    return impl.check_set(*set_);
}

Result<void> RawSet::write_back(std::span<const ObjectId> ids) {
    const Engine::Impl::Entrance entrance(engine_->impl(), *set_);
    return engine_->impl().write_back(*set_, ids);
}

void RawSet::on_release(std::function<void(ObjectId, std::span<const std::byte>)> hook) {
    std::lock_guard lock(set_->mutex);
    set_->hook = std::move(hook);
    set_->has_hook = static_cast<bool>(set_->hook);
}

SetStats RawSet::stats() const {
    SetStats s;
    std::uint64_t misses = 0;
    {
        std::lock_guard lock(set_->mutex);
        for (const auto& c : set_->task_counters) {
            s.gets += c->gets.load(std::memory_order_relaxed);
            s.grabs += c->grabs.load(std::memory_order_relaxed);
            s.reads += c->reads.load(std::memory_order_relaxed);
            s.reads_mapped += c->mapped_reads.load(std::memory_order_relaxed);
            s.atomics_in_place += c->mapped_atomics.load(std::memory_order_relaxed);
        }
    }
    for (std::uint32_t i = 0; i <= set_->shard_mask; ++i) {
        const Shard& shard = set_->shards[i];
        std::lock_guard lock(shard.mutex);
        misses += shard.counters.misses;
        s.remote_gets += shard.counters.remote_gets;
        s.remote_grabs += shard.counters.remote_grabs;
        s.invalidations += shard.counters.invalidations;
        s.transfers += shard.counters.transfers;
        s.recalls += shard.counters.recalls;
        s.evictions += shard.counters.evictions;
        s.bytes_in += shard.counters.bytes_in;
        s.bytes_out += shard.counters.bytes_out;
        s.objects += shard.counters.objects;
        s.loads += shard.counters.loads;
        s.write_backs += shard.counters.write_backs;
        s.drops += shard.counters.drops;
        s.bounces += shard.counters.bounces;
        s.visits += shard.counters.visits;
    }
    s.hits = s.gets + s.grabs - std::min(misses, s.gets + s.grabs);
    s.memory_bytes = static_cast<std::uint64_t>(std::max<std::int64_t>(set_->use.now(), 0));
    s.applies = set_->applies.load(std::memory_order_relaxed);
    s.reads_by_rma = set_->rma_reads.load(std::memory_order_relaxed);
    s.reads_by_message = set_->message_reads.load(std::memory_order_relaxed);
    return s;
}

}  // namespace ssi::kddm
