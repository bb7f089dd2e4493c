// SPDX-License-Identifier: BSD-3-Clause
// Executor: runs what must not run in a handler: release hooks and long shipped functions. Its
// tasks start with the first job; jobs run in the order they were posted per task.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "ssi/sys/task.hpp"

namespace ssi::kddm {

class Executor {
public:
    Executor(sys::Tasks& tasks, unsigned workers) : tasks_(tasks), workers_(workers) {}
    ~Executor() { stop(); }
    void post(std::function<void()> job);
    void stop();  // runs what was posted, then ends the tasks; later jobs run where they are posted

private:
    void work();

    sys::Tasks& tasks_;
    const unsigned workers_;
    sys::Mutex mutex_;
    sys::Condition changed_;
    std::deque<std::function<void()>> jobs_;
    std::vector<std::unique_ptr<sys::Tasks::Handle>> running_;
    bool stopping_ = false;
    bool ended_ = false;
};

}  // namespace ssi::kddm
