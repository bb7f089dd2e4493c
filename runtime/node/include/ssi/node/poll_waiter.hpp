// SPDX-License-Identifier: BSD-3-Clause
// PollWaiter: the real twin of the Waiter door. Whoever waits polls the transport: first spinning,
// then giving its core away between polls, at last asleep, when the progress thread polls for it.
#pragma once

#include <atomic>
#include <cstdint>

#include "ssi/base/clock.hpp"
#include "ssi/base/config.hpp"
#include "ssi/net/transport.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::node {

// How a task waits: from `progress` and `wait.*` of the configuration.
struct WaitPolicy {
    enum class Mode : std::uint8_t { automatic, spin, yield, block };
    Mode mode = Mode::automatic;
    int spin_iterations = 2000;     // polls after the last arrival before the first yield, with a
                                    // core for every waiter
    int usable_cores = 1;
    int ranks_on_host = 1;          // processes that share those cores
    // How long a wait in which nothing at all arrives stays awake.
    Nanoseconds patience_ns = 5'000'000;
    Nanoseconds crowded_patience_ns = 1'000'000;  // with more waiters than cores
    // A wait that is awake for so long past its first spinning is told to its LongWait; one that
    // goes to sleep is before it does.
    Nanoseconds long_wait_ns = 1'000'000;

    static WaitPolicy from_config(const Config& config, int usable_cores, int ranks_on_host);
};

// Thread-safe; one per node. The transport and the clock outlive it. Without a progress thread it
// still works, slowly: a sleeper looks every 50 ms.
class PollWaiter final : public sys::Waiter {
public:
    PollWaiter(net::Transport& transport, const Clock& clock, sys::Tasks& tasks,
               WaitPolicy policy);
    bool wait_until(sys::WaitCell& cell, Nanoseconds deadline) override;
    void notify(sys::WaitCell& cell) override;

private:
    enum class Yielded : std::uint8_t { ready, busy, tired };
    bool wait_awake(sys::WaitCell& cell, Nanoseconds deadline, Nanoseconds& since);
    bool spin_for_ever(sys::WaitCell& cell, Nanoseconds deadline, Nanoseconds& since) const;
    bool spin(sys::WaitCell& cell, Nanoseconds deadline, int iterations) const;
    Yielded yield(sys::WaitCell& cell, Nanoseconds deadline, bool alone, Nanoseconds& since);
    bool sleep(sys::WaitCell& cell, Nanoseconds deadline, Nanoseconds since);
    bool tell_if_long(sys::WaitCell& cell, Nanoseconds now, Nanoseconds since) const;
    bool crowded() const;

    net::Transport& transport_;
    const Clock& clock_;
    sys::Tasks& tasks_;
    const WaitPolicy policy_;
    std::atomic<int> waiters_{0};  // tasks that poll now
};

}  // namespace ssi::node
