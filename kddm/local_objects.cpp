// SPDX-License-Identifier: BSD-3-Clause
// for_each_local and for_each_owned: a list of names first, taken shard by shard, then one guard at
// a time, ascending, so that neither a lock nor more than one object is held while others change.
#include <algorithm>
#include <mutex>
#include <vector>

#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

namespace {

bool is_owned(CacheState state) {
    return state == CacheState::owner || state == CacheState::exclusive;
}
bool is_local(CacheState state) { return state == CacheState::shared || is_owned(state); }

}  // namespace

std::vector<ObjectId> Impl::objects_here(SetState& set, bool owned) {
    std::vector<ObjectId> ids;
    for (std::uint32_t i = 0; i <= set.shard_mask; ++i) {
        std::lock_guard lock(set.shards[i].mutex);
        set.shards[i].index.for_each([&](const Entry& e) {
            if (owned ? is_owned(e.state) : is_local(e.state)) ids.push_back(e.id);
        });
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::vector<ObjectId> Impl::known_of(SetState& set, std::uint64_t hi) {
    std::vector<ObjectId> ids;
    for (std::uint32_t i = 0; i <= set.shard_mask; ++i) {
        std::lock_guard lock(set.shards[i].mutex);
        set.shards[i].index.for_each([&](const Entry& e) {
            if (e.id.hi == hi) ids.push_back(e.id);
        });
    }
    std::sort(ids.begin(), ids.end());
    return ids;
}

Result<std::uint64_t> Impl::for_each_here(SetState& set, bool owned, Access access,
                                          const std::function<void(RawGuard&)>& visit) {
    if (auto checked = check_set(set); !checked)
        return tl::unexpected<Failure>(std::move(checked).error());
    std::uint64_t visited = 0;
    for (const ObjectId id : objects_here(set, owned)) {
        {
            Step step(*this, set, id, hash_object(set.id, id));
            const Entry* entry = step.find();
            if (!entry || !(owned ? is_owned(entry->state) : is_local(entry->state))) continue;
        }
        // A loop does not know what it will meet, so here a second grab is no misuse to end for.
        if (access == Access::write && Held::of_task().find(&set, id))
            return ssi::fail(Errc::deadlock, "this task holds an object that the loop would grab: "
                                             "let go first");
        // Should it leave just now, it comes back: who visits it is right either way.
        auto guard = acquire(set, id, {.access = access});
        if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
        ++visited;
        visit(*guard);
    }
    return visited;
}

Result<std::uint64_t> RawSet::for_each_local(const std::function<void(RawGuard&)>& visit) {
    return engine_->impl().for_each_here(*set_, false, Access::read, visit);
}

Result<std::uint64_t> RawSet::for_each_owned(const std::function<void(RawGuard&)>& visit,
                                             Access access) {
    return engine_->impl().for_each_here(*set_, true, access, visit);
}

}  // namespace ssi::kddm
