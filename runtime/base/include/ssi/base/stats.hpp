// SPDX-License-Identifier: BSD-3-Clause
// Counters and latency histograms of one node, by name; OpenMetrics text and JSON out.
// Registration takes a lock; counting is one relaxed atomic operation. Names follow OpenMetrics:
// `ssi_kddm_gets_total`, labels as `set="ranks"`. A name that ends in `_total` is a counter, a name
// that ends in `_seconds` is a histogram, any other is a gauge (a Counter that is set).
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace ssi {

class Counter {
public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    void set(std::uint64_t n) { value_.store(n, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

private:
    std::atomic<std::uint64_t> value_{0};
};

// Log-linear histogram of nanoseconds: 64 powers of two, 4 steps each (relative error <= 25 %).
class Histogram {
public:
    static constexpr unsigned bucket_count = 256;

    void record(std::int64_t nanoseconds);  // negative counts as 0
    std::uint64_t count() const;
    // Upper bound of the bucket that holds the given quantile (0..1); 0 when empty.
    std::int64_t quantile(double q) const;

    std::uint64_t bucket(unsigned index) const {
        return buckets_[index].load(std::memory_order_relaxed);
    }
    // Largest value, in nanoseconds, that falls into the bucket.
    static std::int64_t upper_bound(unsigned index);

private:
    std::array<std::atomic<std::uint64_t>, bucket_count> buckets_{};
};

class Stats {
public:
    Stats();
    ~Stats();
    Stats(const Stats&) = delete;
    Stats& operator=(const Stats&) = delete;

    // Same name and labels: same counter. References stay valid as long as the Stats.
    Counter& counter(std::string_view name, std::string_view labels = {});
    Histogram& histogram(std::string_view name, std::string_view labels = {});

    struct Value {
        std::string name;
        std::string labels;
        std::uint64_t value;
    };
    std::vector<Value> counters() const;  // sorted by (name, labels)
    std::string open_metrics() const;     // ends in "# EOF\n"
    std::string json() const;             // one object, parsable, sorted

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi
