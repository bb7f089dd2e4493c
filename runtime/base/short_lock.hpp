// SPDX-License-Identifier: BSD-3-Clause
// ShortLock: mutual exclusion for base, which lies below sys and so cannot use sys::Mutex. Held for
// a few instructions, never across a wait, a call-back or a preemption point; a contender sleeps in
// the kernel. Meets BasicLockable.
#pragma once

#include <atomic>

namespace ssi {

class ShortLock {
public:
    void lock() noexcept {
        while (flag_.test_and_set(std::memory_order_acquire))
            flag_.wait(true, std::memory_order_relaxed);
    }
    void unlock() noexcept {
        flag_.clear(std::memory_order_release);
        flag_.notify_one();
    }

private:
    std::atomic_flag flag_{};
};

}  // namespace ssi
