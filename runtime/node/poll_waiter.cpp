// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/poll_waiter.hpp"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <ctime>

namespace ssi::node {
namespace {

constexpr int crowded_spins = 10;
constexpr int polls_per_yield = 2;
// A sleeper looks for itself this often, should nobody else poll.
constexpr Nanoseconds longest_sleep_ns = 50'000'000;

enum : std::uint32_t { pending = 0, ready = 1, asleep = 2 };

void futex_sleep(std::atomic<std::uint32_t>& word, Nanoseconds duration) {
    timespec limit{duration / 1'000'000'000, duration % 1'000'000'000};
    syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, asleep, &limit, nullptr, 0);
}

}  // namespace

WaitPolicy WaitPolicy::from_config(const Config& config, int usable_cores, int ranks_on_host) {
    WaitPolicy policy;
    const std::string& mode = config.text("progress");
    policy.mode = mode == "spin"    ? Mode::spin
                  : mode == "yield" ? Mode::yield
                  : mode == "block" ? Mode::block
                                    : Mode::automatic;
    policy.spin_iterations = static_cast<int>(config.integer("wait.spin_iterations"));
    policy.usable_cores = usable_cores;
    policy.ranks_on_host = ranks_on_host;
    return policy;
}

PollWaiter::PollWaiter(net::Transport& transport, const Clock& clock, sys::Tasks& tasks,
                       WaitPolicy policy)
    : transport_(transport), clock_(clock), tasks_(tasks), policy_(policy) {}

// Spinning while others need the core makes everybody slower by the length of a time slice.
bool PollWaiter::crowded() const {
    return waiters_.load(std::memory_order_relaxed) * policy_.ranks_on_host >
           policy_.usable_cores;
}

bool PollWaiter::wait_until(sys::WaitCell& cell, Nanoseconds deadline) {
    if (cell.ready()) return true;
    // An answer that is nearly here is not worth the accounts.
    const bool polls = policy_.mode != WaitPolicy::Mode::block;
    if (polls && spin(cell, deadline, crowded_spins)) return true;
    waiters_.fetch_add(1, std::memory_order_relaxed);
    // A sleeper that finds messages itself has woken up: nobody else looks after them.
    Nanoseconds since = 0;  // when the first spinning was over; 0: not yet
    while (!wait_awake(cell, deadline, since) && sleep(cell, deadline, since)) {
    }
    waiters_.fetch_sub(1, std::memory_order_relaxed);
    return cell.ready();
}

// Spins and yields until the cell is ready, the deadline is over or it is time to sleep.
bool PollWaiter::wait_awake(sys::WaitCell& cell, Nanoseconds deadline, Nanoseconds& since) {
    if (policy_.mode == WaitPolicy::Mode::spin) return spin_for_ever(cell, deadline, since);
    // A poll of ours would keep the progress thread from staying in charge.
    if (policy_.mode == WaitPolicy::Mode::block) return false;
    for (;;) {
        const bool alone = !crowded();
        if (spin(cell, deadline, alone ? policy_.spin_iterations : crowded_spins)) return true;
        switch (yield(cell, deadline, alone, since)) {
            case Yielded::ready: return true;
            case Yielded::tired: return false;
            case Yielded::busy: break;  // a core to spare and messages again: spin for more
        }
    }
}

// True when the cell is ready. Polls `iterations` times after the last message that came; without a
// core to spare after all, as then whoever sends them may be waiting for this one.
bool PollWaiter::spin(sys::WaitCell& cell, Nanoseconds deadline, int iterations) const {
    const bool patient = iterations > crowded_spins;
    unsigned i = 0;
    for (int left = iterations; left > 0; ++i) {
        const bool arrived = transport_.poll();
        if (cell.ready()) return true;
        if (arrived && patient)
            left = iterations;
        else if (iterations != INT_MAX)
            --left;
        if ((i & 63) == 63 && deadline != forever && clock_.now() >= deadline) return cell.ready();
    }
    return false;
}

// The same without an end but the deadline, telling of a long wait between two spins.
bool PollWaiter::spin_for_ever(sys::WaitCell& cell, Nanoseconds deadline,
                               Nanoseconds& since) const {
    if (!cell.long_wait) return spin(cell, deadline, INT_MAX);
    do {
        if (spin(cell, deadline, std::max(policy_.spin_iterations, 1))) return true;
        const Nanoseconds now = clock_.now();
        if (since == 0) since = now;
        if (now >= deadline) return cell.ready();
        if (tell_if_long(cell, now, since)) return spin(cell, deadline, INT_MAX);
    } while (true);
}

bool PollWaiter::tell_if_long(sys::WaitCell& cell, Nanoseconds now, Nanoseconds since) const {
    if (!cell.long_wait || now - since < policy_.long_wait_ns) return false;
    cell.long_wait->on_long_wait(since);
    return true;
}

PollWaiter::Yielded PollWaiter::yield(sys::WaitCell& cell, Nanoseconds deadline, bool alone,
                                      Nanoseconds& since) {
    const bool may_sleep = policy_.mode == WaitPolicy::Mode::automatic;
    const Nanoseconds patience = alone ? policy_.patience_ns : policy_.crowded_patience_ns;
    Nanoseconds quiet_since = clock_.now();
    if (since == 0) since = quiet_since;
    for (bool told = false;;) {
        bool arrived = false;
        for (int i = 0; i < polls_per_yield; ++i) {
            arrived = transport_.poll() || arrived;
            if (cell.ready()) return Yielded::ready;
        }
        const Nanoseconds now = clock_.now();
        if (now >= deadline) return Yielded::tired;
        if (arrived && alone) return Yielded::busy;
        if (arrived)
            quiet_since = now;
        else if (may_sleep && now - quiet_since > patience)
            return Yielded::tired;
        if (!told) told = tell_if_long(cell, now, since);
        tasks_.yield();
    }
}

// True when it ends because messages came, but not what the cell waits for.
bool PollWaiter::sleep(sys::WaitCell& cell, Nanoseconds deadline, Nanoseconds since) {
    if (cell.long_wait && clock_.now() < deadline)
        cell.long_wait->on_long_wait(since != 0 ? since : clock_.now());
    const bool may_wake = policy_.mode != WaitPolicy::Mode::block;
    bool arrived = false;
    std::atomic<std::uint32_t>& state = cell.state();
    // A sleeper does not poll: others that wait may have the core it leaves.
    waiters_.fetch_sub(1, std::memory_order_relaxed);
    while (!arrived) {
        std::uint32_t expected = pending;
        if (!state.compare_exchange_strong(expected, asleep, std::memory_order_acq_rel)) break;
        const Nanoseconds now = clock_.now();
        if (now < deadline) futex_sleep(state, std::min(deadline - now, longest_sleep_ns));
        expected = asleep;
        if (!state.compare_exchange_strong(expected, pending, std::memory_order_acq_rel)) break;
        arrived = transport_.poll() && may_wake;
        if (cell.ready() || clock_.now() >= deadline) break;
    }
    waiters_.fetch_add(1, std::memory_order_relaxed);
    return arrived && !cell.ready() && clock_.now() < deadline;
}

void PollWaiter::notify(sys::WaitCell& cell) {
    std::atomic<std::uint32_t>& state = cell.state();
    // From here on the cell may be gone: the wake-up below goes by address and touches nothing.
    if (state.exchange(ready, std::memory_order_acq_rel) == asleep)
        syscall(SYS_futex, &state, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace ssi::node
