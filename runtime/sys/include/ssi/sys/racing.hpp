// SPDX-License-Identifier: BSD-3-Clause
// Reading memory that another thread or process may be writing at this moment, without a lock: the
// reader finds out afterwards, by a version, whether what it got is whole. Every load is a relaxed
// atomic one. The writers' stores are plain, which is why ThreadSanitizer is told to look away
// from these loads, and from nothing else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ssi::sys {

template <class T>
[[gnu::no_sanitize_thread]] inline T racing_load(const T& place) {
    static_assert(sizeof(T) == 1 || sizeof(T) == 2 || sizeof(T) == 4 || sizeof(T) == 8);
    return __atomic_load_n(&place, __ATOMIC_RELAXED);
}

// Copies `length` bytes, by whole aligned words as far as they go.
[[gnu::no_sanitize_thread]] inline void racing_copy(std::byte* to, const std::byte* from,
                                                    std::size_t length) {
    constexpr std::size_t word = sizeof(std::uint64_t);
    while (length > 0 && (reinterpret_cast<std::uintptr_t>(from) % word != 0 || length < word)) {
        const auto byte = __atomic_load_n(reinterpret_cast<const unsigned char*>(from),
                                          __ATOMIC_RELAXED);
        *to++ = static_cast<std::byte>(byte);
        ++from;
        --length;
    }
    for (; length >= word; length -= word, from += word, to += word) {
        const std::uint64_t value =
            __atomic_load_n(reinterpret_cast<const std::uint64_t*>(from), __ATOMIC_RELAXED);
        __builtin_memcpy(to, &value, word);
    }
    for (; length > 0; --length) {
        const auto byte = __atomic_load_n(reinterpret_cast<const unsigned char*>(from++),
                                          __ATOMIC_RELAXED);
        *to++ = static_cast<std::byte>(byte);
    }
}

}  // namespace ssi::sys
