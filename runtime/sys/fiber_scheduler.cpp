// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "fiber_stack.hpp"
#include "ssi/base/assert.hpp"
#include "ssi/sys/fiber.hpp"

namespace ssi::sys {
namespace {

constinit thread_local FiberScheduler* active_scheduler = nullptr;

constexpr Nanoseconds shortest_preemption = 50;
constexpr unsigned preemption_doublings = 10;
constexpr Nanoseconds yield_time = 50;

}  // namespace

enum class FiberState : std::uint8_t { free, ready, running, parked, preempted, abandoned };

struct Fiber {
    Fiber(FiberScheduler& s, std::uint32_t i, bool guarded)
        : scheduler(s), index(i), stack(s.options_.stack_bytes, guarded, &Fiber::main, this) {}

    static void main(void* self) {
        auto& fiber = *static_cast<Fiber*>(self);
        while (true) {
            fiber.body();
            fiber.body = nullptr;
            fiber.task.reset();
            detail::current = nullptr;
            fiber.state = FiberState::free;
            fiber.stack.leave();
        }
    }

    FiberScheduler& scheduler;
    std::uint32_t index;
    FiberState state = FiberState::free;
    bool unsettled = false;      // preempted, or blocked on a lock while it may hold another
    bool timed_out = false;
    std::uint32_t ticket = 0;    // counts parks: an old deadline is told by it
    FiberGroup group = no_group;
    Causality causality;
    std::uint32_t chains = 0;    // FiberScheduler's when its delays were counted
    Nanoseconds parked_since = 0;
    const void* blocked_on = nullptr;
    std::function<void()> body;
    std::optional<Task> task;
    FiberStack stack;
};

std::size_t FiberScheduler::default_stack_bytes() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return 256u << 10;
#else
    return 64u << 10;
#endif
}

FiberScheduler* FiberScheduler::on_this_thread() { return active_scheduler; }

FiberScheduler::FiberScheduler(Options options) : options_(options), random_(options.seed) {
    preempt_countdown_ = next_preemption();
    if (options_.preempt_every != 0)
        preempt_hook.store(&FiberScheduler::preempt_here, std::memory_order_relaxed);
}

FiberScheduler::~FiberScheduler() = default;

// Events with the same time run in random order, or first in, first out. The sequence below the
// random part keeps the order total, so that a heap is as deterministic as a list.
void FiberScheduler::push_event(Event event) {
    constexpr std::uint64_t sequence_mask = (1ull << 48) - 1;
    event.tie = ++sequence_ & sequence_mask;
    if (options_.random_order) event.tie |= (random_.next() >> 48) << 48;
    events_.push_back(event);
    std::push_heap(events_.begin(), events_.end(), &FiberScheduler::later);
}

bool FiberScheduler::later(const Event& a, const Event& b) {
    return a.time != b.time ? a.time > b.time : a.tie > b.tie;
}

void FiberScheduler::at(Nanoseconds when, EventFunction function, void* context,
                        std::uint64_t argument) {
    push_event({std::max(when, now_), 0, function, context, argument});
}

void FiberScheduler::spawn(FiberGroup group, std::function<void()> body) {
    Fiber& fiber = take_fiber();
    fiber.group = group;
    causality_of(fiber) = causality();
    fiber.body = std::move(body);
    Task& task = fiber.task.emplace();
    task.id = ++last_task_;
    task.scheduler = this;
    task.fiber = &fiber;
    make_ready(fiber);
}

Fiber& FiberScheduler::take_fiber() {
    std::uint32_t index;
    if (free_.empty()) {
        index = static_cast<std::uint32_t>(fibers_.size());
        fibers_.push_back(
            std::make_unique<Fiber>(*this, index, fibers_.size() < options_.guarded_stacks));
        usage_.stack_bytes += options_.stack_bytes;
    } else {
        index = free_.back();
        free_.pop_back();
    }
    usage_.peak_fibers = std::max(usage_.peak_fibers, ++usage_.fibers);
    return *fibers_[index];
}

void FiberScheduler::release(Fiber& fiber) {
    SSI_ASSERT(fiber.stack.intact(), "a fiber's stack overflowed: raise Options::stack_bytes");
    --usage_.fibers;
    free_.push_back(fiber.index);
}

