// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/ids.hpp"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace ssi {
namespace {

static_assert(!std::is_convertible_v<NodeId, SlotId>);
static_assert(!std::is_convertible_v<int, NodeId>);
static_assert(std::is_trivially_copyable_v<ObjectId>);

TEST(Ids, objects_are_ordered_by_the_high_word_first) {
    EXPECT_LT(ObjectId(0, 9), ObjectId(1, 0));
    EXPECT_LT(ObjectId(1, 0), ObjectId(1, 1));
    EXPECT_EQ(ObjectId(7), ObjectId(0, 7));
}

TEST(Ids, mix_is_the_published_finalizer) {
    EXPECT_EQ(mix64(0), 0u);
    EXPECT_EQ(mix64(1), 0xb456bcfc34c2cb2cull);  // fmix64(1) of MurmurHash3
}

TEST(Ids, hash_separates_sets_and_both_words_of_the_name) {
    std::unordered_set<std::uint64_t> seen;
    for (std::uint32_t set = 0; set < 16; ++set)
        for (std::uint64_t hi = 0; hi < 16; ++hi)
            for (std::uint64_t lo = 0; lo < 64; ++lo)
                seen.insert(hash_object(SetId{set}, ObjectId(hi, lo)));
    EXPECT_EQ(seen.size(), 16u * 16 * 64);
}

TEST(Ids, hash_spreads_consecutive_names_evenly_over_slots) {
    constexpr int slots = 64, names = 64 * 1024;
    int count[slots] = {};
    for (std::uint64_t i = 0; i < names; ++i) ++count[hash_object(SetId{1}, ObjectId(i)) % slots];
    for (int c : count) EXPECT_NEAR(c, names / slots, 200);  // 6 sigma
}

}  // namespace
}  // namespace ssi
