// SPDX-License-Identifier: BSD-3-Clause
// FiberScheduler: the simulator's machine. It runs every task of every node as a fiber on the one
// thread that calls run(), in virtual time, in an order drawn from a seed: same seed, same run.
// The twins of the doors that stand on it are at the end: FiberTasks, FiberWaiter, SimClock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/random.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::sys {

struct Fiber;  // a stack, the Task that runs on it and its state; private to runtime/sys

// Groups are nodes: a fiber belongs to the node whose code it runs.
using FiberGroup = std::uint32_t;
inline constexpr FiberGroup no_group = 0xffffffffu;

// What travels with the cause of things: from a fiber to those it wakes or spawns, and through the
// simulated network. For accounting only.
struct Causality {
    std::uint32_t delays = 0;   // messages on the longest chain that led here
    std::uint32_t operation = 0;  // the workload's operation that started it; 0 none
};

// Owns all fibers and their stacks. Not thread-safe: one thread drives it and everything in it.
// Invariants: virtual time never goes back; a fiber runs, is ready, is parked, is preempted or is
// free; a parked fiber is woken by exactly one of wake() and its deadline.
class FiberScheduler {
public:
    struct Options {
        std::uint64_t seed = 1;
        // Runnable fibers and simultaneous events in random order; else first in, first out.
        bool random_order = true;
        // On average one in so many preemption points suspends its fiber for a random virtual time
        // (50 ns to 25 us, mostly short); 0: never.
        std::uint32_t preempt_every = 0;
        std::size_t stack_bytes = default_stack_bytes();
        // Stacks that get a guard page; those beyond have only a mark at their end, which is
        // checked, because the kernel limits the number of mappings.
        std::size_t guarded_stacks = 8192;
    };
    // Runs on the scheduler's own stack: must not block; spawns a fiber for anything longer.
    using EventFunction = void (*)(void* context, std::uint64_t argument);

    explicit FiberScheduler(Options options);
    ~FiberScheduler();  // fibers that did not finish are abandoned: their frames never unwind
    FiberScheduler(const FiberScheduler&) = delete;
    FiberScheduler& operator=(const FiberScheduler&) = delete;

    static std::size_t default_stack_bytes();  // 64 KiB; more in sanitizer builds
    static FiberScheduler* on_this_thread();   // whose run() is active here, or null

    // A new fiber, runnable now. An exception that leaves `body` ends the program.
    void spawn(FiberGroup group, std::function<void()> body);
    void at(Nanoseconds when, EventFunction function, void* context, std::uint64_t argument);

    enum class Outcome : std::uint8_t {
        idle,     // no runnable fiber, no event: finished, or a deadlock if work is left
        stopped,  // stop() was called
    };
    Outcome run();
    void stop() { stopping_ = true; }

    Nanoseconds now() const { return now_; }
    Random& random() { return random_; }
    // Called on the scheduler's stack whenever a fiber has left the processor.
    void set_step_hook(EventFunction function, void* context);

    // For the calling fiber.
    FiberGroup group() const;
    void set_group(FiberGroup group);
    Causality& causality();  // also valid on the scheduler's stack
    // All chains of delays begin anew, also those of tasks that serve one request after another.
    // While no message is under way.
    void forget_delays() {
        ++chains_;
        event_causality_.delays = 0;
    }

    // True when a fiber of the group is suspended at a place it did not choose: it may hold locks,
    // so nothing on the scheduler's stack may take them.
    bool in_the_middle(FiberGroup group) const;
    std::size_t in_the_middle() const { return unsettled_; }
    void set_preemption(bool on) { preemption_ = on; }
    // The fibers of the group never run again (its node is dead).
    void freeze(FiberGroup group);

    struct Usage {
        std::size_t fibers = 0;          // alive now
        std::size_t peak_fibers = 0;
        std::size_t stack_bytes = 0;     // reserved, all stacks ever made
        std::uint64_t switches = 0;
        std::uint64_t preemptions = 0;
        std::uint64_t events = 0;
    };
    Usage usage() const;
    // One line for each fiber that is parked: what it waits for, since when. For reports.
    std::string describe_parked(std::size_t limit) const;

