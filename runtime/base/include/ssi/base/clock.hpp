// SPDX-License-Identifier: BSD-3-Clause
// Clock: one of the six doors. Nothing outside runtime/ asks the machine for the time.
#pragma once

#include <cstdint>

namespace ssi {

// Nanoseconds; durations and instants of one Clock. Monotonic.
using Nanoseconds = std::int64_t;

class Clock {
public:
    virtual ~Clock() = default;
    virtual Nanoseconds now() const = 0;        // monotonic, arbitrary origin
    virtual Nanoseconds wall() const = 0;       // since the Unix epoch (for logs and names only)
};

// CLOCK_MONOTONIC and CLOCK_REALTIME. Thread-safe.
class RealClock final : public Clock {
public:
    Nanoseconds now() const override;
    Nanoseconds wall() const override;
};

}  // namespace ssi
