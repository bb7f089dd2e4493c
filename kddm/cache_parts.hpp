// SPDX-License-Identifier: BSD-3-Clause
// Parts of the cache role that cache.cpp and cache_memory.cpp share. Under the shard lock.
#pragma once

#include "cache.hpp"

namespace ssi::kddm::cache {

// The bytes are of no use any more; small ones are simply left.
void drop_bytes(Entry& entry, Transition& t);
// Zeroes, or an empty object, for an entry that has no bytes. False: out of memory.
bool make_bytes(Entry& entry, Transition& t, bool at_home);
void take_in(Entry& entry, const Body& body, Transition& t);
// Before the newest value leaves or ends: of an object that nobody has pinned.
template <class Around>
void keep_as_of_cut(Entry& entry, const Around& s) {
    const std::uint64_t word = entry.word.load(std::memory_order_relaxed);
    if (!s.keepsakes || pin::generation_of(word) == s.generation) return;
    if (entry.state != CacheState::owner && entry.state != CacheState::exclusive) return;
    s.keepsakes->keep(entry);
    pin::set_generation(entry.word, s.generation);
}
inline std::uint32_t length_of(const Entry& entry) {
    return entry.inline_length ? entry.inline_length : entry.block->length;
}

// Serves the queue from what is here: all leading readers, or one writer; then asks for more.
// `granting`: a grant has just arrived, its waiters go before a revocation.
void pump(Entry& entry, Transition& t, bool granting = false);
// True when the hook must run first; the revocation continues in released().
bool hook_first(Entry& entry, const Message& m, Transition& t);
// The revocation that was put off goes on.
void revoke_at_last(Entry& entry, Transition& t);
// Gives up what is here; nobody has a pin and the word is already closed.
void give_up(Entry& entry, Transition& t);
// The same for a value that the linker has, or that was removed, at its home.
void put_away(Entry& entry, Transition& t);

}  // namespace ssi::kddm::cache
