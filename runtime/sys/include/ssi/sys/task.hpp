// SPDX-License-Identifier: BSD-3-Clause
// Task: whatever can hold guards: a thread in real runs, a fiber under the simulator. Tasks: the
// door that makes them. Mutex and Condition work in both worlds: they block the task, not the
// thread, because the slow path asks current_task() how to block.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "ssi/base/clock.hpp"

namespace ssi::sys {

class FiberScheduler;  // private to runtime/sys: runs fibers on the one thread that drives it

// Per-task storage: `local[i]` belongs to the layer that owns index i and is deleted by it.
enum class TaskLocalSlot : std::uint8_t { kddm, io, sched, test };

struct Task {
    struct Local {
        void* value = nullptr;
        void (*destroy)(void*) = nullptr;
    };
    std::uint64_t id = 0;                  // unique in the process, ascending in creation order
    FiberScheduler* scheduler = nullptr;   // null for threads
    void* fiber = nullptr;                 // the scheduler's own
    Local local[4];
    Local& slot(TaskLocalSlot s) { return local[static_cast<unsigned>(s)]; }
    ~Task();                               // destroys the locals
};

// The calling task; made on first use for a thread that Tasks did not spawn. Never null. Fast:
// one thread-local load. Do not keep the reference across tasks.
Task& current_task();

// Blocks the calling task only. Not recursive. Uncontended: one atomic exchange each way.
class Mutex {
public:
    Mutex() = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;
    void lock();
    bool try_lock();
    void unlock();

private:
    void lock_slow();
    void unlock_slow();
    std::atomic<std::uint32_t> state_{0};  // 0 free, 1 held, 2 held with waiters
};

// Use with std::lock_guard / std::unique_lock of <mutex> over sys::Mutex.
class Condition {
public:
    void wait(Mutex& mutex);
    // False when the time passed without a notification. May wake spuriously.
    bool wait_for(Mutex& mutex, Nanoseconds duration);
    void notify_one();
    void notify_all();

private:
    std::atomic<std::uint32_t> sequence_{0};
};

// A one-shot event that a task waits for and any task or handler signals. Lives on the waiter's
// stack: after notify() the waiter may destroy it at once (see Waiter).
class WaitCell {
public:
    bool ready() const noexcept { return state_.load(std::memory_order_acquire) == 1; }
    void reset() noexcept { state_.store(0, std::memory_order_relaxed); }
    std::atomic<std::uint32_t>& state() noexcept { return state_; }  // for Waiter: 0 pending, 1 ready, 2 asleep

private:
    std::atomic<std::uint32_t> state_{0};
};

// Waiter: one of the six doors. Whoever waits polls: spin, then yield, then sleep (real twin);
// park the fiber (simulated twin). Thread-safe. No lock may be held by the caller.
class Waiter {
public:
    static constexpr Nanoseconds forever = INT64_MAX;
    virtual ~Waiter() = default;
    // Returns true when the cell became ready, false when `deadline` (an instant of the node's
    // Clock) passed first; then the cell may still become ready later, until the caller has made
    // sure (under the lock of whoever signals) that nobody will signal it.
    virtual bool wait_until(WaitCell& cell, Nanoseconds deadline) = 0;
    void wait(WaitCell& cell) { wait_until(cell, forever); }
    // Marks the cell ready and wakes its waiter. Touches the cell's memory last by the state
    // exchange (a futex wake may follow by address only).
    virtual void notify(WaitCell& cell) = 0;
};

// Tasks: one of the six doors.
class Tasks {
public:
    class Handle {
    public:
        virtual ~Handle() = default;
        virtual void join() = 0;  // exactly once
    };
    virtual ~Tasks() = default;
    virtual std::unique_ptr<Handle> spawn(std::string name, std::function<void()> body) = 0;
    virtual void yield() = 0;
    virtual void sleep_for(Nanoseconds duration) = 0;
};

// Threads of the operating system, named for debuggers.
std::unique_ptr<Tasks> make_thread_tasks();

}  // namespace ssi::sys
