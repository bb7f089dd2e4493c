// SPDX-License-Identifier: BSD-3-Clause
#include "requests.hpp"

#include <algorithm>
#include <array>

namespace ssi::ckpt {
namespace {

constexpr Nanoseconds between_looks = 20'000'000;   // while the program is frozen

// What came since the last question. Handlers do no more than this.
std::atomic<bool> usr1_came{false};
std::atomic<bool> term_came{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void on_usr1(int) { usr1_came.store(true, std::memory_order_relaxed); }
void on_term(int) { term_came.store(true, std::memory_order_relaxed); }

void handle(int signal, void (*handler)(int), struct sigaction& before) {
    struct sigaction action {};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    ::sigemptyset(&action.sa_mask);
    ::sigaction(signal, &action, &before);
}

}  // namespace

Requests::Requests(node::Node& node, PolicyInForce* policy, bool signals)
    : node_(node), policy_(policy), signals_(signals) {
    if (!signals_) return;
    usr1_came = term_came = false;
    handle(SIGUSR1, on_usr1, before_usr1_);
    handle(SIGTERM, on_term, before_term_);
}

Requests::~Requests() {
    if (!signals_) return;
    ::sigaction(SIGUSR1, &before_usr1_, nullptr);
    ::sigaction(SIGTERM, &before_term_, nullptr);
}

Result<void> Requests::begin() {
    Wishes none;
    return spread(none, {});
}

// What each node has, and what the first one's policies have decided, are everybody's then.
Result<void> Requests::spread(Wishes& wishes, const PolicyDecision& decision) {
    std::array<std::uint64_t, 7 + SSI_CHECKPOINT_LEVELS> all{
        wishes.asked, wishes.leave, wishes.freeze, decision.take, decision.level, decision.kind,
        decision.leave};
    if (policy_) std::ranges::copy(policy_->keep(), all.begin() + 7);
    SSI_TRY(node_.all_reduce(all, node::ReduceOp::max));
    wishes.asked = all[0] != 0;
    wishes.leave = all[1] != 0;
    wishes.freeze = all[2] != 0;
    wishes.wanted = {.one = all[3] != 0,
                     .level = static_cast<std::uint32_t>(all[4]),
                     .kind = static_cast<std::uint32_t>(all[5])};
    wishes.policy_leaves = all[6] != 0;
    for (std::size_t level = 0; level < keep_.size(); ++level)
        keep_[level] = static_cast<std::uint32_t>(all[7 + level]);
    return {};
}

// Of all ranks. The policies of the first node alone count; they rest while it stands still.
Result<Requests::Wishes> Requests::gather() {
    const bool term = signals_ && term_came.load(std::memory_order_relaxed);
    const bool usr1 = signals_ && usr1_came.exchange(false, std::memory_order_relaxed);
    Wishes wishes;
    wishes.asked = asked_.exchange(false, std::memory_order_relaxed) || usr1;
    wishes.leave = term || leave_.load(std::memory_order_relaxed);
    wishes.freeze = policy_ && freeze_.load(std::memory_order_relaxed);
    const bool decides = policy_ && (!wishes.freeze || wishes.leave);
    SSI_TRY(spread(wishes, decides ? policy_->decide(false, exit_) : PolicyDecision()));
    return wishes;
}

Result<bool> Requests::need() {
    if (policy_) policy_->history().came_by();
    bool asked = false;
    for (;;) {
        auto wishes = gather();
        frozen_ = wishes && wishes->freeze && !wishes->leave;
        if (!wishes) return tl::unexpected<Failure>(wishes.error());
        asked = asked || wishes->asked;
        if (frozen()) {
            if (policy_) policy_->history().stood_still();
            node_.doors().tasks.sleep_for(between_looks);
            continue;
        }
        const bool last = wishes->leave && !exit_;   // one more, and then no more by that
        // How, the policies say once more, now that all know that somebody has asked.
        if (asked || last) {
            SSI_TRY(spread(*wishes, policy_ ? policy_->decide(true, exit_) : PolicyDecision()));
            wishes->wanted.one = true;
        }
        wanted_ = wishes->wanted.one ? wishes->wanted : Wanted();
        exit_ = exit_ || wishes->leave || wishes->policy_leaves;
        return wanted_.one;
    }
}

}  // namespace ssi::ckpt
