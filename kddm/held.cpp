// SPDX-License-Identifier: BSD-3-Clause
#include "held.hpp"

#include <algorithm>
#include <mutex>

#include "set_state.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::kddm {

void Held::make(sys::Task::Local& slot) {
    slot.value = new Held;
    slot.destroy = [](void* held) { delete static_cast<Held*>(held); };
}

HeldItem* Held::find(const SetState* set, ObjectId id) {
    for (auto& item : items_)
        if (item.set == set && item.id == id) return &item;
    return nullptr;
}

const HeldItem* Held::greatest(const SetState* set) const {
    const HeldItem* best = nullptr;
    const auto less = [](const HeldItem& a, const HeldItem& b) {
        return a.set->id != b.set->id ? a.set->id < b.set->id : a.id < b.id;
    };
    for (const auto& item : items_) {
        if (item.set->engine != set->engine) continue;
        if (!best || less(*best, item)) best = &item;
    }
    return best;
}

void Held::add(const SetState* set, Entry* entry, ObjectId id, Access access) {
    const bool write = access == Access::write;
    items_.push_back({set, entry, id, write ? 0u : 1u, write});
}

void Held::remove(const SetState* set, ObjectId id, Access access) {
    auto it = std::find_if(items_.rbegin(), items_.rend(), [&](const HeldItem& item) {
        return item.set == set && item.id == id;
    });
    SSI_ASSERT(it != items_.rend(), "a guard must be let go by the task that acquired it");
    if (access == Access::write)
        it->write = false;
    else
        --it->read_pins;
    if (!it->write && it->read_pins == 0) items_.erase(std::next(it).base());
}

TaskCounters& Held::counters(SetState& set) {
    Known& known = recent_[set.uid % recent_.size()];
    if (known.set_uid != set.uid) [[unlikely]]
        known = {set.uid, &find_counters(set)};
    return *known.counters;
}

TaskCounters& Held::find_counters(SetState& set) {
    for (auto& [uid, counters] : all_)
        if (uid == set.uid) return *counters;
    auto counters = std::make_shared<TaskCounters>();
    all_.emplace_back(set.uid, counters);
    std::lock_guard lock(set.mutex);
    set.task_counters.push_back(counters);
    return *counters;
}

}  // namespace ssi::kddm
