// SPDX-License-Identifier: BSD-3-Clause
#include "requests.hpp"

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

Requests::Requests(node::Node& node, Nanoseconds interval, bool signals)
    : node_(node), interval_(interval), signals_(signals), last_(node.doors().clock.now()) {
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

// Of all ranks. The clock of the first node alone counts.
Result<Requests::Wishes> Requests::gather() {
    const Nanoseconds every = interval();
    const bool due = every != 0 && node_.rank() == 0 && node_.doors().clock.now() - last_ >= every;
    const bool term = signals_ && term_came.load(std::memory_order_relaxed);
    const bool usr1 = signals_ && usr1_came.exchange(false, std::memory_order_relaxed);
    const bool asked = asked_.exchange(false, std::memory_order_relaxed);
    const bool leave = term || leave_.load(std::memory_order_relaxed);
    const bool freeze = node_.rank() == 0 && freeze_.load(std::memory_order_relaxed);
    std::array<std::uint64_t, 3> any{usr1 || asked || due, leave, freeze};
    SSI_TRY(node_.all_reduce(any, node::ReduceOp::max));
    return Wishes{any[0] != 0, any[1] != 0, any[2] != 0};
}

Result<bool> Requests::need() {
    bool one = false;
    for (;;) {
        const auto wishes = gather();
        frozen_ = wishes && wishes->freeze && !wishes->leave;
        if (!wishes) return tl::unexpected<Failure>(wishes.error());
        one = one || wishes->one;
        if (frozen()) {
            node_.doors().tasks.sleep_for(between_looks);
            continue;
        }
        const bool last = wishes->leave && !exit_;   // one more, and then no more by that
        exit_ = exit_ || wishes->leave;
        return one || last;
    }
}

}  // namespace ssi::ckpt
