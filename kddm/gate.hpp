// SPDX-License-Identifier: BSD-3-Clause
// Gate: what stops tasks while a cut is made; one of an engine, one of a hub. Passage: a verb of a
// task that the gate may stop. docs/walks/a-cut.md. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <utility>

#include "held.hpp"
#include "ssi/base/clock.hpp"
#include "ssi/node/node.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::kddm {

class Gate {
public:
    explicit Gate(node::Node& node) : node_(node) {}

    void close() { closed_.store(true); }
    void open();
    bool closed() const { return closed_.load(); }
    // Until it is open. False when `deadline`, an instant of the node's clock, passed first.
    bool wait(Nanoseconds deadline = sys::Waiter::forever);

private:
    struct Parked {
        sys::WaitCell cell;
        Parked* next = nullptr;
    };

    node::Node& node_;
    std::atomic<bool> closed_{false};
    sys::Mutex mutex_;              // of the list
    Parked* parked_ = nullptr;
};

// From its making to its end the verb counts in `inside`. It is made when no gate stops the task:
// whoever closes the gate and then looks at the count sees the verb, or the verb waits.
class Passage {
public:
    // `gated()`: the gate is closed for this verb. `set`: that it is about, or null.
    template <class Gated>
    Passage(Gate& gate, std::atomic<std::uint64_t>& inside, const SetState* set, Gated&& gated,
            Nanoseconds deadline)
        : inside_(inside), held_(Held::of_task()), before_(held_.entered) {
        for (;;) {
            inside_.fetch_add(1, std::memory_order_seq_cst);
            if (!gated() || held_.inside()) [[likely]]
                break;
            inside_.fetch_sub(1, std::memory_order_release);
            if (!gate.wait(deadline)) return;
        }
        if (set) held_.entered = set;
        passed_ = true;
    }
    ~Passage() { end(); }
    Passage(const Passage&) = delete;
    Passage& operator=(const Passage&) = delete;

    bool passed() const { return passed_; }   // false: the deadline passed first
    // Were it to come to the closed gate now: it has passed only because that was open then.
    bool would_stop() const {
        const SetState* entered = std::exchange(held_.entered, before_);
        const bool stops = !held_.inside();
        held_.entered = entered;
        return stops;
    }
    void end() {
        if (!std::exchange(passed_, false)) return;
        held_.entered = before_;
        inside_.fetch_sub(1, std::memory_order_release);
    }

private:
    std::atomic<std::uint64_t>& inside_;
    Held& held_;
    const SetState* before_;
    bool passed_ = false;
};

}  // namespace ssi::kddm
