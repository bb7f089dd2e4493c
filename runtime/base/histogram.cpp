// SPDX-License-Identifier: BSD-3-Clause
// Buckets: value v >= 4 with highest bit e goes to 4 e + the two bits below e; v < 4 to v itself
// (buckets 4 to 7 stay empty). So a bucket is at most a quarter of its lower bound wide.
#include <algorithm>
#include <bit>
#include <cmath>

#include "ssi/base/stats.hpp"

namespace ssi {
namespace {

unsigned bucket_of(std::uint64_t value) {
    if (value < 4) return static_cast<unsigned>(value);
    const unsigned exponent = 63u - static_cast<unsigned>(std::countl_zero(value));
    return exponent * 4 + static_cast<unsigned>((value >> (exponent - 2)) & 3);
}

}  // namespace

std::int64_t Histogram::upper_bound(unsigned index) {
    if (index < 4) return index;
    if (index < 8) return 3;
    const unsigned exponent = index / 4;
    if (exponent > 62) return INT64_MAX;  // no int64 falls there
    const std::uint64_t steps = 4 + index % 4 + 1;
    return static_cast<std::int64_t>((steps << (exponent - 2)) - 1);
}

void Histogram::record(std::int64_t nanoseconds) {
    const auto value = static_cast<std::uint64_t>(std::max<std::int64_t>(nanoseconds, 0));
    buckets_[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
}

std::uint64_t Histogram::count() const {
    std::uint64_t sum = 0;
    for (unsigned i = 0; i < bucket_count; ++i) sum += bucket(i);
    return sum;
}

std::int64_t Histogram::quantile(double q) const {
    const std::uint64_t total = count();
    if (total == 0) return 0;
    const double wanted = std::clamp(q, 0.0, 1.0) * static_cast<double>(total);
    const auto rank = std::max<std::uint64_t>(static_cast<std::uint64_t>(std::ceil(wanted)), 1);
    std::uint64_t seen = 0;
    unsigned last = 0;
    for (unsigned i = 0; i < bucket_count; ++i) {
        if (bucket(i) == 0) continue;
        seen += bucket(i);
        last = i;
        if (seen >= rank) break;
    }
    return upper_bound(last);
}

}  // namespace ssi
