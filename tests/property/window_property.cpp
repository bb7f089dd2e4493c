// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
// After gtest, which it does not include itself.
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <set>

#include "sequence_window.hpp"

namespace ssi::node {
namespace {

RC_GTEST_PROP(WindowProperty, accepts_each_number_exactly_once, ()) {
    const auto arriving =
        *rc::gen::container<std::vector<std::uint64_t>>(rc::gen::inRange<std::uint64_t>(1, 60));
    SequenceWindow window;
    std::set<std::uint64_t> seen;
    for (const std::uint64_t number : arriving) {
        RC_ASSERT(window.accept(number) == seen.insert(number).second);
        RC_ASSERT(window.accepted() == seen.size());
    }
}

RC_GTEST_PROP(WindowProperty, forgets_nothing_and_keeps_nothing_once_all_have_come, ()) {
    const auto count = *rc::gen::inRange<std::uint64_t>(1, 200);
    std::vector<std::uint64_t> numbers(count);
    for (std::uint64_t i = 0; i < count; ++i) numbers[i] = i + 1;
    // Every number one to three times, in some order.
    const auto again = *rc::gen::container<std::vector<std::uint64_t>>(
        rc::gen::inRange<std::uint64_t>(1, count + 1));
    numbers.insert(numbers.end(), again.begin(), again.end());
    const auto keys = *rc::gen::container<std::vector<std::uint32_t>>(
        numbers.size(), rc::gen::arbitrary<std::uint32_t>());
    std::vector<std::size_t> order(numbers.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return keys[a] < keys[b]; });
    SequenceWindow window;
    std::uint64_t accepted = 0;
    for (const std::size_t i : order) accepted += window.accept(numbers[i]);
    RC_ASSERT(accepted == count);
    RC_ASSERT(window.next_expected() == count + 1);
    RC_ASSERT(window.ranges() == 0u);
}

}  // namespace
}  // namespace ssi::node
