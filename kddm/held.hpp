// SPDX-License-Identifier: BSD-3-Clause
// Held: the guards of one task, in the task's own storage. Knows the acquisition order rule, nested
// pins, and the task's share of the sets' hit counters. Used by its task only.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "entry.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::kddm {

struct SetState;

// Written by one task, read by whoever asks for statistics.
struct TaskCounters {
    std::atomic<std::uint64_t> gets{0};
    std::atomic<std::uint64_t> grabs{0};
    std::atomic<std::uint64_t> hits{0};
    static void add(std::atomic<std::uint64_t>& c) {  // single writer: no locked instruction
        c.store(c.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
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
    bool empty() const { return items_.empty(); }
    HeldItem* find(const SetState* set, ObjectId id);
    // The held object with the greatest (set, id), of the same engine; null when none.
    const HeldItem* greatest(const SetState* set) const;
    void add(const SetState* set, Entry* entry, ObjectId id, Access access);
    void remove(const SetState* set, ObjectId id, Access access);
    std::size_t size() const { return items_.size(); }

    TaskCounters& counters(SetState& set);

    static Held& of_task() {
        auto& slot = sys::current_task().slot(sys::TaskLocalSlot::kddm);
        if (!slot.value) [[unlikely]]
            make(slot);
        return *static_cast<Held*>(slot.value);
    }

private:
    static void make(sys::Task::Local& slot);
    TaskCounters& find_counters(SetState& set);

    std::vector<HeldItem> items_;
    struct Known {
        std::uint64_t set_uid = 0;
        TaskCounters* counters = nullptr;
    };
    std::array<Known, 8> recent_{};
    std::vector<std::pair<std::uint64_t, std::shared_ptr<TaskCounters>>> all_;
};

}  // namespace ssi::kddm
