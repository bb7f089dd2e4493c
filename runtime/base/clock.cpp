// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/clock.hpp"

#include <ctime>

namespace ssi {
namespace {

Nanoseconds read(clockid_t clock) {
    timespec time{};
    clock_gettime(clock, &time);  // cannot fail for these clocks
    return static_cast<Nanoseconds>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

}  // namespace

Nanoseconds RealClock::now() const { return read(CLOCK_MONOTONIC); }
Nanoseconds RealClock::wall() const { return read(CLOCK_REALTIME); }

}  // namespace ssi