void FiberScheduler::make_ready(Fiber& fiber) {
    fiber.state = FiberState::ready;
    ready_.push_back(fiber.index);
}

FiberScheduler::Outcome FiberScheduler::run() {
    SSI_ASSERT(!active_scheduler, "FiberScheduler::run() is not re-entrant");
    active_scheduler = this;
    Task* const outside = detail::current;
    stopping_ = false;
    Outcome outcome = Outcome::stopped;
    while (!stopping_) {
        if (ready_.size() > ready_first_) {
            std::uint32_t index;
            if (options_.random_order) {
                const std::size_t pick = random_.below(ready_.size());
                index = ready_[pick];
                ready_[pick] = ready_.back();
                ready_.pop_back();
            } else {
                index = ready_[ready_first_++];
                if (ready_first_ == ready_.size()) {
                    ready_.clear();
                    ready_first_ = 0;
                }
            }
            resume(*fibers_[index]);
            detail::current = outside;
            if (step_hook_) step_hook_(step_context_, 0);
        } else if (!fire_next_event()) {
            outcome = Outcome::idle;
            break;
        }
    }
    active_scheduler = nullptr;
    return outcome;
}

// False when there is none left.
bool FiberScheduler::fire_next_event() {
    while (!events_.empty()) {
        std::pop_heap(events_.begin(), events_.end(), &FiberScheduler::later);
        const Event event = events_.back();
        events_.pop_back();
        if (event.function) {
            now_ = event.time;
            ++usage_.events;
            event_causality_ = {};
            event.function(event.context, event.argument);
            return true;
        }
        // A deadline whose fiber was woken before must not move the time on.
        Fiber& fiber = *fibers_[event.argument >> 32];
        const bool waiting = fiber.state == FiberState::parked ||
                             fiber.state == FiberState::preempted;
        if (!waiting || fiber.ticket != static_cast<std::uint32_t>(event.argument)) continue;
        now_ = event.time;
        ++usage_.events;
        fiber.timed_out = true;
        make_ready(fiber);
        return true;
    }
    return false;
}

void FiberScheduler::resume(Fiber& fiber) {
    if (fiber.group < frozen_.size() && frozen_[fiber.group]) {
        fiber.state = FiberState::abandoned;
        return;
    }
    set_unsettled(fiber, false);
    fiber.state = FiberState::running;
    running_ = &fiber;
    detail::current = &*fiber.task;
    ++usage_.switches;
    fiber.stack.enter();
    running_ = nullptr;
    if (fiber.state == FiberState::free) release(fiber);
}

void FiberScheduler::switch_out(Fiber& fiber) {
    ++fiber.ticket;
    fiber.timed_out = false;
    fiber.parked_since = now_;
}

void FiberScheduler::arm(Fiber& fiber, Nanoseconds when) {
    push_event({std::max(when, now_), 0, nullptr, nullptr,
                static_cast<std::uint64_t>(fiber.index) << 32 | fiber.ticket});
}

bool FiberScheduler::park(Nanoseconds deadline) {
    Fiber& fiber = running();
    switch_out(fiber);
    fiber.state = FiberState::parked;
    if (deadline != Waiter::forever) arm(fiber, deadline);
    fiber.stack.leave();
    return !fiber.timed_out;
}

void FiberScheduler::wake(std::uint32_t fiber_index) {
    Fiber& fiber = *fibers_[fiber_index];
    SSI_ASSERT(fiber.state == FiberState::parked || fiber.state == FiberState::ready ||
                   fiber.state == FiberState::abandoned,
               "only a parked fiber can be woken: it is a bug in a simulated twin");
    Causality& known = causality_of(fiber);
    known.delays = std::max(known.delays, causality().delays);
    // Its deadline may have come first, at this very instant.
    if (fiber.state == FiberState::parked) make_ready(fiber);
}

void FiberScheduler::sleep_until(Nanoseconds when) { park(std::max(when, now_)); }

// A spinning fiber must let virtual time pass, or what it waits for never comes.
void FiberScheduler::yield() {
    sleep_until(now_ + yield_time + static_cast<Nanoseconds>(random_.below(yield_time)));
}

