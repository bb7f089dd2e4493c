// SPDX-License-Identifier: BSD-3-Clause
// Tasks on threads of the operating system.
#include <pthread.h>
#include <sched.h>

#include <csignal>
#include <thread>

#include "ssi/sys/task.hpp"
#include "task_id.hpp"

namespace ssi::sys {
namespace {

class ThreadHandle final : public Tasks::Handle {
public:
    explicit ThreadHandle(std::thread thread) : thread_(std::move(thread)) {}
    ~ThreadHandle() override {
        if (thread_.joinable()) thread_.join();
    }
    void join() override { thread_.join(); }

private:
    std::thread thread_;
};

void run(const std::string& name, const std::function<void()>& body) {
    // The kernel keeps 15 characters of a thread's name.
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    Task task;
    task.id = detail::next_thread_task_id();
    detail::current = &task;
    body();
    detail::current = nullptr;
}

class ThreadTasks final : public Tasks {
public:
    std::unique_ptr<Handle> spawn(std::string name, std::function<void()> body) override {
        // Signals belong to the application's threads: ours block them all from their first
        // instruction, so the mask is set before the thread exists.
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        std::thread thread(
            [name = std::move(name), body = std::move(body)] { run(name, body); });
        pthread_sigmask(SIG_SETMASK, &before, nullptr);
        return std::make_unique<ThreadHandle>(std::move(thread));
    }
    void yield() override { sched_yield(); }
    void sleep_for(Nanoseconds duration) override {
        timespec left{duration / 1'000'000'000, duration % 1'000'000'000};
        while (nanosleep(&left, &left) != 0 && errno == EINTR) {
        }
    }
};

}  // namespace

std::unique_ptr<Tasks> make_thread_tasks() { return std::make_unique<ThreadTasks>(); }

}  // namespace ssi::sys
