// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/progress_thread.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <mutex>
#include <utility>

namespace ssi::node {
namespace {
// What epoll hands back: watchers count up from there.
constexpr std::uint64_t transport_key = 0;
constexpr std::uint64_t stop_key = 1;
constexpr std::uint64_t first_watcher_key = 2;
constexpr int polls_per_look = 32;  // at the clock
// Under steady traffic the other descriptors are looked at this often.
constexpr Nanoseconds longest_deaf_ns = 10'000'000;
}  // namespace

ProgressThread::ProgressThread(net::Transport& transport, const Clock& clock, sys::Tasks& tasks,
                               Options options)
    : transport_(transport), clock_(clock), tasks_(tasks), options_(options),
      epoll_fd_(epoll_create1(EPOLL_CLOEXEC)), stop_fd_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      last_key_(first_watcher_key) {}

ProgressThread::~ProgressThread() {
    stop();
    if (epoll_fd_ >= 0) ::close(epoll_fd_);
    if (stop_fd_ >= 0) ::close(stop_fd_);
}

Result<void> ProgressThread::start() {
    if (epoll_fd_ < 0 || stop_fd_ < 0)
        return fail_errno(Errc::io, errno, "no file descriptor for the progress thread");
    epoll_event event{EPOLLIN, {.u64 = stop_key}};
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, stop_fd_, &event) != 0)
        return fail_errno(Errc::io, errno, "the progress thread cannot wait for its end");
    if (const int fd = transport_.event_fd(); fd >= 0) {
        // Off until armed: while polls happen the fd may stay readable for ever.
        epoll_event off{EPOLLONESHOT, {.u64 = transport_key}};
        if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &off) != 0)
            return fail_errno(Errc::io, errno, "the progress thread cannot wait for the network");
    }
    next_tick_ = clock_.now() + tick_period_;
    thread_ = tasks_.spawn("ssi-progress", [this] { run(); });
    return {};
}

void ProgressThread::stop() {
    if (!thread_) return;
    stopping_.store(true, std::memory_order_release);
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(stop_fd_, &one, sizeof one);
    thread_->join();
    thread_.reset();
}

Result<void> ProgressThread::watch(int fd, std::function<void()> call_back) {
    std::uint64_t key;
    {
        std::lock_guard lock(mutex_);
        key = last_key_++;
        watchers_.emplace(key, std::move(call_back));
    }
    epoll_event event{EPOLLIN | EPOLLONESHOT, {.u64 = key}};
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, fd, &event) == 0) return {};
    const int error = errno;
    std::lock_guard lock(mutex_);
    watchers_.erase(key);
    return fail_errno(Errc::io, error, "cannot watch a file descriptor");
}

void ProgressThread::set_tick(Nanoseconds period, std::function<void()> call_back) {
    tick_period_ = period;
    tick_ = std::move(call_back);
}

ProgressThread::Counts ProgressThread::counts() const {
    return {sleeps_.load(std::memory_order_relaxed), takeovers_.load(std::memory_order_relaxed)};
}

void ProgressThread::run() {
    const bool has_fd = transport_.event_fd() >= 0;
    const Nanoseconds shortest = std::max<Nanoseconds>(options_.interval_ns / 4, 1000);
    Nanoseconds interval = shortest;
    std::uint64_t seen = transport_.poll_count();
    while (!stopping()) {
        wait(interval, false);
        const std::uint64_t count = transport_.poll_count();
        if (count != std::exchange(seen, count)) {
            interval = std::min(interval * 2, options_.interval_ns);
            continue;
        }
        takeovers_.fetch_add(1, std::memory_order_relaxed);
        interval = shortest;
        bool others_poll = false, woken = true;
        while (!stopping() && !others_poll) {
            // After a sleep that nothing ended but time, one look is enough.
            if ((woken || transport_.poll()) && poll_until_quiet() == Next::watch) break;
            woken = true;
            const std::uint64_t before = transport_.poll_count();
            if (!has_fd) {
                wait(options_.interval_ns, false);
            } else if (transport_.arm()) {
                sleeps_.fetch_add(1, std::memory_order_relaxed);
                woken = wait(options_.idle_ns, true);
            } else {
                // Something is there that a poll does not finish: look again, but not in a rush.
                wait(shortest, false);
            }
            others_poll = transport_.poll_count() != before;
            if (others_poll) transport_.poll();  // for what woke us, should they have gone
        }
        seen = transport_.poll_count();
    }
}

// Polls until nothing came for a while. `watch`: somebody else polls, so this thread need not.
ProgressThread::Next ProgressThread::poll_until_quiet() {
    const std::uint64_t count_before = transport_.poll_count();
    std::uint64_t own = 0;
    bool busy = transport_.poll();
    ++own;
    if (!busy && transport_.event_fd() < 0) return Next::sleep;
    Nanoseconds quiet_since = clock_.now();
    Nanoseconds looked_at = quiet_since;
    while (!stopping()) {
        busy = false;
        for (int i = 0; i < polls_per_look; ++i, ++own) busy = transport_.poll() || busy;
        const Nanoseconds now = clock_.now();
        if (busy) quiet_since = now;
        if (transport_.poll_count() - count_before > own) return Next::watch;
        if (now - quiet_since >= options_.quiet_ns) return Next::sleep;
        if (now - looked_at >= longest_deaf_ns) {
            wait(0, false);
            looked_at = now;
        }
    }
    return Next::watch;
}

// True when the transport's fd ended it.
bool ProgressThread::wait(Nanoseconds duration, bool with_transport) {
    if (with_transport) {
        epoll_event on{EPOLLIN | EPOLLONESHOT, {.u64 = transport_key}};
        epoll_ctl(epoll_fd_, EPOLL_CTL_MOD, transport_.event_fd(), &on);
    }
    if (tick_) duration = std::clamp<Nanoseconds>(next_tick_ - clock_.now(), 0, duration);
    std::array<epoll_event, 16> events;
    const timespec limit{duration / 1'000'000'000, duration % 1'000'000'000};
    const int n = epoll_pwait2(epoll_fd_, events.data(), static_cast<int>(events.size()), &limit,
                               nullptr);
    bool transport_ready = false;
    for (int i = 0; i < n; ++i) {
        const std::uint64_t key = events[static_cast<std::size_t>(i)].data.u64;
        if (key == transport_key) transport_ready = true;
        if (key >= first_watcher_key) call_watcher(key);
    }
    if (tick_ && clock_.now() >= next_tick_) {
        tick_();
        next_tick_ = clock_.now() + tick_period_;
    }
    return transport_ready;
}

void ProgressThread::call_watcher(std::uint64_t key) {
    std::function<void()> call_back;
    {
        std::lock_guard lock(mutex_);
        auto at = watchers_.find(key);
        if (at == watchers_.end()) return;
        call_back = std::move(at->second);
        watchers_.erase(at);
    }
    call_back();
}

}  // namespace ssi::node
