// SPDX-License-Identifier: BSD-3-Clause
#include "cli/report.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace {

using cli::Report;
using testing::HasSubstr;
using testing::Not;

Report sample() {
    Report report;
    report.program = "pagerank";
    report.input = "a \"quoted\\\" file\n";
    report.ranks = 3;
    report.vertices = 1234567;
    report.edges = 1000;
    report.iterations = 10;
    report.top = {{"lib\x01x", 0.25}};
    report.set_time(4.0, 2);
    return report;
}

TEST(PagerankReport, defines_the_rate_as_edges_times_iterations_over_the_mean_time) {
    const Report report = sample();
    EXPECT_EQ(report.seconds, 2);
    EXPECT_EQ(report.edges_per_second, 5000);
}

TEST(PagerankReport, escapes_names_in_json) {
    const std::string json = sample().json();
    EXPECT_THAT(json, HasSubstr(R"("input": "a \"quoted\\\" file\u000a")"));
    EXPECT_THAT(json, HasSubstr(R"({"name": "lib\u0001x", "rank": 0.25})"));
}

TEST(PagerankReport, keeps_json_valid_when_a_value_is_not_finite) {
    Report report = sample();
    report.residual = std::nan("");
    report.verification.emplace().difference = INFINITY;
    EXPECT_THAT(report.json(), HasSubstr("\"residual\": null"));
    EXPECT_THAT(report.json(), HasSubstr("\"max_relative_difference\": null"));
    EXPECT_THAT(report.json(), HasSubstr("\"passed\": false"));
}

TEST(PagerankReport, passes_verification_up_to_the_limit_only) {
    Report::Verification verification;
    verification.difference = 1e-9;
    EXPECT_TRUE(verification.passed());
    verification.difference = 1.01e-9;
    EXPECT_FALSE(verification.passed());
    verification.difference = std::nan("");
    EXPECT_FALSE(verification.passed());
    verification.difference = 0;
    verification.components_agree = false;
    EXPECT_FALSE(verification.passed());
}

TEST(PagerankReport, says_loudly_that_ranks_differ) {
    Report report = sample();
    report.verification.emplace().difference = 1;
    EXPECT_THAT(report.text(), HasSubstr("DIFFERS"));
    report.verification->difference = 0;
    EXPECT_THAT(report.text(), Not(HasSubstr("DIFFER")));
    report.verification->components_agree = false;
    EXPECT_THAT(report.text(), HasSubstr("components: DIFFER"));
}

TEST(PagerankReport, prints_what_there_is_and_nothing_else) {
    const std::string text = sample().text();
    EXPECT_THAT(text, HasSubstr("1,234,567 vertices, 1,000 edges, 3 ranks"));
    EXPECT_THAT(text, HasSubstr("mean of 2 runs"));
    EXPECT_THAT(text, Not(HasSubstr("serial")));
    EXPECT_THAT(text, Not(HasSubstr("KDDM")));
}

TEST(PagerankReport, lists_counters_by_set) {
    Report report = sample();
    report.kddm = {{"pagerank.ranks", {{"gets", 1000}, {"hits", 7}}}};
    EXPECT_THAT(report.text(), HasSubstr("pagerank.ranks"));
    EXPECT_THAT(report.text(), HasSubstr("1,000"));
    EXPECT_THAT(report.json(), HasSubstr(R"({"set": "pagerank.ranks", "gets": 1000, "hits": 7})"));
}

}  // namespace
