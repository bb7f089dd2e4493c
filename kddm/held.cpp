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
    for (std::size_t i = 0; i < count_; ++i)
        if (items_[i].set == set && items_[i].id == id) return &items_[i];
    return nullptr;
}

bool Held::is_inside() const {
    const auto of_cut = [](const SetState* set) {
        return (set->control.load(std::memory_order_relaxed) & control::chosen) != 0;
    };
    if (critical != 0 || (entered && of_cut(entered))) return true;
    return std::ranges::any_of(items(), [&](const HeldItem& item) { return of_cut(item.set); });
}

const HeldItem* Held::greatest(const SetState* set) const {
    const HeldItem* best = nullptr;
    const auto less = [](const HeldItem& a, const HeldItem& b) {
        return a.set->id != b.set->id ? a.set->id < b.set->id : a.id < b.id;
    };
    for (std::size_t i = 0; i < count_; ++i) {
        if (items_[i].set->owner != set->owner) continue;
        if (!best || less(*best, items_[i])) best = &items_[i];
    }
    return best;
}

void Held::remove_any(Entry* entry, Access access) {
    std::size_t i = count_;
    while (i > 0 && items_[i - 1].entry != entry) --i;
    SSI_ASSERT(i > 0, "a guard must be let go by the task that acquired it");
    HeldItem& item = items_[i - 1];
    if (access == Access::write)
        item.write = false;
    else
        --item.read_pins;
    if (item.write || item.read_pins != 0) return;
    for (; i < count_; ++i) items_[i - 1] = items_[i];
    --count_;
}

TaskCounters& Held::find_counters(SetState& set, std::uint64_t uid) {
    for (auto& [known, counters] : all_)
        if (known == uid) return *counters;
    auto counters = std::make_shared<TaskCounters>();
    all_.emplace_back(uid, counters);
    std::lock_guard lock(set.mutex);
    set.task_counters.push_back(counters);
    return *counters;
}

}  // namespace ssi::kddm
