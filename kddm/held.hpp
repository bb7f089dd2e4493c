// SPDX-License-Identifier: BSD-3-Clause
// Held: the guards of one task, in the task's own storage. Knows the acquisition order rule, nested
// pins, and the task's share of the sets' hit counters. Used by its task only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "entry.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::kddm {

struct SetState;

// Written by one task, read by whoever asks for statistics.
struct TaskCounters {
    std::atomic<std::uint64_t> gets{0};
    std::atomic<std::uint64_t> grabs{0};
    std::atomic<std::uint64_t> reads{0};
    std::atomic<std::uint64_t> mapped_reads{0};
    std::atomic<std::uint64_t> mapped_atomics{0};
    static void add(std::atomic<std::uint64_t>& c) {  // single writer: no locked instruction
        c.store(c.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
    void count(Access access) { add(access == Access::write ? grabs : gets); }
};

struct HeldItem {
    const SetState* set;
    Entry* entry;
    ObjectId id;
    std::uint32_t read_pins;
    bool write;
};

class Held {
public:
    bool empty() const { return count_ == 0; }
    HeldItem* find(const SetState* set, ObjectId id);
    // In the order taken.
    std::span<const HeldItem> items() const { return {items_.data(), count_}; }
    bool holds(const SetState* set) const {   // anything of it
        for (std::size_t i = 0; i < count_; ++i)
            if (items_[i].set == set) return true;
        return false;
    }
    // No gate stops the task: it holds a guard of a set that is part of a cut, or is in a critical
    // section, or in a verb on such a set that has passed the gate.
    bool inside() const { return critical != 0 || entered || count_ != 0 ? is_inside() : false; }
    std::uint32_t critical = 0;            // sections, one in the other
    const SetState* entered = nullptr;     // of the verb under way, see Passage

    // The held object with the greatest (set, id), of the same engine; null when none.
    const HeldItem* greatest(const SetState* set) const;

    void add(const SetState* set, Entry* entry, ObjectId id, Access access) {
        if (count_ == items_.size()) [[unlikely]]
            items_.resize(items_.size() * 2);
        const bool write = access == Access::write;
        items_[count_++] = {set, entry, id, write ? 0u : 1u, write};
    }
    void remove(Entry* entry, Access access) {
        if (count_ != 0) [[likely]] {
            const HeldItem& last = items_[count_ - 1];
            if (last.entry == entry && last.read_pins + last.write == 1) {
                --count_;
                return;
            }
        }
        remove_any(entry, access);
    }

    TaskCounters& counters(SetState& set, std::uint64_t uid) {
        Known& known = recent_[uid % recent_.size()];
        if (known.set_uid != uid) [[unlikely]]
            known = {uid, &find_counters(set, uid)};
        return *known.counters;
    }

    static Held& of_task() {
        auto& slot = sys::current_task().slot(sys::TaskLocalSlot::kddm);
        if (!slot.value) [[unlikely]]
            make(slot);
        return *static_cast<Held*>(slot.value);
    }

private:
    bool is_inside() const;
    static void make(sys::Task::Local& slot);
    void remove_any(Entry* entry, Access access);
    TaskCounters& find_counters(SetState& set, std::uint64_t uid);

    std::size_t count_ = 0;
    std::vector<HeldItem> items_ = std::vector<HeldItem>(8);
    struct Known {
        std::uint64_t set_uid = 0;
        TaskCounters* counters = nullptr;
    };
    std::array<Known, 8> recent_{};
    std::vector<std::pair<std::uint64_t, std::shared_ptr<TaskCounters>>> all_;
};

}  // namespace ssi::kddm
