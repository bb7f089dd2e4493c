// SPDX-License-Identifier: BSD-3-Clause
#include "dump_signal.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

namespace ssi::node {
namespace {

std::atomic<int> wanted_fd{-1};
static_assert(std::atomic<int>::is_always_lock_free);

// Async-signal-safe: one write(2), which never blocks on an eventfd made non-blocking.
void on_signal(int) {
    const int error = errno;
    const int fd = wanted_fd.load(std::memory_order_relaxed);
    const std::uint64_t one = 1;
    if (fd >= 0) [[maybe_unused]]
        const auto n = ::write(fd, &one, sizeof one);
    errno = error;
}

bool is_ours(const struct sigaction& action) {
    return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == &on_signal;
}

}  // namespace

DumpSignal::DumpSignal(int event_fd) {
    struct sigaction now{};
    if (sigaction(SIGUSR2, nullptr, &now) != 0) return;
    const bool free = !(now.sa_flags & SA_SIGINFO) && now.sa_handler == SIG_DFL;
    if (!free && !is_ours(now)) return;
    int nobody = -1;
    if (!wanted_fd.compare_exchange_strong(nobody, event_fd)) return;
    struct sigaction mine{};
    mine.sa_handler = &on_signal;
    mine.sa_flags = SA_RESTART;
    sigemptyset(&mine.sa_mask);
    installed_ = sigaction(SIGUSR2, &mine, nullptr) == 0;
    if (!installed_) wanted_fd = -1;
}

// The handler stays: a signal that is on its way when the session ends must not kill the process.
DumpSignal::~DumpSignal() {
    if (installed_) wanted_fd = -1;
}

}  // namespace ssi::node
