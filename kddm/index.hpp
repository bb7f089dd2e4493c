// SPDX-License-Identifier: BSD-3-Clause
// Index: object name -> Entry within one shard. Open addressing; a slot is a pointer (48 bits) and
// a tag (16 bits of the hash). find_hint is lock-free and may miss or name a recycled entry: the
// caller pins and checks the name, or takes the shard lock. All else runs under the shard lock.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "entry.hpp"

namespace ssi::kddm {

class Index {
public:
    Index() = default;
    ~Index();
    Index(const Index&) = delete;
    Index& operator=(const Index&) = delete;

    // The first entry whose tag fits, or null.
    Entry* find_hint(std::uint64_t hash) const {
        const Table* table = table_.load(std::memory_order_acquire);
        if (!table) return nullptr;
        for (std::uint64_t i = hash & table->mask;; i = (i + 1) & table->mask) {
            const std::uint64_t slot = table->slots[i].load(std::memory_order_acquire);
            if (slot == 0) return nullptr;
            if (slot >> 48 == tag_of(hash) && slot != erased) return pointer(slot);
        }
    }
    void prefetch(std::uint64_t hash) const {
        if (const Table* table = table_.load(std::memory_order_acquire))
            __builtin_prefetch(&table->slots[hash & table->mask]);
    }
    Entry* find(std::uint64_t hash, ObjectId id) const;
    bool insert(std::uint64_t hash, Entry* entry);  // false: out of memory
    void erase(std::uint64_t hash, const Entry* entry);
    std::size_t size() const { return live_; }
    std::size_t bytes() const;   // retired tables included
    std::uint64_t rebuilds() const { return rebuilds_; }   // a walk from before one starts anew

    template <class F>
    void for_each(F&& f) const {
        const Table* table = table_.load();
        if (!table) return;
        for (std::uint64_t i = 0; i <= table->mask; ++i) {
            const std::uint64_t slot = table->slots[i].load(std::memory_order_relaxed);
            if (slot != 0 && slot != erased) f(*pointer(slot));
        }
    }

    // Looks at up to `count` slots from `from` on; returns where to go on, 0 at the end.
    template <class F>
    std::uint64_t walk(std::uint64_t from, std::uint64_t count, F&& f) const {
        const Table* table = table_.load(std::memory_order_relaxed);
        if (!table) return 0;
        const std::uint64_t end = table->mask + 1;
        std::uint64_t i = from < end ? from : end;
        for (; i < end && count > 0; ++i, --count) {
            const std::uint64_t slot = table->slots[i].load(std::memory_order_relaxed);
            if (slot != 0 && slot != erased) f(*pointer(slot));
        }
        return i < end ? i : 0;
    }

private:
    struct Table {
        std::uint64_t mask;
        std::atomic<std::uint64_t> slots[];
    };
    static constexpr std::uint64_t erased = 1;
    static std::size_t table_bytes(std::uint64_t slots) { return sizeof(Table) + slots * 8; }
    // Never 0, so that the erased mark (tag 0) fits nobody.
    static std::uint64_t tag_of(std::uint64_t hash) { return (hash >> 48) | 1; }
    static Entry* pointer(std::uint64_t slot) {
        return reinterpret_cast<Entry*>(slot & 0xffffffffffffull);
    }
    static std::uint64_t pack(std::uint64_t hash, const Entry* entry) {
        return tag_of(hash) << 48 | reinterpret_cast<std::uintptr_t>(entry);
    }
    static Table* make_table(std::uint64_t slots);
    static void free_table(Table* table);
    Table* recycle_table(std::uint64_t slots);
    bool grow();

    std::atomic<Table*> table_{nullptr};
    std::size_t live_ = 0;
    std::size_t filled_ = 0;             // live and erased slots
    std::uint64_t rebuilds_ = 0;
    std::vector<Table*> retired_;        // readers may still walk them; content given back
};

}  // namespace ssi::kddm
