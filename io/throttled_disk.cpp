// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/throttled_disk.hpp"

#include <algorithm>
#include <limits>
#include <mutex>

#include "delay_line.hpp"
#include "wrapped_disk.hpp"

namespace ssi::io {
namespace {

class Throttled final : public Wrapping<ThrottledDisk> {
public:
    Throttled(Disk& below, const ThrottledDiskOptions& options)
        : Wrapping(below), options_(options),
          own_tasks_(options.tasks ? nullptr : sys::make_thread_tasks()),
          line_(options.tasks ? *options.tasks : *own_tasks_,
                options.clock ? *options.clock : real_clock_) {}

    Nanoseconds idle() const override {
        std::lock_guard lock(mutex_);
        return idle_ + idle_since(line_.now());
    }

private:
    Result<void> allow(const char*, const std::string&) override { return {}; }
    void start(Shadow& shadow) override;
    void after(Shadow& shadow) override { end(shadow); }
    Nanoseconds time_of(std::uint64_t bytes) const {
        return static_cast<Nanoseconds>(static_cast<double>(bytes) * 1e9 /
                                        static_cast<double>(options_.bytes_per_second));
    }

    // With the lock; nothing before the first request.
    Nanoseconds idle_since(Nanoseconds now) const {
        if (free_at_ == std::numeric_limits<Nanoseconds>::min()) return 0;
        return std::max<Nanoseconds>(now - free_at_, 0);
    }

    const ThrottledDiskOptions options_;
    const RealClock real_clock_;
    const std::unique_ptr<sys::Tasks> own_tasks_;
    mutable sys::Mutex mutex_;
    // When the bytes taken so far have passed. A new disk has been idle for ever.
    Nanoseconds free_at_ = std::numeric_limits<Nanoseconds>::min();
    Nanoseconds idle_ = 0;
    DelayLine line_;
};

void Throttled::start(Shadow& shadow) {
    if (shadow.below.kind == DiskRequest::Kind::sync) return forward(shadow);
    Nanoseconds due;
    {
        std::lock_guard lock(mutex_);
        const Nanoseconds now = line_.now();
        idle_ += idle_since(now);
        free_at_ = std::max(free_at_, now - time_of(options_.burst_bytes)) +
                   time_of(shadow.below.length);
        due = free_at_;
        if (due <= now) due = 0;
    }
    if (due == 0) return forward(shadow);
    line_.at(due, [this, &shadow] { forward(shadow); });
}

}  // namespace

std::unique_ptr<ThrottledDisk> make_throttled_disk(Disk& below, ThrottledDiskOptions options) {
    return std::make_unique<Throttled>(below, options);
}

}  // namespace ssi::io
