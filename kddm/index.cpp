// SPDX-License-Identifier: BSD-3-Clause
#include "index.hpp"

#include <cstdlib>
#include <new>

#include "ssi/sys/pages.hpp"

namespace ssi::kddm {
namespace {

constexpr std::size_t page_backed_bytes = 64u << 10;  // larger tables are pages of their own
constexpr std::uint64_t first_slots = 16;

}  // namespace

Index::Table* Index::make_table(std::uint64_t slots) {
    const std::size_t bytes = table_bytes(slots);
    void* memory = bytes >= page_backed_bytes ? sys::map_pages(bytes) : std::calloc(1, bytes);
    if (!memory) return nullptr;
    auto* table = static_cast<Table*>(memory);
    table->mask = slots - 1;
    return table;
}

void Index::free_table(Table* table) {
    const std::size_t bytes = table_bytes(table->mask + 1);
    if (bytes >= page_backed_bytes)
        sys::unmap_pages(table, bytes);
    else
        std::free(table);
}

Index::~Index() {
    for (Table* table : retired_) free_table(table);
    if (Table* table = table_.load()) free_table(table);
}

std::size_t Index::bytes() const {
    const Table* table = table_.load(std::memory_order_relaxed);
    std::size_t bytes = table ? table_bytes(table->mask + 1) : 0;
    for (const Table* retired : retired_) {
        const std::size_t size = table_bytes(retired->mask + 1);
        bytes += size >= page_backed_bytes ? 4096 : size;   // the rest was given back
    }
    return bytes;
}

Entry* Index::find(std::uint64_t hash, ObjectId id) const {
    const Table* table = table_.load(std::memory_order_relaxed);
    if (!table) return nullptr;
    for (std::uint64_t i = hash & table->mask;; i = (i + 1) & table->mask) {
        const std::uint64_t slot = table->slots[i].load(std::memory_order_relaxed);
        if (slot == 0) return nullptr;
        if (slot != erased && slot >> 48 == tag_of(hash) && pointer(slot)->id == id)
            return pointer(slot);
    }
}

// The last table that was retired, emptied, when it has that size: sweeps take turns with two. Who
// still reads it misses, or finds what is in it now.
Index::Table* Index::recycle_table(std::uint64_t slots) {
    if (retired_.empty() || retired_.back()->mask + 1 != slots) return nullptr;
    Table* table = retired_.back();
    retired_.pop_back();
    const bool discarded = table_bytes(slots) >= page_backed_bytes;
    const std::uint64_t dirty = discarded ? (4096 - sizeof(Table)) / 8 : slots;
    for (std::uint64_t i = 0; i < dirty; ++i)
        table->slots[i].store(0, std::memory_order_relaxed);
    return table;
}

// Doubles, or sweeps erased slots away. The old table's pages are given back at once: a reader in
// it sees zeroes (a miss), except in the first page, which keeps the mask.
bool Index::grow() {
    Table* old = table_.load(std::memory_order_relaxed);
    const std::uint64_t slots =
        !old ? first_slots : (live_ * 2 > old->mask ? (old->mask + 1) * 2 : old->mask + 1);
    Table* next = recycle_table(slots);
    if (!next) next = make_table(slots);
    if (!next) return false;
    for_each([&](Entry& entry) {
        const std::uint64_t hash = hash_object(SetId(entry.set), entry.id);
        std::uint64_t i = hash & next->mask;
        while (next->slots[i].load(std::memory_order_relaxed) != 0) i = (i + 1) & next->mask;
        next->slots[i].store(pack(hash, &entry), std::memory_order_relaxed);
    });
    table_.store(next, std::memory_order_release);
    filled_ = live_;
    ++rebuilds_;
    if (old) {
        const std::size_t bytes = table_bytes(old->mask + 1);
        if (bytes >= page_backed_bytes)
            sys::discard_pages(reinterpret_cast<char*>(old) + 4096, bytes - 4096);
        retired_.push_back(old);
    }
    return true;
}

bool Index::insert(std::uint64_t hash, Entry* entry) {
    Table* table = table_.load(std::memory_order_relaxed);
    if (!table || (filled_ + 1) * 8 > (table->mask + 1) * 5) {
        if (!grow()) return false;
        table = table_.load(std::memory_order_relaxed);
    }
    std::uint64_t i = hash & table->mask;
    while (table->slots[i].load(std::memory_order_relaxed) > erased) i = (i + 1) & table->mask;
    if (table->slots[i].load(std::memory_order_relaxed) == 0) ++filled_;
    ++live_;
    table->slots[i].store(pack(hash, entry), std::memory_order_release);
    return true;
}

void Index::erase(std::uint64_t hash, const Entry* entry) {
    Table* table = table_.load(std::memory_order_relaxed);
    const std::uint64_t wanted = pack(hash, entry);
    std::uint64_t i = hash & table->mask;
    while (table->slots[i].load(std::memory_order_relaxed) != wanted) i = (i + 1) & table->mask;
    const bool last = table->slots[(i + 1) & table->mask].load(std::memory_order_relaxed) == 0;
    table->slots[i].store(last ? 0 : erased, std::memory_order_release);
    --live_;
    if (!last) return;
    --filled_;
    // Nobody's search goes on through erased slots that lead to an empty one.
    while (table->slots[i = (i - 1) & table->mask].load(std::memory_order_relaxed) == erased) {
        table->slots[i].store(0, std::memory_order_release);
        --filled_;
    }
}

}  // namespace ssi::kddm
