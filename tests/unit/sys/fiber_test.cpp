// SPDX-License-Identifier: BSD-3-Clause
// The simulator's machine: order, time, waiting, preemption.
#include "ssi/sys/fiber.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <stdexcept>

namespace ssi::sys {
namespace {

using Outcome = FiberScheduler::Outcome;

std::string order_of(FiberScheduler::Options options) {
    FiberScheduler scheduler(options);
    std::string order;
    for (char name = 'a'; name <= 'z'; ++name)
        scheduler.spawn(0, [&, name] {
            order += name;
            scheduler.yield();
            order += name;
        });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    return order;
}

TEST(Fiber, runs_in_the_same_order_for_the_same_seed) {
    EXPECT_EQ(order_of({.seed = 7}), order_of({.seed = 7}));
    EXPECT_NE(order_of({.seed = 7}), order_of({.seed = 8}));
}

TEST(Fiber, runs_first_in_first_out_when_asked) {
    EXPECT_EQ(order_of({.random_order = false}).substr(0, 26), "abcdefghijklmnopqrstuvwxyz");
}

TEST(Fiber, sleeps_in_virtual_time) {
    FiberScheduler scheduler({});
    FiberTasks tasks(scheduler);
    SimClock clock(scheduler);
    std::vector<Nanoseconds> woken;
    for (Nanoseconds hours : {3, 1, 2})
        scheduler.spawn(0, [&, hours] {
            tasks.sleep_for(hours * 3'600'000'000'000);
            woken.push_back(clock.now() / 3'600'000'000'000);
        });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(woken, (std::vector<Nanoseconds>{1, 2, 3}));
}

TEST(Fiber, waits_for_a_notification) {
    FiberScheduler scheduler({});
    FiberWaiter waiter(scheduler);
    WaitCell cell;
    bool woken = false;
    scheduler.spawn(0, [&] {
        waiter.wait(cell);
        woken = true;
    });
    scheduler.spawn(0, [&] {
        scheduler.sleep_until(100);
        EXPECT_FALSE(woken);
        waiter.notify(cell);
    });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_TRUE(woken);
}

TEST(Fiber, wait_ends_at_its_deadline_and_not_before) {
    FiberScheduler scheduler({});
    FiberWaiter waiter(scheduler);
    scheduler.spawn(0, [&] {
        WaitCell cell;
        EXPECT_FALSE(waiter.wait_until(cell, 5000));
        EXPECT_EQ(scheduler.now(), 5000);
        cell.reset();
        waiter.notify(cell);
        EXPECT_TRUE(waiter.wait_until(cell, 9000));
        EXPECT_EQ(scheduler.now(), 5000);
    });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
}

TEST(Fiber, an_old_deadline_does_not_move_the_time) {
    FiberScheduler scheduler({});
    FiberWaiter waiter(scheduler);
    WaitCell cell;
    scheduler.spawn(0, [&] { EXPECT_TRUE(waiter.wait_until(cell, 1'000'000)); });
    scheduler.spawn(0, [&] {
        scheduler.sleep_until(10);
        waiter.notify(cell);
    });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(scheduler.now(), 10);
}

TEST(Fiber, a_world_without_progress_is_noticed_and_described) {
    FiberScheduler scheduler({});
    FiberWaiter waiter(scheduler);
    WaitCell never;
    Mutex mutex;
    bool finished = false;
    scheduler.spawn(4, [&] {
        mutex.lock();
        waiter.wait(never);
        finished = true;
    });
    scheduler.spawn(5, [&] {
        scheduler.sleep_until(7);
        mutex.lock();
        finished = true;
    });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_FALSE(finished);
    const std::string report = scheduler.describe_parked(10);
    EXPECT_NE(report.find("on node 4 waits for an event"), std::string::npos) << report;
    EXPECT_NE(report.find("on node 5 waits for a lock since 7 ns"), std::string::npos) << report;
}

TEST(Fiber, preemption_happens_inside_critical_sections_and_mutexes_hold) {
    FiberScheduler scheduler({.seed = 3, .preempt_every = 5});
    Mutex mutex;
    Atomic<int> shared{0};
    int inside = 0, most_inside = 0, switches_inside = 0;
    for (int f = 0; f < 20; ++f)
        scheduler.spawn(static_cast<FiberGroup>(f), [&] {
            for (int i = 0; i < 50; ++i) {
                std::lock_guard lock(mutex);
                most_inside = std::max(most_inside, ++inside);
                const auto before = scheduler.usage().preemptions;
                shared.store(shared.load() + 1);
                if (scheduler.usage().preemptions != before) ++switches_inside;
                --inside;
            }
        });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(most_inside, 1);
    EXPECT_EQ(shared.load(), 1000);
    EXPECT_GT(switches_inside, 50);
    EXPECT_EQ(scheduler.in_the_middle(), 0u);
}

TEST(Fiber, preemption_breaks_what_is_not_atomic) {
    FiberScheduler scheduler({.seed = 3, .preempt_every = 5});
    Atomic<int> shared{0};
    for (int f = 0; f < 20; ++f)
        scheduler.spawn(0, [&] {
            for (int i = 0; i < 50; ++i) shared.store(shared.load() + 1);
        });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_LT(shared.load(), 1000);
}

TEST(Fiber, knows_which_group_was_suspended_in_the_middle) {
    FiberScheduler scheduler({.seed = 1, .preempt_every = 1});
    Atomic<int> word{0};
    static bool seen;
    seen = false;
    scheduler.set_step_hook(
        [](void* context, std::uint64_t) {
            auto& running = *static_cast<FiberScheduler*>(context);
            seen = seen || running.in_the_middle(3);
            EXPECT_FALSE(running.in_the_middle(2));
        },
        &scheduler);
    scheduler.spawn(3, [&] { word.load(); });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_TRUE(seen);
    EXPECT_FALSE(scheduler.in_the_middle(3));
}

TEST(Fiber, condition_wakes_fibers_and_honours_its_time_limit) {
    FiberScheduler scheduler({.preempt_every = 7});
    Mutex mutex;
    Condition changed;
    int woken = 0;
    bool open = false;
    for (int i = 0; i < 10; ++i)
        scheduler.spawn(0, [&] {
            std::unique_lock lock(mutex);
            while (!open) changed.wait(mutex);
            ++woken;
        });
    scheduler.spawn(0, [&] {
        std::unique_lock lock(mutex);
        Condition never;
        EXPECT_FALSE(never.wait_for(mutex, 100'000));
        EXPECT_EQ(woken, 0);
        open = true;
        changed.notify_all();
    });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(woken, 10);
}

TEST(Fiber, a_frozen_group_never_runs_again) {
    FiberScheduler scheduler({});
    int ran = 0;
    for (FiberGroup group : {0u, 1u})
        scheduler.spawn(group, [&] {
            scheduler.sleep_until(100);
            ++ran;
        });
    scheduler.at(50, [](void* s, std::uint64_t) { static_cast<FiberScheduler*>(s)->freeze(1); },
                 &scheduler, 0);
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(ran, 1);
}

TEST(Fiber, stop_returns_to_the_driver_and_run_continues) {
    FiberScheduler scheduler({});
    int steps = 0;
    scheduler.spawn(0, [&] {
        ++steps;
        scheduler.stop();
        scheduler.yield();
        ++steps;
    });
    EXPECT_EQ(scheduler.run(), Outcome::stopped);
    EXPECT_EQ(steps, 1);
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(steps, 2);
}

TEST(Fiber, reuses_the_stacks_of_finished_fibers) {
    FiberScheduler scheduler({});
    int finished = 0;
    scheduler.spawn(0, [&] {
        for (int i = 0; i < 5000; ++i) {
            scheduler.spawn(0, [&] { ++finished; });
            scheduler.yield();
        }
    });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(finished, 5000);
    EXPECT_LE(scheduler.usage().peak_fibers, 3u);
}

TEST(Fiber, exceptions_survive_switches_during_unwinding) {
    FiberScheduler scheduler({});
    struct BlocksWhenDestroyed {
        FiberScheduler& scheduler;
        ~BlocksWhenDestroyed() { scheduler.yield(); }
    };
    int caught = 0;
    for (int f = 0; f < 10; ++f)
        scheduler.spawn(0, [&, f] {
            try {
                BlocksWhenDestroyed guard{scheduler};
                throw std::runtime_error(std::to_string(f));
            } catch (const std::runtime_error& error) {
                scheduler.yield();
                EXPECT_EQ(error.what(), std::to_string(f));
                EXPECT_EQ(std::uncaught_exceptions(), 0);
                ++caught;
            }
        });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(caught, 10);
}

TEST(Fiber, tasks_are_fibers_with_their_own_locals) {
    FiberScheduler scheduler({});
    FiberTasks tasks(scheduler);
    static int destroyed;
    destroyed = 0;
    scheduler.spawn(0, [&] {
        const std::uint64_t mine = current_task().id;
        auto handle = tasks.spawn("child", [&] {
            EXPECT_NE(current_task().id, mine);
            EXPECT_EQ(current_task().scheduler, &scheduler);
            auto& slot = current_task().slot(TaskLocalSlot::test);
            slot.value = &destroyed;
            slot.destroy = [](void* value) { ++*static_cast<int*>(value); };
            scheduler.yield();
        });
        handle->join();
        EXPECT_EQ(destroyed, 1);
        EXPECT_EQ(current_task().id, mine);
    });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(destroyed, 1);
    EXPECT_EQ(current_task().scheduler, nullptr);
}

TEST(Fiber, the_longest_chain_of_delays_follows_the_wake_ups) {
    FiberScheduler scheduler({});
    FiberWaiter waiter(scheduler);
    WaitCell cell;
    scheduler.spawn(0, [&] {
        waiter.wait(cell);
        EXPECT_EQ(scheduler.causality().delays, 3u);
    });
    scheduler.spawn(0, [&] {
        scheduler.causality().delays = 3;
        scheduler.sleep_until(10);
        waiter.notify(cell);
    });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
}

TEST(Fiber, chains_of_delays_begin_anew_also_in_tasks_that_stay) {
    FiberScheduler scheduler({});
    FiberWaiter waiter(scheduler);
    WaitCell requests[2];
    std::vector<std::uint32_t> seen;
    scheduler.spawn(0, [&] {
        for (WaitCell& request : requests) {
            waiter.wait(request);
            seen.push_back(scheduler.causality().delays);
        }
    });
    scheduler.spawn(0, [&] {
        scheduler.causality().delays = 5;
        scheduler.sleep_until(10);
        waiter.notify(requests[0]);
        scheduler.sleep_until(20);
        scheduler.forget_delays();
        EXPECT_EQ(scheduler.causality().delays, 0u);
        scheduler.causality().delays = 2;
        waiter.notify(requests[1]);
    });
    EXPECT_EQ(scheduler.run(), Outcome::idle);
    EXPECT_EQ(seen, (std::vector<std::uint32_t>{5, 2}));
}

int deep(int levels) {
    volatile char frame[512] = {};
    frame[0] = static_cast<char>(levels);
    return levels == 0 ? frame[0] : deep(levels - 1) + frame[0];
}

TEST(FiberDeathTest, an_overflowing_stack_is_caught) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            FiberScheduler scheduler({});
            scheduler.spawn(0, [] { deep(100'000); });
            scheduler.run();
        },
        "");
}

TEST(FiberDeathTest, the_schedulers_own_stack_must_not_block) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_DEATH(
        {
            FiberScheduler scheduler({});
            scheduler.at(
                1, [](void* s, std::uint64_t) { static_cast<FiberScheduler*>(s)->yield(); },
                &scheduler, 0);
            scheduler.run();
        },
        "only a fiber can wait");
}

}  // namespace
}  // namespace ssi::sys
