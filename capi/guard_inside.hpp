// SPDX-License-Identifier: BSD-3-Clause
// What lies inside an ssi_guard: a RawGuard, in the caller's memory, so that an acquisition
// allocates nothing. C programs copy structs and put twice: whatever a guard says is checked
// against what the task really holds before it is let go.
#pragma once

#include <cstring>
#include <new>
#include <utility>

#include "handles.hpp"

namespace ssi::capi {

// Tells a guard that holds something from zeroes and from memory that never was one.
inline constexpr std::uint64_t guard_cookie = 0x6472617567697373ull;

struct Inside {
    kddm::RawGuard raw;
    ssi_set* set;
    std::uint64_t cookie;
};
static_assert(sizeof(Inside) == sizeof(ssi_guard::opaque) && alignof(Inside) <= 8);

inline std::uint64_t cookie_of(const ssi_guard& guard) {
    return guard.opaque[sizeof guard.opaque / sizeof guard.opaque[0] - 1];
}

// What the guard shows of its object: after an acquisition, an upgrade, a change of size.
inline void show(ssi_guard& guard, kddm::RawGuard& raw) {
    guard.data = raw.bytes().data();
    guard.size = raw.bytes().size();
    guard.writable =
        raw.access() == kddm::Access::write ? const_cast<void*>(guard.data) : nullptr;
}

inline void fill(ssi_guard& guard, ssi_set* set, kddm::RawGuard&& raw) {
    show(guard, raw);
    new (guard.opaque) Inside{std::move(raw), set, guard_cookie};
}

// For a repeated id: shows what `other` shows, but holds nothing; a put only empties it.
inline constexpr std::uint64_t second_cookie = guard_cookie + 1;
inline void show_again(ssi_guard& guard, const ssi_guard& other) {
    guard = {other.data, other.writable, other.size, {0, 0, 0, 0, second_cookie}};
}

// The inside of a guard that the calling task holds.
Result<Inside*> held(ssi_guard* guard);
// Before a grab, which ends the process when the task holds the object already.
Result<void> check_not_held(const ssi_set& set, ObjectId id);

}  // namespace ssi::capi
