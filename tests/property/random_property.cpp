// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
// After gtest, which it does not include itself.
#include <rapidcheck/gtest.h>

#include "ssi/base/random.hpp"

namespace ssi {
namespace {

RC_GTEST_PROP(RandomProperty, below_stays_below, (std::uint64_t seed)) {
    Random random(seed);
    const auto bound = *rc::gen::oneOf(rc::gen::inRange<std::uint64_t>(1, 100),
                                       rc::gen::inRange<std::uint64_t>(1, UINT64_MAX));
    for (int i = 0; i < 100; ++i) RC_ASSERT(random.below(bound) < bound);
}

RC_GTEST_PROP(RandomProperty, same_seed_same_numbers_whatever_is_asked, (std::uint64_t seed)) {
    Random first(seed), second(seed);
    const auto asked = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 4));
    for (const int what : asked) {
        switch (what) {
            case 0: RC_ASSERT(first.next() == second.next()); break;
            case 1: RC_ASSERT(first.below(1000) == second.below(1000)); break;
            case 2: RC_ASSERT(first.chance(1, 3) == second.chance(1, 3)); break;
            default: RC_ASSERT(first.unit() == second.unit()); break;
        }
    }
}

RC_GTEST_PROP(RandomProperty, unit_is_in_range_and_chance_obeys_its_ends, (std::uint64_t seed)) {
    Random random(seed);
    const auto of = *rc::gen::inRange<std::uint64_t>(1, 1000);
    for (int i = 0; i < 100; ++i) {
        const double unit = random.unit();
        RC_ASSERT(unit >= 0 && unit < 1);
        RC_ASSERT(!random.chance(0, of));
        RC_ASSERT(random.chance(of, of));
    }
}

RC_GTEST_PROP(RandomProperty, every_small_number_comes_up, (std::uint64_t seed)) {
    Random random(seed);
    const auto bound = *rc::gen::inRange<std::uint64_t>(1, 20);
    std::vector<int> seen(bound);
    for (std::uint64_t i = 0; i < 100 * bound; ++i) ++seen[random.below(bound)];
    for (const int count : seen) RC_ASSERT(count > 0);
}

}  // namespace
}  // namespace ssi
