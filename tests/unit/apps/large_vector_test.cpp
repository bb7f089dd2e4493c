// SPDX-License-Identifier: BSD-3-Clause
#include "support/large_vector.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <numeric>

namespace {

using support::LargeVector;

TEST(LargeVector, keeps_its_values_across_the_sizes_where_pages_change) {
    LargeVector<std::uint64_t> numbers;
    for (const std::size_t size : {0ul, 1ul, 1000ul, 500'000ul, 600'000ul, 3'000'000ul, 7ul}) {
        numbers.resize(size);
        std::iota(numbers.begin(), numbers.end(), 0);
        numbers.shrink_to_fit();
        for (std::size_t i = 0; i < size; i += 997) ASSERT_EQ(numbers[i], i);
    }
}

TEST(LargeVector, starts_large_memory_on_a_huge_page) {
    const LargeVector<char> large(std::size_t{5} << 20);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(large.data()) % (2u << 20), 0u);
}

TEST(LargeVector, refuses_what_cannot_be_had) {
    support::HugePageAllocator<std::uint64_t> allocator;
    EXPECT_THROW(allocator.allocate(std::numeric_limits<std::size_t>::max() / 4), std::bad_alloc);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they end the program instead
    EXPECT_THROW(allocator.allocate(std::size_t{1} << 59), std::bad_alloc);
#endif
}

}  // namespace
