// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/clock.hpp"

#include <gtest/gtest.h>

#include <ctime>

namespace ssi {
namespace {

TEST(RealClock, counts_nanoseconds_forward) {
    const RealClock clock;
    const Nanoseconds before = clock.now();
    const timespec pause{0, 2'000'000};
    nanosleep(&pause, nullptr);
    const Nanoseconds passed = clock.now() - before;
    EXPECT_GE(passed, 2'000'000);
    EXPECT_LT(passed, 60'000'000'000);
}

TEST(RealClock, wall_is_unix_time_in_nanoseconds) {
    const RealClock clock;
    const std::time_t seconds = std::time(nullptr);
    EXPECT_NEAR(static_cast<double>(clock.wall()) * 1e-9, static_cast<double>(seconds), 2.0);
}

}  // namespace
}  // namespace ssi
