// SPDX-License-Identifier: BSD-3-Clause
#include "sequence_window.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <vector>

namespace ssi::node {
namespace {

TEST(SequenceWindow, accepts_each_number_once_in_order) {
    SequenceWindow window;
    for (std::uint64_t i = 1; i <= 100; ++i) {
        EXPECT_TRUE(window.accept(i));
        EXPECT_FALSE(window.accept(i));
    }
    EXPECT_EQ(window.next_expected(), 101u);
    EXPECT_EQ(window.ranges(), 0u);
}

TEST(SequenceWindow, accepts_each_number_once_in_any_order) {
    std::mt19937 random(7);
    for (int round = 0; round < 50; ++round) {
        SequenceWindow window;
        std::vector<std::uint64_t> numbers(200);
        std::iota(numbers.begin(), numbers.end(), 1);
        std::shuffle(numbers.begin(), numbers.end(), random);
        std::vector<std::uint64_t> seen;
        for (std::uint64_t n : numbers) {
            EXPECT_TRUE(window.accept(n));
            seen.push_back(n);
            EXPECT_FALSE(window.accept(seen[random() % seen.size()]));
            EXPECT_EQ(window.accepted(), seen.size());
        }
        EXPECT_EQ(window.next_expected(), 201u);
        EXPECT_EQ(window.ranges(), 0u);
    }
}

TEST(SequenceWindow, keeps_one_range_for_a_number_that_never_comes) {
    SequenceWindow window;
    EXPECT_TRUE(window.accept(1));
    for (std::uint64_t n = 3; n < 100'000; ++n) ASSERT_TRUE(window.accept(n));
    EXPECT_EQ(window.ranges(), 1u);
    EXPECT_FALSE(window.accept(50'000));
    EXPECT_TRUE(window.accept(2));
    EXPECT_EQ(window.next_expected(), 100'000u);
}

TEST(SequenceWindow, refuses_zero) {
    SequenceWindow window;
    EXPECT_FALSE(window.accept(0));
}

}  // namespace
}  // namespace ssi::node
