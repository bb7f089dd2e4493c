// SPDX-License-Identifier: BSD-3-Clause
// Requests: who wants a checkpoint: signals, the policies, other programs by the control socket;
// and how it is taken.
#pragma once

#include <signal.h>

#include <atomic>

#include "policy_in_force.hpp"
#include "ssi/node/node.hpp"

namespace ssi::ckpt {

// The same on every rank.
struct Wanted {
    bool one = false;
    std::uint32_t level = 0;             // 0: as the program says
    std::uint32_t kind = SSI_CHECKPOINT_AS_PROGRAM;
};

class Requests {
public:
    // `signals`: SIGUSR1 and SIGTERM of this process are ours until the end. `policy`: of the first
    // node, elsewhere null; it outlives this.
    Requests(node::Node& node, PolicyInForce* policy, bool signals);
    ~Requests();
    Requests(const Requests&) = delete;
    Requests& operator=(const Requests&) = delete;

    // Collective, once, first.
    Result<void> begin();
    // Collective: whether there was any, anywhere. Each is told once. Does not return while the
    // program is frozen.
    Result<bool> need();
    const Wanted& wanted() const { return wanted_; }   // by the last need()
    bool should_exit() const { return exit_; }
    const Policies::Counts& keep() const { return keep_; }
    // Any task: as SIGUSR1 and as SIGTERM; whether the program stands still at its next need(), but
    // for the latter. The first node's counts.
    void ask() { asked_.store(true, std::memory_order_relaxed); }
    void ask_to_leave() { leave_.store(true, std::memory_order_relaxed); }
    void set_freeze(bool freeze) { freeze_.store(freeze, std::memory_order_relaxed); }
    bool frozen() const { return frozen_.load(std::memory_order_relaxed); }

private:
    struct Wishes {
        bool asked = false, leave = false, freeze = false, policy_leaves = false;
        Wanted wanted;
    };
    Result<Wishes> gather();
    Result<void> spread(Wishes& wishes, const PolicyDecision& decision);

    node::Node& node_;
    PolicyInForce* const policy_;
    const bool signals_;
    std::atomic<bool> asked_{false}, leave_{false}, freeze_{false}, frozen_{false};
    bool exit_ = false;
    Wanted wanted_;
    Policies::Counts keep_{};
    struct sigaction before_usr1_ {}, before_term_ {};
};

}  // namespace ssi::ckpt
