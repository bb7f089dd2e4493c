// SPDX-License-Identifier: BSD-3-Clause
// Atomic<T>: std::atomic whose every operation is a preemption point under the simulator. In real
// runs the hook is null: one predictable branch on a line that never changes.
#pragma once

#include <atomic>

namespace ssi::sys {

using PreemptHook = void (*)() noexcept;
// Set once by the simulator before any node exists; null otherwise.
extern std::atomic<PreemptHook> preempt_hook;

inline void preemption_point() noexcept {
    if (auto hook = preempt_hook.load(std::memory_order_relaxed)) [[unlikely]]
        hook();
}

template <class T>
class Atomic {
public:
    constexpr Atomic() noexcept = default;
    constexpr explicit Atomic(T v) noexcept : value_(v) {}
    Atomic(const Atomic&) = delete;
    Atomic& operator=(const Atomic&) = delete;

    T load(std::memory_order order = std::memory_order_seq_cst) const noexcept {
        preemption_point();
        return value_.load(order);
    }
    void store(T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        preemption_point();
        value_.store(v, order);
    }
    T exchange(T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        preemption_point();
        return value_.exchange(v, order);
    }
    T fetch_add(T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        preemption_point();
        return value_.fetch_add(v, order);
    }
    T fetch_sub(T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        preemption_point();
        return value_.fetch_sub(v, order);
    }
    T fetch_or(T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        preemption_point();
        return value_.fetch_or(v, order);
    }
    T fetch_and(T v, std::memory_order order = std::memory_order_seq_cst) noexcept {
        preemption_point();
        return value_.fetch_and(v, order);
    }
    bool compare_exchange(T& expected, T desired,
                          std::memory_order success = std::memory_order_seq_cst,
                          std::memory_order failure = std::memory_order_seq_cst) noexcept {
        preemption_point();
        return value_.compare_exchange_strong(expected, desired, success, failure);
    }

private:
    std::atomic<T> value_{};
};

}  // namespace ssi::sys
