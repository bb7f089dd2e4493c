// SPDX-License-Identifier: BSD-3-Clause
// DelayLine: calls what it is given when its time has come, on a task of its own, which starts with
// the first call. For wrapped disks that are slow. Thread-safe.
#pragma once

#include <functional>
#include <map>
#include <memory>

#include "ssi/base/clock.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::io {

class DelayLine {
public:
    // Both outlive it.
    DelayLine(sys::Tasks& tasks, const Clock& clock) : tasks_(tasks), clock_(clock) {}
    ~DelayLine();   // calls what is left at once
    void at(Nanoseconds when, std::function<void()> call);
    Nanoseconds now() const { return clock_.now(); }

private:
    void run();

    sys::Tasks& tasks_;
    const Clock& clock_;
    sys::Mutex mutex_;
    sys::Condition changed_;
    std::multimap<Nanoseconds, std::function<void()>> calls_;
    bool closing_ = false;
    std::unique_ptr<sys::Tasks::Handle> task_;
};

}  // namespace ssi::io
