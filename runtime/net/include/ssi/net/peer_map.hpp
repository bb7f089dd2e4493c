// SPDX-License-Identifier: BSD-3-Clause
// PeerMap: what one node keeps about each peer it talks to, made on first use. A look-up takes no
// lock: one probe in the usual case, as node ids are dense at first. Nothing grows with the
// session,
// only with the peers met; entries live, at one address, as long as the map.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "ssi/base/ids.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::net {

// T has a member `NodeId node` and is constructible from (NodeId, args...). Thread-safe.
template <class T>
class PeerMap {
public:
    PeerMap() = default;
    PeerMap(const PeerMap&) = delete;
    PeerMap& operator=(const PeerMap&) = delete;

    T* find(NodeId node) const noexcept {
        const Table* table = table_.load(std::memory_order_acquire);
        if (!table) return nullptr;
        for (std::size_t i = node.value & table->mask;; i = (i + 1) & table->mask) {
            T* entry = table->slots[i].load(std::memory_order_acquire);
            if (!entry || entry->node == node) return entry;
        }
    }

    template <class... Args>
    T& find_or_make(NodeId node, Args&&... args) {
        if (T* entry = find(node)) return *entry;
        std::lock_guard lock(mutex_);
        if (T* entry = find(node)) return *entry;
        entries_.push_back(std::make_unique<T>(node, std::forward<Args>(args)...));
        Table* table = table_.load(std::memory_order_relaxed);
        if (!table || entries_.size() * 4 > (table->mask + 1) * 3)
            grow(table ? (table->mask + 1) * 2 : 4);
        else
            insert(*table, entries_.back().get());
        return *entries_.back();
    }

    // In the order in which the peers were met.
    template <class F>
    void for_each(F&& f) const {
        std::lock_guard lock(mutex_);
        for (const auto& entry : entries_) f(*entry);
    }

    std::size_t size() const {
        std::lock_guard lock(mutex_);
        return entries_.size();
    }

private:
    struct Table {
        explicit Table(std::size_t n)
            : mask(n - 1), slots(std::make_unique<std::atomic<T*>[]>(n)) {}
        std::size_t mask;
        std::unique_ptr<std::atomic<T*>[]> slots;
    };

    static void insert(Table& table, T* entry) {
        std::size_t i = entry->node.value & table.mask;
        while (table.slots[i].load(std::memory_order_relaxed)) i = (i + 1) & table.mask;
        table.slots[i].store(entry, std::memory_order_release);
    }

    void grow(std::size_t slots) {
        // Old tables stay: a reader may be walking one. Together they are no larger than the new.
        tables_.push_back(std::make_unique<Table>(slots));
        for (const auto& entry : entries_) insert(*tables_.back(), entry.get());
        table_.store(tables_.back().get(), std::memory_order_release);
    }

    std::atomic<Table*> table_{nullptr};
    mutable sys::Mutex mutex_;  // for making entries
    std::vector<std::unique_ptr<Table>> tables_;
    std::vector<std::unique_ptr<T>> entries_;
};

}  // namespace ssi::net