bool FiberScheduler::block_on(const void* address, Nanoseconds deadline, bool locking) {
    Fiber& fiber = running();
    blocked_.push_back({address, fiber.index});
    fiber.blocked_on = locking ? address : nullptr;
    if (locking) set_unsettled(fiber, true);
    const bool woken = park(deadline);
    fiber.blocked_on = nullptr;
    if (!woken)
        std::erase_if(blocked_, [&](const Blocked& b) { return b.fiber == fiber.index; });
    return woken;
}

void FiberScheduler::wake_blocked(const void* address, bool all) {
    for (std::size_t i = 0; i < blocked_.size();) {
        const Blocked blocked = blocked_[i];
        // One whose deadline just came will find out by itself.
        if (blocked.address != address ||
            fibers_[blocked.fiber]->state != FiberState::parked) {
            ++i;
            continue;
        }
        blocked_.erase(blocked_.begin() + static_cast<std::ptrdiff_t>(i));
        wake(blocked.fiber);
        if (!all) return;
    }
}

void FiberScheduler::preempt_here() noexcept {
    FiberScheduler* self = active_scheduler;
    if (!self || !self->running_ || !self->preemption_ || self->options_.preempt_every == 0) return;
    if (--self->preempt_countdown_ == 0) self->preempt(*self->running_);
}

void FiberScheduler::preempt(Fiber& fiber) {
    preempt_countdown_ = next_preemption();
    ++usage_.preemptions;
    switch_out(fiber);
    fiber.state = FiberState::preempted;
    set_unsettled(fiber, true);
    const Nanoseconds longest = shortest_preemption << random_.below(preemption_doublings);
    arm(fiber, now_ + static_cast<Nanoseconds>(random_.below(static_cast<std::uint64_t>(longest))));
    fiber.stack.leave();
}

// Uniform in 1 .. 2 * mean - 1: cheap, and no pattern can dodge it.
std::uint32_t FiberScheduler::next_preemption() {
    if (options_.preempt_every == 0) return 0;
    return 1 + static_cast<std::uint32_t>(random_.below(2ull * options_.preempt_every - 1));
}

void FiberScheduler::set_unsettled(Fiber& fiber, bool unsettled) {
    if (fiber.unsettled == unsettled) return;
    fiber.unsettled = unsettled;
    unsettled ? ++unsettled_ : --unsettled_;
    if (fiber.group == no_group) return;
    if (fiber.group >= unsettled_in_group_.size()) unsettled_in_group_.resize(fiber.group + 1);
    unsettled ? ++unsettled_in_group_[fiber.group] : --unsettled_in_group_[fiber.group];
}

bool FiberScheduler::in_the_middle(FiberGroup group) const {
    return group < unsettled_in_group_.size() && unsettled_in_group_[group] != 0;
}

void FiberScheduler::freeze(FiberGroup group) {
    if (group >= frozen_.size()) frozen_.resize(group + 1);
    frozen_[group] = true;
    for (const auto& fiber : fibers_)
        if (fiber->group == group) set_unsettled(*fiber, false);
}

Fiber& FiberScheduler::running() const {
    SSI_ASSERT(running_, "only a fiber can wait: the scheduler's own stack must not block");
    return *running_;
}

std::uint32_t FiberScheduler::current_index() const { return running().index; }
FiberGroup FiberScheduler::group() const { return running_ ? running_->group : no_group; }
void FiberScheduler::set_group(FiberGroup group) { running().group = group; }

Causality& FiberScheduler::causality() {
    return running_ ? causality_of(*running_) : event_causality_;
}

Causality& FiberScheduler::causality_of(Fiber& fiber) const {
    if (std::exchange(fiber.chains, chains_) != chains_) fiber.causality.delays = 0;
    return fiber.causality;
}

void FiberScheduler::set_step_hook(EventFunction function, void* context) {
    step_hook_ = function;
    step_context_ = context;
}

FiberScheduler::Usage FiberScheduler::usage() const { return usage_; }

std::string FiberScheduler::describe_parked(std::size_t limit) const {
    std::string text;
    std::size_t listed = 0;
    for (const auto& fiber : fibers_) {
        if (fiber->state != FiberState::parked || listed++ == limit) continue;
        if (listed > limit) break;
        text += fmt::format("fiber of task {} on node {} waits for {} since {} ns\n",
                            fiber->task->id, static_cast<int>(fiber->group),
                            fiber->blocked_on ? "a lock" : "an event", fiber->parked_since);
    }
    return text;
}

}  // namespace ssi::sys
