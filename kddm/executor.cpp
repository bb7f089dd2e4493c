// SPDX-License-Identifier: BSD-3-Clause
#include "executor.hpp"

#include <mutex>

namespace ssi::kddm {

void Executor::post(std::function<void()> job) {
    std::unique_lock lock(mutex_);
    if (ended_) {
        lock.unlock();
        return job();
    }
    jobs_.push_back(std::move(job));
    if (running_.size() < workers_)
        running_.push_back(tasks_.spawn("ssi-executor", [this] { work(); }));
    changed_.notify_one();
}

void Executor::work() {
    std::unique_lock lock(mutex_);
    for (;;) {
        while (jobs_.empty() && !stopping_) changed_.wait(mutex_);
        if (jobs_.empty()) return;
        auto job = std::move(jobs_.front());
        jobs_.pop_front();
        lock.unlock();
        job();
        lock.lock();
    }
}

void Executor::stop() {
    {
        std::lock_guard lock(mutex_);
        if (stopping_) return;
        stopping_ = true;
        changed_.notify_all();
    }
    for (auto& task : running_) task->join();
    std::deque<std::function<void()>> late;
    {
        std::lock_guard lock(mutex_);
        ended_ = true;
        late.swap(jobs_);
    }
    for (auto& job : late) job();
}

}  // namespace ssi::kddm
