// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/assert.hpp"

#include <gtest/gtest.h>

namespace ssi {
namespace {

TEST(Assert, passes_in_silence_and_evaluates_once) {
    int evaluated = 0;
    SSI_ASSERT(++evaluated == 1, "never printed");
    EXPECT_EQ(evaluated, 1);
}

TEST(AssertDeathTest, prints_place_expression_and_way_out) {
    EXPECT_DEATH(SSI_ASSERT(1 + 1 == 3, "call put() before grab()"),
                 "assert_test.cpp:[0-9]+: 1 \\+ 1 == 3\n  call put\\(\\) before grab\\(\\)");
}

TEST(AssertDeathTest, prints_the_node_once_it_is_known) {
    EXPECT_DEATH(
        {
            set_current_node(NodeId{17});
            SSI_ASSERT(false, "fix it");
        },
        "on node 17\n");
}

TEST(AssertDeathTest, prints_the_last_64_trace_events_oldest_first) {
    const auto record_and_fail = [] {
        for (std::uint64_t i = 0; i < 100; ++i) trace_event("grant", i, 1000 + i);
        SSI_ASSERT(false, "fix it");
    };
    EXPECT_DEATH(record_and_fail(), "oldest first:\n +36 grant 36 1036\n(.*\n)*.*99 grant 99 1099");
}

}  // namespace
}  // namespace ssi
