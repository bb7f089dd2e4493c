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
#include "ssi/sys/atomic.hpp"

namespace ssi::sys {

class FiberScheduler;  // fiber.hpp: runs fibers on the one thread that drives it

// Per-task storage: `local[i]` belongs to the layer that owns index i and is deleted by it.
enum class TaskLocalSlot : std::uint8_t { kddm, io, sched, test, c_api, count };

struct Task {
    struct Local {
        void* value = nullptr;
        void (*destroy)(void*) = nullptr;
    };
    // Unique in the process, ascending in creation order. Fibers count from 1 in each scheduler,
    // so that a run is the same whatever ran before it; threads have the top bit set.
    std::uint64_t id = 0;
    FiberScheduler* scheduler = nullptr;   // null for threads
    void* fiber = nullptr;                 // the scheduler's own
    Local local[static_cast<unsigned>(TaskLocalSlot::count)];
    Local& slot(TaskLocalSlot s) { return local[static_cast<unsigned>(s)]; }
    Task() = default;
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task();                               // destroys the locals
};

namespace detail {
// initial-exec: one load relative to the thread pointer, also inside the shared library.
[[gnu::tls_model("initial-exec")]] extern constinit thread_local Task* current;
Task& adopt_thread();
}  // namespace detail

// The calling task; made on first use for a thread that Tasks did not spawn. Never null. Fast:
// one thread-local load. Do not keep the reference across tasks.
inline Task& current_task() {
    Task* task = detail::current;
    return task ? *task : detail::adopt_thread();
}

// Lets others run, for loops that cannot sleep: gives the processor away, or, on a fiber, a little
// virtual time.
void yield_task();

// Blocks the calling task only. Not recursive. Uncontended: one atomic exchange each way.
// lock() is a preemption point under the simulator. A Mutex is used either by threads or by the
// fibers of one scheduler, not by both at once.
class Mutex {
public:
    Mutex() = default;
    Mutex(const Mutex&) = delete;
    Mutex& operator=(const Mutex&) = delete;
    void lock() {
        preemption_point();
        if (!try_lock()) [[unlikely]]
            lock_slow();
    }
    bool try_lock() {
        std::uint32_t expected = 0;
        return state_.compare_exchange_strong(expected, 1, std::memory_order_acquire,
                                              std::memory_order_relaxed);
    }
    void unlock() {
        if (state_.exchange(0, std::memory_order_release) == 2) [[unlikely]]
            unlock_slow();
    }

private:
    friend class Condition;
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
    std::atomic<std::uint32_t> waiters_{0};
};

// Told by the Waiter, on the waiting task and with no lock held, that a wait has outlasted its
// spinning; maybe more than once in a wait. `since`: about when it began.
class LongWait {
public:
    virtual void on_long_wait(Nanoseconds since) = 0;

protected:
    ~LongWait() = default;
};

// A one-shot event that a task waits for and any task or handler signals. Lives on the waiter's
// stack: after notify() the waiter may destroy it at once (see Waiter).
class WaitCell {
public:
    bool ready() const noexcept { return state_.load(std::memory_order_acquire) == 1; }
    void reset() noexcept { state_.store(0, std::memory_order_relaxed); }
    // For the Waiter: 0 pending, 1 ready, 2 and above asleep (what above 2 means is the Waiter's
    // own).
    std::atomic<std::uint32_t>& state() noexcept { return state_; }
    // Set before waiting; only the waiting task looks at it. The simulated Waiter does not.
    LongWait* long_wait = nullptr;

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
