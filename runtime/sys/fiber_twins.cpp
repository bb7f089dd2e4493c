// SPDX-License-Identifier: BSD-3-Clause
// The doors' twins on fibers.
#include <algorithm>

#include "ssi/base/assert.hpp"
#include "ssi/sys/fiber.hpp"

namespace ssi::sys {
namespace {

// States of a WaitCell under this Waiter: 0 pending, 1 ready, else 2 + index of the parked fiber.
constexpr std::uint32_t ready_state = 1;
constexpr std::uint32_t first_parked_state = 2;

class FiberHandle final : public Tasks::Handle {
public:
    FiberHandle(FiberWaiter& waiter, std::shared_ptr<WaitCell> done)
        : waiter_(waiter), done_(std::move(done)) {}
    void join() override { waiter_.wait(*done_); }

private:
    FiberWaiter& waiter_;
    std::shared_ptr<WaitCell> done_;
};

}  // namespace

bool FiberWaiter::wait_until(WaitCell& cell, Nanoseconds deadline) {
    preemption_point();
    std::uint32_t expected = 0;
    const std::uint32_t parked = first_parked_state + scheduler_.current_index();
    if (!cell.state().compare_exchange_strong(expected, parked, std::memory_order_acq_rel)) {
        SSI_ASSERT(expected == ready_state, "two tasks wait on one WaitCell: give each its own");
        return true;
    }
    if (scheduler_.park(deadline)) return true;
    expected = parked;
    return !cell.state().compare_exchange_strong(expected, 0, std::memory_order_acq_rel);
}

void FiberWaiter::notify(WaitCell& cell) {
    preemption_point();
    const std::uint32_t before = cell.state().exchange(ready_state, std::memory_order_acq_rel);
    if (before >= first_parked_state) scheduler_.wake(before - first_parked_state);
}

std::unique_ptr<Tasks::Handle> FiberTasks::spawn(std::string, std::function<void()> body) {
    auto done = std::make_shared<WaitCell>();
    scheduler_.spawn(scheduler_.group(), [this, done, body = std::move(body)] {
        body();
        waiter_.notify(*done);
    });
    return std::make_unique<FiberHandle>(waiter_, done);
}

void FiberTasks::sleep_for(Nanoseconds duration) {
    scheduler_.sleep_until(scheduler_.now() + std::max<Nanoseconds>(duration, 0));
}

}  // namespace ssi::sys
