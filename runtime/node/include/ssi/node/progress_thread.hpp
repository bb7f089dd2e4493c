// SPDX-License-Identifier: BSD-3-Clause
// ProgressThread: polls when nobody else does, so that a node answers while its application
// computes or sleeps. It never arms the transport's fd while polls happen: it watches the poll
// counter, and only after one silent interval polls until quiet, arms, and sleeps. No waiter wakes
// it. It also watches the file descriptors that mean something to a node, such as pidfds.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "ssi/base/clock.hpp"
#include "ssi/base/result.hpp"
#include "ssi/net/transport.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::node {

// One per node. The doors outlive it; stop() or the destructor ends the thread.
class ProgressThread {
public:
    struct Options {
        Nanoseconds interval_ns = 500'000;   // longest time without a poll that goes unnoticed
        Nanoseconds quiet_ns = 50'000;       // empty polls for so long: nothing more is coming
        Nanoseconds idle_ns = 500'000'000;   // longest sleep: an armed fd is not trusted blindly
    };
    struct Counts {
        std::uint64_t sleeps;      // times it slept with the fd armed
        std::uint64_t takeovers;   // times it found nobody polling
    };
    ProgressThread(net::Transport& transport, const Clock& clock, sys::Tasks& tasks,
                   Options options);
    ~ProgressThread();
    ProgressThread(const ProgressThread&) = delete;
    ProgressThread& operator=(const ProgressThread&) = delete;

    Result<void> start();
    void stop();  // idempotent; not from a call-back
    // Calls back once, on the progress thread, when the fd becomes readable. The fd stays the
    // caller's and open until then or until stop(). Thread-safe.
    Result<void> watch(int fd, std::function<void()> call_back);
    // Calls back about every `period` on the progress thread; before start().
    void set_tick(Nanoseconds period, std::function<void()> call_back);
    Counts counts() const;

private:
    enum class Next : std::uint8_t { watch, sleep };
    void run();
    Next poll_until_quiet();
    bool wait(Nanoseconds duration, bool with_transport);
    void call_watcher(std::uint64_t key);
    bool stopping() const { return stopping_.load(std::memory_order_acquire); }

    net::Transport& transport_;
    const Clock& clock_;
    sys::Tasks& tasks_;
    const Options options_;
    int epoll_fd_ = -1;
    int stop_fd_ = -1;
    std::atomic<bool> stopping_{false};
    std::atomic<std::uint64_t> sleeps_{0};
    std::atomic<std::uint64_t> takeovers_{0};
    Nanoseconds tick_period_ = 0;
    Nanoseconds next_tick_ = 0;
    std::function<void()> tick_;
    std::unique_ptr<sys::Tasks::Handle> thread_;

    sys::Mutex mutex_;
    std::map<std::uint64_t, std::function<void()>> watchers_;  // under mutex_, by epoll key
    std::uint64_t last_key_ = 0;
};

}  // namespace ssi::node
