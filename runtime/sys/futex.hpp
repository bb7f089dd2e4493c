// SPDX-License-Identifier: BSD-3-Clause
// The futex system call on a process-private word. Private to runtime/sys.
#pragma once

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <ctime>

#include "ssi/base/clock.hpp"

namespace ssi::sys {

// Sleeps while the word holds `expected`, at most `timeout` (negative: no limit). False when the
// time passed; true otherwise, which may be a spurious wake-up.
inline bool futex_wait(std::atomic<std::uint32_t>& word, std::uint32_t expected,
                       Nanoseconds timeout = -1) {
    timespec limit{};
    timespec* limit_or_none = nullptr;
    if (timeout >= 0) {
        limit.tv_sec = timeout / 1'000'000'000;
        limit.tv_nsec = timeout % 1'000'000'000;
        limit_or_none = &limit;
    }
    const long done = syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, expected, limit_or_none,
                              nullptr, 0);
    return done == 0 || errno != ETIMEDOUT;
}

inline void futex_wake(std::atomic<std::uint32_t>& word, int count) {
    syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, count, nullptr, nullptr, 0);
}

}  // namespace ssi::sys
