// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/small_vector.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace ssi {
namespace {

using Numbers = SmallVector<int, 3>;

Numbers up_to(int count) {
    Numbers out;
    for (int i = 0; i < count; ++i) out.push_back(i);
    return out;
}
bool is_up_to(const Numbers& numbers, int count) {
    std::vector<int> expected(static_cast<std::size_t>(count));
    std::iota(expected.begin(), expected.end(), 0);
    return std::ranges::equal(numbers, expected);
}

TEST(SmallVector, keeps_the_first_inside_and_more_outside) {
    for (int count = 0; count < 40; ++count) {
        const Numbers numbers = up_to(count);
        EXPECT_TRUE(is_up_to(numbers, count));
        const auto* at = reinterpret_cast<const std::byte*>(numbers.data());
        const auto* self = reinterpret_cast<const std::byte*>(&numbers);
        EXPECT_EQ(at >= self && at < self + sizeof numbers, count <= 3) << count;
    }
}

TEST(SmallVector, copies_and_moves_both_ways) {
    for (const int count : {0, 2, 3, 4, 20}) {
        Numbers from = up_to(count);
        const Numbers copy(from);
        EXPECT_TRUE(is_up_to(copy, count));
        Numbers moved(std::move(from));
        EXPECT_TRUE(is_up_to(moved, count));
        EXPECT_TRUE(from.empty());   // and may be used again
        from.push_back(0);
        EXPECT_TRUE(is_up_to(from, 1));
        for (const int other : {0, 3, 9}) {
            Numbers to = up_to(other);
            to = moved;
            EXPECT_TRUE(is_up_to(to, count));
            Numbers into = up_to(other);
            Numbers source = moved;
            into = std::move(source);
            EXPECT_TRUE(is_up_to(into, count));
        }
        const Numbers& self = moved;
        moved = self;
        EXPECT_TRUE(is_up_to(moved, count));
    }
}

TEST(SmallVector, takes_its_own_elements) {
    Numbers numbers{7};
    for (int i = 0; i < 20; ++i) numbers.push_back(numbers[0]);
    EXPECT_EQ(std::ranges::count(numbers, 7), 21);
}

TEST(SmallVector, is_a_span) {
    Numbers numbers{1, 2, 3, 4};
    std::span<int> all = numbers;
    all[3] = 9;
    EXPECT_EQ(numbers.back(), 9);
    numbers.resize(2);
    EXPECT_EQ(std::span<const int>(numbers).size(), 2u);
    numbers.clear();
    EXPECT_TRUE(numbers.empty());
    EXPECT_GE(numbers.capacity(), 4u);
}

}  // namespace
}  // namespace ssi
