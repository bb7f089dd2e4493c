// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/random.hpp"

#include <gtest/gtest.h>

#include <array>

namespace ssi {
namespace {

// Seed 0 through splitmix64 (whose first output for 0 is the well-known e220a8397b1dcdaf), then
// xoshiro256**: computed with the reference C of prng.di.unimi.it.
TEST(Random, yields_the_published_sequence) {
    Random random(0);
    EXPECT_EQ(random.next(), 0x99ec5f36cb75f2b4ull);
    EXPECT_EQ(random.next(), 0xbf6e1f784956452aull);
    EXPECT_EQ(random.next(), 0x1a5f849d4933e6e0ull);
}

TEST(Random, repeats_itself_for_one_seed_and_differs_for_another) {
    Random a(42), b(42), c(43);
    bool differs = false;
    for (int i = 0; i < 100; ++i) {
        const auto x = a.next();
        EXPECT_EQ(x, b.next());
        differs |= x != c.next();
    }
    EXPECT_TRUE(differs);
}

TEST(Random, below_is_uniform_and_in_range) {
    Random random(7);
    std::array<int, 10> count{};
    for (int i = 0; i < 100'000; ++i) ++count.at(random.below(10));
    for (int c : count) EXPECT_NEAR(c, 10'000, 600);  // 6 sigma
    EXPECT_EQ(random.below(1), 0u);
    // Three quarters of the range: without rejection each third value would be twice as likely.
    const std::uint64_t bound = (1ull << 63) + (1ull << 62);
    int thirds = 0;
    for (int i = 0; i < 30'000; ++i) thirds += random.below(bound) % 3 == 0;
    EXPECT_NEAR(thirds, 10'000, 500);
}

TEST(Random, chance_and_unit_follow_their_probability) {
    Random random(9);
    int hits = 0;
    double sum = 0;
    for (int i = 0; i < 100'000; ++i) {
        hits += random.chance(1, 4);
        const double unit = random.unit();
        ASSERT_GE(unit, 0.0);
        ASSERT_LT(unit, 1.0);
        sum += unit;
    }
    EXPECT_NEAR(hits, 25'000, 850);
    EXPECT_NEAR(sum / 100'000, 0.5, 0.006);
    EXPECT_TRUE(random.chance(1, 1));
    EXPECT_FALSE(random.chance(0, 1));
}

TEST(Random, system_seeds_differ) {
    EXPECT_NE(Random::seed_from_system(), Random::seed_from_system());
}

TEST(RandomDeathTest, below_zero_names_the_misuse) {
    Random random(1);
    EXPECT_DEATH(random.below(0), "bound of at least 1");
}

}  // namespace
}  // namespace ssi
