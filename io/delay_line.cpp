// SPDX-License-Identifier: BSD-3-Clause
#include "delay_line.hpp"

#include <mutex>

namespace ssi::io {

DelayLine::~DelayLine() {
    {
        std::lock_guard lock(mutex_);
        closing_ = true;
        changed_.notify_all();
    }
    if (task_) task_->join();
}

void DelayLine::at(Nanoseconds when, std::function<void()> call) {
    std::lock_guard lock(mutex_);
    calls_.emplace(when, std::move(call));
    if (!task_) task_ = tasks_.spawn("ssi-slow-disk", [this] { run(); });
    changed_.notify_all();
}

void DelayLine::run() {
    std::unique_lock lock(mutex_);
    while (!closing_ || !calls_.empty()) {
        if (calls_.empty()) {
            changed_.wait(mutex_);
            continue;
        }
        const Nanoseconds left = calls_.begin()->first - clock_.now();
        if (left > 0 && !closing_) {
            changed_.wait_for(mutex_, left);
            continue;
        }
        auto due = calls_.extract(calls_.begin());
        lock.unlock();
        due.mapped()();
        lock.lock();
    }
}

}  // namespace ssi::io
