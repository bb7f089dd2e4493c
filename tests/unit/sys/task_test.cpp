// SPDX-License-Identifier: BSD-3-Clause
// Tasks, Mutex and Condition on threads.
#include "ssi/sys/task.hpp"

#include <gtest/gtest.h>

#include <mutex>
#include <vector>

namespace ssi::sys {
namespace {

TEST(Task, is_one_per_thread_and_never_null) {
    Task& mine = current_task();
    EXPECT_EQ(&mine, &current_task());
    EXPECT_EQ(mine.scheduler, nullptr);
    auto tasks = make_thread_tasks();
    std::uint64_t other = mine.id;
    tasks->spawn("other", [&] { other = current_task().id; })->join();
    EXPECT_NE(other, mine.id);
}

TEST(Task, destroys_its_locals_when_the_thread_ends) {
    auto tasks = make_thread_tasks();
    static int destroyed;
    destroyed = 0;
    tasks->spawn("locals", [] {
        auto& slot = current_task().slot(TaskLocalSlot::test);
        slot.value = &destroyed;
        slot.destroy = [](void* value) { ++*static_cast<int*>(value); };
    })->join();
    EXPECT_EQ(destroyed, 1);
}

TEST(Mutex, excludes_threads_from_each_other) {
    auto tasks = make_thread_tasks();
    Mutex mutex;
    long count = 0;
    std::vector<std::unique_ptr<Tasks::Handle>> threads;
    for (int t = 0; t < 4; ++t)
        threads.push_back(tasks->spawn("adder", [&] {
            for (int i = 0; i < 20000; ++i) {
                std::lock_guard lock(mutex);
                ++count;
            }
        }));
    for (auto& thread : threads) thread->join();
    EXPECT_EQ(count, 80000);
}

TEST(Mutex, try_lock_fails_while_held) {
    Mutex mutex;
    EXPECT_TRUE(mutex.try_lock());
    EXPECT_FALSE(mutex.try_lock());
    mutex.unlock();
    EXPECT_TRUE(mutex.try_lock());
    mutex.unlock();
}

TEST(Mutex, wakes_a_thread_that_sleeps_on_it) {
    auto tasks = make_thread_tasks();
    Mutex mutex;
    mutex.lock();
    bool entered = false;
    auto thread = tasks->spawn("sleeper", [&] {
        std::lock_guard lock(mutex);
        entered = true;
    });
    tasks->sleep_for(20'000'000);
    EXPECT_FALSE(entered);
    mutex.unlock();
    thread->join();
    EXPECT_TRUE(entered);
}

TEST(Condition, passes_a_token_between_threads) {
    auto tasks = make_thread_tasks();
    Mutex mutex;
    Condition changed;
    int turn = 0;
    auto play = [&](int me) {
        for (int i = 0; i < 500; ++i) {
            std::unique_lock lock(mutex);
            while (turn % 2 != me) changed.wait(mutex);
            ++turn;
            changed.notify_all();
        }
    };
    auto first = tasks->spawn("first", [&] { play(0); });
    auto second = tasks->spawn("second", [&] { play(1); });
    first->join();
    second->join();
    EXPECT_EQ(turn, 1000);
}

TEST(Condition, gives_up_when_the_time_has_passed) {
    Mutex mutex;
    Condition never;
    std::unique_lock lock(mutex);
    const RealClock clock;
    const Nanoseconds start = clock.now();
    EXPECT_FALSE(never.wait_for(mutex, 20'000'000));
    EXPECT_GE(clock.now() - start, 20'000'000);
}

TEST(Condition, notify_one_wakes_a_sleeper) {
    auto tasks = make_thread_tasks();
    Mutex mutex;
    Condition changed;
    bool set = false;
    auto thread = tasks->spawn("sleeper", [&] {
        std::unique_lock lock(mutex);
        while (!set) changed.wait(mutex);
    });
    tasks->sleep_for(10'000'000);
    {
        std::lock_guard lock(mutex);
        set = true;
    }
    changed.notify_one();
    thread->join();
}

}  // namespace
}  // namespace ssi::sys