    // For the twins and the slow paths of Mutex and Condition; called from fibers.
    // Sleeps until wake_blocked(address); false when the deadline passed. `locking`: it waits for a
    // lock and may hold others; else it waits for a condition and holds none.
    bool block_on(const void* address, Nanoseconds deadline, bool locking);
    void wake_blocked(const void* address, bool all);
    std::uint32_t current_index() const;
    bool park(Nanoseconds deadline);
    void wake(std::uint32_t fiber_index);
    void yield();
    void sleep_until(Nanoseconds when);

private:
    struct Event {
        Nanoseconds time;
        std::uint64_t tie;        // random above, sequence below
        EventFunction function;   // null: the deadline of fiber `argument`
        void* context;
        std::uint64_t argument;
    };
    struct Blocked {
        const void* address;
        std::uint32_t fiber;
    };
    static bool later(const Event& a, const Event& b);
    static void preempt_here() noexcept;
    void push_event(Event event);
    bool fire_next_event();
    void make_ready(Fiber& fiber);
    void resume(Fiber& fiber);
    void switch_out(Fiber& fiber);
    void preempt(Fiber& fiber);
    void arm(Fiber& fiber, Nanoseconds when);
    void set_unsettled(Fiber& fiber, bool unsettled);
    std::uint32_t next_preemption();
    Fiber& running() const;
    Causality& causality_of(Fiber& fiber) const;
    Fiber& take_fiber();
    void release(Fiber& fiber);

    friend struct Fiber;
    Options options_;
    Random random_;
    Nanoseconds now_ = 0;
    std::uint64_t sequence_ = 0;
    std::uint64_t last_task_ = 0;
    bool stopping_ = false;
    bool preemption_ = true;
    std::uint32_t preempt_countdown_ = 0;
    Fiber* running_ = nullptr;
    Causality event_causality_;
    std::uint32_t chains_ = 0;   // how often they began anew
    std::vector<std::unique_ptr<Fiber>> fibers_;
    std::vector<std::uint32_t> free_;
    std::vector<std::uint32_t> ready_;
    std::size_t ready_first_ = 0;  // first-in, first-out order: the queue's head
    std::vector<Event> events_;    // a heap
    std::vector<Blocked> blocked_;
    std::vector<std::uint32_t> unsettled_in_group_;
    std::vector<bool> frozen_;
    std::size_t unsettled_ = 0;
    EventFunction step_hook_ = nullptr;
    void* step_context_ = nullptr;
    Usage usage_;
};

// Virtual time. wall() is virtual time since a fixed date.
class SimClock final : public Clock {
public:
    explicit SimClock(const FiberScheduler& scheduler) : scheduler_(scheduler) {}
    Nanoseconds now() const override { return scheduler_.now(); }
    Nanoseconds wall() const override { return 1'600'000'000'000'000'000 + scheduler_.now(); }

private:
    const FiberScheduler& scheduler_;
};

// Parks the fiber until notify or the deadline in virtual time. One serves all nodes.
class FiberWaiter final : public Waiter {
public:
    explicit FiberWaiter(FiberScheduler& scheduler) : scheduler_(scheduler) {}
    bool wait_until(WaitCell& cell, Nanoseconds deadline) override;
    void notify(WaitCell& cell) override;

private:
    FiberScheduler& scheduler_;
};

// A spawned fiber belongs to the spawner's group. One serves all nodes.
class FiberTasks final : public Tasks {
public:
    explicit FiberTasks(FiberScheduler& scheduler) : scheduler_(scheduler), waiter_(scheduler) {}
    std::unique_ptr<Handle> spawn(std::string name, std::function<void()> body) override;
    void yield() override { scheduler_.yield(); }
    void sleep_for(Nanoseconds duration) override;

private:
    FiberScheduler& scheduler_;
    FiberWaiter waiter_;
};

}  // namespace ssi::sys
