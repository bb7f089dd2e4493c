// SPDX-License-Identifier: BSD-3-Clause
// Requests: who wants a checkpoint: signals, the clock, other programs by the control socket.
#pragma once

#include <signal.h>

#include <atomic>

#include "ssi/node/node.hpp"

namespace ssi::ckpt {

class Requests {
public:
    // `signals`: SIGUSR1 and SIGTERM of this process are ours until the end. `interval`: 0: never.
    Requests(node::Node& node, Nanoseconds interval, bool signals);
    ~Requests();
    Requests(const Requests&) = delete;
    Requests& operator=(const Requests&) = delete;

    // Collective: whether there was any, anywhere. Each is told once. Does not return while the
    // program is frozen.
    Result<bool> need();
    bool should_exit() const { return exit_; }
    void taken() { last_ = node_.doors().clock.now(); }
    // Any task: as SIGUSR1 and as SIGTERM; whether the program stands still at its next need(), but
    // for the latter; after how long another one is due. The first node's counts.
    void ask() { asked_.store(true, std::memory_order_relaxed); }
    void ask_to_leave() { leave_.store(true, std::memory_order_relaxed); }
    void set_freeze(bool freeze) { freeze_.store(freeze, std::memory_order_relaxed); }
    bool frozen() const { return frozen_.load(std::memory_order_relaxed); }
    void set_interval(Nanoseconds interval) {
        interval_.store(interval, std::memory_order_relaxed);
    }
    Nanoseconds interval() const { return interval_.load(std::memory_order_relaxed); }

private:
    struct Wishes {
        bool one = false, leave = false, freeze = false;
    };
    Result<Wishes> gather();

    node::Node& node_;
    std::atomic<Nanoseconds> interval_;
    const bool signals_;
    Nanoseconds last_;
    std::atomic<bool> asked_{false}, leave_{false}, freeze_{false}, frozen_{false};
    bool exit_ = false;
    struct sigaction before_usr1_ {}, before_term_ {};
};

}  // namespace ssi::ckpt
