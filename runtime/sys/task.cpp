// SPDX-License-Identifier: BSD-3-Clause
// The slow paths: how a task blocks. A thread sleeps on a futex; a fiber leaves its thread to the
// other fibers.
#include "ssi/sys/task.hpp"

#include <sched.h>

#include "futex.hpp"
#include "ssi/base/assert.hpp"
#include "ssi/sys/fiber.hpp"
#include "task_id.hpp"

namespace ssi::sys {
namespace {

constexpr std::uint64_t thread_task_bit = 1ull << 63;
std::atomic<std::uint64_t> last_thread_task{0};

// The Task of a thread that Tasks did not spawn; dies with the thread.
struct AdoptedTask {
    Task task;
    AdoptedTask() {
        task.id = detail::next_thread_task_id();
        detail::current = &task;
    }
    ~AdoptedTask() { detail::current = nullptr; }
};

// The scheduler that drives this thread, when the caller is one of its fibers or one of its events.
FiberScheduler* scheduler_here() { return FiberScheduler::on_this_thread(); }

}  // namespace

namespace detail {

constinit thread_local Task* current = nullptr;

Task& adopt_thread() {
    static thread_local AdoptedTask adopted;
    // A destructor that runs after this thread's Task died still needs one.
    if (!current) current = &adopted.task;
    return *current;
}

std::uint64_t next_thread_task_id() {
    return thread_task_bit | (last_thread_task.fetch_add(1, std::memory_order_relaxed) + 1);
}

}  // namespace detail

void yield_task() {
    if (FiberScheduler* scheduler = scheduler_here())
        scheduler->yield();
    else
        sched_yield();
}

Task::~Task() {
    for (Local& one : local) {
        if (one.destroy && one.value) one.destroy(one.value);
        one = {};
    }
}

void Mutex::lock_slow() {
    if (FiberScheduler* scheduler = scheduler_here()) {
        SSI_ASSERT(current_task().scheduler,
                   "a scheduler event must not take a mutex that a fiber holds: spawn a fiber");
        while (state_.exchange(2, std::memory_order_acquire) != 0)
            scheduler->block_on(&state_, Waiter::forever, true);
        return;
    }
    // Holders are brief: a few looks before the system call.
    for (int i = 0; i < 100; ++i) {
        if (state_.load(std::memory_order_relaxed) == 0 && try_lock()) return;
        __builtin_ia32_pause();
    }
    while (state_.exchange(2, std::memory_order_acquire) != 0) futex_wait(state_, 2);
}

void Mutex::unlock_slow() {
    if (FiberScheduler* scheduler = scheduler_here())
        scheduler->wake_blocked(&state_, false);
    else
        futex_wake(state_, 1);
}

void Condition::wait(Mutex& mutex) { wait_for(mutex, Waiter::forever); }

bool Condition::wait_for(Mutex& mutex, Nanoseconds duration) {
    const std::uint32_t seen = sequence_.load(std::memory_order_relaxed);
    waiters_.fetch_add(1, std::memory_order_seq_cst);
    mutex.unlock();
    bool notified;
    if (FiberScheduler* scheduler = scheduler_here()) {
        const Nanoseconds now = scheduler->now();
        const bool limited = duration < Waiter::forever - now;
        notified =
            scheduler->block_on(&sequence_, limited ? now + duration : Waiter::forever, false);
    } else {
        notified = futex_wait(sequence_, seen, duration == Waiter::forever ? -1 : duration);
    }
    waiters_.fetch_sub(1, std::memory_order_relaxed);
    mutex.lock();
    return notified;
}

void Condition::notify_one() {
    sequence_.fetch_add(1, std::memory_order_seq_cst);
    if (waiters_.load(std::memory_order_seq_cst) == 0) return;
    if (FiberScheduler* scheduler = scheduler_here())
        scheduler->wake_blocked(&sequence_, false);
    else
        futex_wake(sequence_, 1);
}

void Condition::notify_all() {
    sequence_.fetch_add(1, std::memory_order_seq_cst);
    if (waiters_.load(std::memory_order_seq_cst) == 0) return;
    if (FiberScheduler* scheduler = scheduler_here())
        scheduler->wake_blocked(&sequence_, true);
    else
        futex_wake(sequence_, INT_MAX);
}

}  // namespace ssi::sys
