// SPDX-License-Identifier: BSD-3-Clause
// The pin word: one atomic in front of the state machine of a cached object. Tasks pin and unpin
// by one compare-and-swap or subtraction, without a lock; the machine (under the shard lock)
// changes the other bits, always by read-modify-write, so that pins are never lost.
//
//   bit 0 readable      local tasks may take read pins
//   bit 1 writable      a local task may take the write pin (implies readable)
//   bit 2 writer held   the pins belong to a writer (and its nested reads)
//   bit 3 revoking      another node waits: no new pins, the last unpin runs the machine
//   bit 4 waiters       local tasks queue: no barging, the last unpin runs the machine
//   bit 5 slow          home coherence, watch, snapshot: every pin goes through the machine
//   bit 6 dirty         written since the linker last had it: set with every write pin
//   bit 7 referenced    used since the sweep for memory last came by: set with every pin
//   bits 8-15           generation: of the last cut that this node's newest value was kept for, or
//                       that is older than it (cut.hpp)
//   bits 16-31          not 0: the write pin is of another process (mapped_atomics.cpp), this one
//   bits 32-63          number of pins
#pragma once

#include <cstdint>

#include "ssi/kddm/raw_set.hpp"
#include "ssi/sys/atomic.hpp"

namespace ssi::kddm::pin {

using Word = sys::Atomic<std::uint64_t>;

inline constexpr std::uint64_t readable = 1;
inline constexpr std::uint64_t writable = 2;
inline constexpr std::uint64_t writer_held = 4;
inline constexpr std::uint64_t revoking = 8;
inline constexpr std::uint64_t waiters = 16;
inline constexpr std::uint64_t slow = 32;
inline constexpr std::uint64_t dirty = 64;
inline constexpr std::uint64_t referenced = 128;
inline constexpr std::uint64_t blocked = revoking | waiters | slow;
inline constexpr std::uint64_t one = 1ull << 32;

inline std::uint32_t count(std::uint64_t v) { return static_cast<std::uint32_t>(v >> 32); }

// Between whatever closed the word to lock-free readers (a writer's pin, or access taken away) and
// the first changed byte: a reader that sees the byte sees the closed word, or what came after it
// (snapshot.hpp). The other end is Entry::set_version.
inline void before_bytes_change() { std::atomic_thread_fence(std::memory_order_release); }

// As it stands in the word, and in SetState::control.
inline constexpr std::uint64_t generation_mask = 0xff00;
inline constexpr unsigned generation_shift = 8;
inline std::uint64_t generation_of(std::uint64_t v) { return v & generation_mask; }
// By whoever has a pin, or has seen under the shard lock that nobody has.
inline void set_generation(Word& word, std::uint64_t generation) {
    std::uint64_t v = word.load(std::memory_order_relaxed);
    while (generation_of(v) != generation &&
           !word.compare_exchange(v, (v & ~generation_mask) | generation,
                                  std::memory_order_acq_rel, std::memory_order_relaxed)) {
    }
}

// Pins are taken and gates are closed in one order for all: whoever closes a gate and then looks at
// the words finds the pin, or the pin's taker, who looks at the gate afterwards, finds it closed.
inline constexpr std::memory_order pinning = std::memory_order_seq_cst;

// Fast path of get: succeeds only when nothing is queued or revoked.
inline bool try_read(Word& word, std::uint64_t ignored = 0) {
    std::uint64_t v = word.load(std::memory_order_relaxed);
    do {
        if ((v & (readable | writer_held | (blocked & ~ignored))) != readable) return false;
    } while (!word.compare_exchange(v, (v + one) | referenced, pinning,
                                    std::memory_order_relaxed));
    return true;
}

// The read pin of who hands out a value of an older generation, which is of `generation` from then
// on: so it is handed out once. Queues and revocations do not matter.
enum class Older : std::uint8_t { pinned, closed, newer };
inline Older try_read_older(Word& word, std::uint64_t generation) {
    std::uint64_t v = word.load(std::memory_order_acquire);
    do {
        if (generation_of(v) == generation) return Older::newer;
        if ((v & (readable | writer_held)) != readable) return Older::closed;
    } while (!word.compare_exchange(v, ((v & ~generation_mask) | generation) + one, pinning,
                                    std::memory_order_acquire));
    return Older::pinned;
}

// Fast path of grab.
inline bool try_write(Word& word, std::uint64_t ignored = 0) {
    std::uint64_t v = word.load(std::memory_order_relaxed);
    do {
        if ((v & (writable | (blocked & ~ignored))) != writable || count(v) != 0) return false;
    } while (!word.compare_exchange(v, (v + one) | writer_held | dirty | referenced, pinning,
                                    std::memory_order_relaxed));
    before_bytes_change();
    return true;
}

// The write pin of another process that has this memory mapped, by its mark (1 .. 65535), so that
// the word tells whose it is should that process die.
inline constexpr unsigned mark_shift = 16;
inline std::uint64_t mark_of(std::uint64_t v) { return (v >> mark_shift) & 0xffff; }
inline bool try_write_from_outside(Word& word, std::uint64_t mark) {
    std::uint64_t v = word.load(std::memory_order_relaxed);
    do {
        if ((v & (writable | blocked)) != writable || count(v) != 0) return false;
    } while (!word.compare_exchange(v, (v + one) | writer_held | dirty | referenced |
                                           mark << mark_shift,
                                    pinning, std::memory_order_relaxed));
    before_bytes_change();
    return true;
}
inline std::uint64_t drop_from_outside(Word& word, std::uint64_t mark) {
    return word.fetch_sub(one + writer_held + (mark << mark_shift), std::memory_order_acq_rel);
}

// Another pin for a task that already has one.
inline void pin_again(Word& word) { word.fetch_add(one, std::memory_order_relaxed); }

// Lets go; returns the word before. The caller runs the machine when must_run says so.
inline std::uint64_t drop(Word& word, Access access) {
    return word.fetch_sub(access == Access::write ? one + writer_held : one,
                          std::memory_order_acq_rel);
}
inline bool must_run(std::uint64_t before) { return count(before) == 1 && (before & blocked); }

// Takes all access away if nobody has a pin, as the value leaves with its dirtiness; otherwise
// marks the word so that the last unpin runs the machine.
inline bool revoke_all(Word& word) {
    std::uint64_t v = word.load(std::memory_order_acquire);
    for (;;) {
        const bool free = count(v) == 0;
        const std::uint64_t next =
            free ? v & ~(readable | writable | revoking | dirty) : v | revoking;
        if (word.compare_exchange(v, next, std::memory_order_acq_rel, std::memory_order_acquire))
            return free;
    }
}

// Takes write access away if no writer has a pin; readers may stay.
inline bool revoke_write(Word& word) {
    std::uint64_t v = word.load(std::memory_order_acquire);
    for (;;) {
        const bool free = !(v & writer_held);
        const std::uint64_t next = free ? v & ~(writable | revoking) : v | revoking;
        if (word.compare_exchange(v, next, std::memory_order_acq_rel, std::memory_order_acquire))
            return free;
    }
}

// Takes all access away if nobody has a pin; else changes nothing.
inline bool try_take_all(Word& word, std::uint64_t also = 0) {
    std::uint64_t v = word.load(std::memory_order_acquire);
    do {
        if (count(v) != 0) return false;
    } while (!word.compare_exchange(v, v & ~(readable | writable | also),
                                    std::memory_order_acq_rel, std::memory_order_acquire));
    return true;
}

// Lets the write pin go and takes all access away in one, so that nobody comes in between; changes
// nothing when there are other pins, or somebody waits.
inline bool try_drop_and_take_all(Word& word) {
    std::uint64_t v = word.load(std::memory_order_acquire);
    do {
        if (count(v) != 1 || (v & blocked)) return false;
    } while (!word.compare_exchange(v, (v - one) & ~(readable | writable | writer_held | dirty),
                                    std::memory_order_acq_rel, std::memory_order_acquire));
    return true;
}

// Takes write access away if no writer has a pin; else changes nothing.
inline bool try_take_write(Word& word) {
    std::uint64_t v = word.load(std::memory_order_acquire);
    do {
        if (v & writer_held) return false;
    } while (!word.compare_exchange(v, v & ~writable, std::memory_order_acq_rel,
                                    std::memory_order_acquire));
    return true;
}

inline void set(Word& word, std::uint64_t bits) {
    word.fetch_or(bits, std::memory_order_acq_rel);
}
inline void clear(Word& word, std::uint64_t bits) {
    word.fetch_and(~bits, std::memory_order_acq_rel);
}

}  // namespace ssi::kddm::pin
