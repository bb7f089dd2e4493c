// SPDX-License-Identifier: BSD-3-Clause
// The checker of histories, against histories whose verdict is plain to see.
#include "history.hpp"

#include <gtest/gtest.h>

namespace ssi::model {
namespace {

using Kind = HistoryOp::Kind;
using Ops = std::vector<HistoryOp>;

TEST(RegisterHistory, accepts_reads_and_updates_one_after_another) {
    EXPECT_FALSE(check_register({{Kind::read, 1, 2, 0, 0},
                                 {Kind::update, 3, 4, 0, 7},
                                 {Kind::read, 5, 6, 7, 0},
                                 {Kind::update, 7, 8, 7, 9}}));
}

TEST(RegisterHistory, accepts_overlapping_operations_in_any_order_that_fits) {
    EXPECT_FALSE(check_register({{Kind::update, 1, 10, 5, 6},
                                 {Kind::update, 2, 9, 0, 5},
                                 {Kind::read, 3, 8, 0, 0},
                                 {Kind::read, 4, 7, 6, 0}}));
}

TEST(RegisterHistory, refuses_a_lost_update) {
    const auto wrong = check_register({{Kind::update, 1, 2, 0, 5}, {Kind::update, 3, 4, 0, 6}});
    ASSERT_TRUE(wrong);
    EXPECT_NE(wrong->find("an update is lost"), std::string::npos) << *wrong;
}

TEST(RegisterHistory, refuses_a_stale_read) {
    EXPECT_TRUE(check_register({{Kind::update, 1, 2, 0, 5}, {Kind::read, 3, 4, 0, 0}}));
    EXPECT_TRUE(check_register({{Kind::update, 1, 2, 0, 5},
                                {Kind::update, 3, 4, 5, 6},
                                {Kind::read, 5, 6, 5, 0}}));
}

TEST(RegisterHistory, refuses_a_value_from_the_future_or_from_nowhere) {
    EXPECT_TRUE(check_register({{Kind::read, 1, 2, 5, 0}, {Kind::update, 3, 4, 0, 5}}));
    EXPECT_TRUE(check_register({{Kind::read, 1, 2, 5, 0}}));
}

TEST(RegisterHistory, refuses_a_circle) {
    EXPECT_TRUE(check_register({{Kind::update, 1, 9, 6, 5}, {Kind::update, 2, 8, 5, 6}}));
}

TEST(RegisterHistory, refuses_two_values_that_alternate) {
    // Both writes overlap everything; the readers see 5, then 6, then 5 again.
    const Ops alternating = {{Kind::write, 1, 20, 0, 5}, {Kind::write, 2, 21, 0, 6},
                             {Kind::read, 3, 4, 5, 0},   {Kind::read, 5, 6, 6, 0},
                             {Kind::read, 7, 8, 5, 0}};
    EXPECT_TRUE(check_register(alternating));
    EXPECT_FALSE(check_register({alternating.begin(), alternating.end() - 1}));
}

TEST(RegisterHistory, an_operation_without_an_answer_may_have_happened_or_not) {
    EXPECT_FALSE(check_register({{Kind::write, 1, never, 0, 5}, {Kind::read, 2, 3, 0, 0}}));
    EXPECT_FALSE(check_register(
        {{Kind::write, 1, never, 0, 5}, {Kind::read, 2, 3, 0, 0}, {Kind::read, 4, 5, 5, 0}}));
    EXPECT_TRUE(check_register(
        {{Kind::write, 1, never, 0, 5}, {Kind::read, 2, 3, 5, 0}, {Kind::read, 4, 5, 0, 0}}));
}

TEST(RegisterHistory, a_removed_object_is_new_born) {
    EXPECT_FALSE(check_register({{Kind::update, 1, 2, 0, 5},
                                 {Kind::remove, 3, 4},
                                 {Kind::read, 5, 6, 0, 0},
                                 {Kind::update, 7, 8, 0, 9}}));
    // Somebody still reads what was removed.
    EXPECT_TRUE(check_register(
        {{Kind::update, 1, 2, 0, 5}, {Kind::remove, 3, 4}, {Kind::read, 5, 6, 5, 0}}));
    // New-born, but the only remove was called later.
    EXPECT_TRUE(check_register(
        {{Kind::update, 1, 2, 0, 5}, {Kind::read, 3, 4, 0, 0}, {Kind::remove, 5, 6}}));
    // Two births after one remove and one beginning need no third.
    EXPECT_TRUE(check_register({{Kind::update, 1, 20, 0, 5},
                                {Kind::update, 2, 21, 0, 6},
                                {Kind::update, 3, 22, 0, 7},
                                {Kind::remove, 4, 19}}));
}

TEST(CounterHistory, accepts_sums_that_follow_each_other) {
    EXPECT_FALSE(check_counter(
        {{true, 1, 9, 0, 3}, {true, 2, 8, 3, 4}, {false, 10, 11, 7, 0}, {false, 3, 4, 3, 0}},
        true));
}

TEST(CounterHistory, refuses_a_sum_that_was_given_twice) {
    EXPECT_TRUE(check_counter({{true, 1, 2, 0, 3}, {true, 3, 4, 0, 3}}, true));
}

TEST(CounterHistory, refuses_an_add_by_nobody_when_all_are_known) {
    const std::vector<CounterOp> gap = {{true, 1, 2, 0, 3}, {true, 3, 4, 4, 3}};
    EXPECT_TRUE(check_counter(gap, true));
    EXPECT_FALSE(check_counter(gap, false));
}

TEST(CounterHistory, refuses_sums_against_the_order_of_time) {
    EXPECT_TRUE(check_counter({{true, 5, 6, 0, 3}, {true, 1, 2, 3, 3}}, true));
    EXPECT_TRUE(check_counter({{true, 1, 2, 0, 3}, {false, 3, 4, 0, 0}}, true));
    EXPECT_TRUE(check_counter({{true, 1, 9, 0, 3}, {false, 2, 3, 2, 0}}, true));
}

}  // namespace
}  // namespace ssi::model
