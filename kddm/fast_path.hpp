// SPDX-License-Identifier: BSD-3-Clause
// The fast path of get and grab: the object is here, nobody waits for it, and the task holds
// nothing. One look-up and one atomic operation; anything else is left to Engine::Impl::acquire.
#pragma once

#include "pin_word.hpp"
#include "set_state.hpp"

namespace ssi::kddm {

// The pinned entry, or null. Counts the acquisition when it succeeds.
inline Entry* try_fast(SetState& set, ObjectId id, Access access) {
    if ((set.control.load(std::memory_order_relaxed) & control::troubled) ||
        id.lo >= set.limit || (id.hi != 0 && set.options.count != 0)) [[unlikely]]
        return nullptr;
    Held& held = Held::of_task();
    if (!held.empty()) [[unlikely]]
        return nullptr;
    const std::uint64_t hash = hash_object(set.id, id);
    Entry* entry = set.shard(hash).index.find_hint(hash);
    if (!entry) return nullptr;
    expect_bytes(*entry);
    const bool write = access == Access::write;
    if (!(write ? pin::try_write(entry->word) : pin::try_read(entry->word))) return nullptr;
    if (entry->id != id) [[unlikely]] {
        // Another object of the same tag, or a recycled entry: acquire() gives the pin back.
        unpin_stranger(set, entry, access);
        return nullptr;
    }
    // After the pin, so that whoever closes the gate sees the one or we see the other.
    const std::uint64_t control = set.control.load(std::memory_order_seq_cst);
    if (control & control::stops) [[unlikely]] {
        if (!passes_stop(set, control)) {
            unpin_stranger(set, entry, access);
            return nullptr;
        }
    }
    if (write && is_older(*entry, control)) [[unlikely]]
        keep_before_write(set, *entry);
    held.counters(set, set.uid).count(access);
    held.add(&set, entry, id, access);
    return entry;
}

}  // namespace ssi::kddm
