// SPDX-License-Identifier: BSD-3-Clause
#include "gate.hpp"

#include <mutex>

#include "ssi/node/wait_list.hpp"

namespace ssi::kddm {
namespace {

// Told when a cut takes long.
class ParkedWait final : public node::WaitNote {
public:
    using WaitNote::WaitNote;

private:
    node::WaitDescription describe() const override {
        node::WaitDescription what;
        what.verb = "parked for a checkpoint";
        return what;
    }
};

}  // namespace

void Gate::open() {
    std::lock_guard lock(mutex_);
    closed_.store(false);
    while (Parked* parked = parked_) {
        parked_ = parked->next;   // before it is woken and gone
        node_.doors().waiter.notify(parked->cell);
    }
}

bool Gate::wait(Nanoseconds deadline) {
    Parked parked;
    {
        std::lock_guard lock(mutex_);
        if (!closed()) return true;
        parked.next = parked_;
        parked_ = &parked;
    }
    ParkedWait note(node_.waits());
    parked.cell.long_wait = &note;
    if (node_.doors().waiter.wait_until(parked.cell, deadline)) return true;
    {
        std::lock_guard lock(mutex_);
        for (Parked** link = &parked_; *link; link = &(*link)->next) {
            if (*link != &parked) continue;
            *link = parked.next;
            return false;
        }
    }
    node_.doors().waiter.wait(parked.cell);   // it is being woken
    return true;
}

}  // namespace ssi::kddm
