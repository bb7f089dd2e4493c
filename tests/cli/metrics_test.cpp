// SPDX-License-Identifier: BSD-3-Clause
#include "metrics.hpp"

#include <gtest/gtest.h>

#include "ssi/base/stats.hpp"

namespace ssi::cli {
namespace {

std::string failure_of(std::string_view text) {
    const auto parsed = parse_open_metrics(text, "f");
    if (parsed) return "parsed";
    EXPECT_EQ(parsed.error().code, Errc::parse);
    return parsed.error().text;
}

TEST(Metrics, reads_what_stats_writes) {
    Stats stats;
    stats.counter("ssi_gets_total", "set=\"a, \\\"b\\\"\"").add(7);
    stats.counter("ssi_bytes").set(1ull << 40);
    auto& histogram = stats.histogram("ssi_get_seconds", "set=\"a\"");
    for (int i = 1; i <= 1000; ++i) histogram.record(i * 1000);
    const auto metrics = parse_open_metrics(stats.open_metrics(), "stats");
    ASSERT_TRUE(metrics) << metrics.error().text;
    EXPECT_EQ(metrics->values.at({"ssi_gets_total", "set=\"a, \\\"b\\\"\""}), 7);
    EXPECT_EQ(metrics->values.at({"ssi_bytes", ""}), static_cast<double>(1ull << 40));
    const auto& read = metrics->histograms.at({"ssi_get_seconds", "set=\"a\""});
    EXPECT_EQ(read.count, 1000);
    for (double q : {0.5, 0.9, 0.99, 1.0})
        EXPECT_NEAR(read.quantile(q), static_cast<double>(histogram.quantile(q)) * 1e-9, 1e-12);
}

TEST(Metrics, takes_time_stamps_exemplars_and_special_numbers) {
    const auto metrics = parse_open_metrics(
        "# HELP a whatever\n# TYPE a counter\na_total 1.5e3 1700000000\nb +Inf\nc NaN\n"
        "d{x=\"1\"} -2 # {id=\"7\"} 1\n# EOF\n", "f");
    ASSERT_TRUE(metrics) << metrics.error().text;
    EXPECT_EQ(metrics->values.at({"a_total", ""}), 1500);
    EXPECT_EQ(metrics->values.at({"d", "x=\"1\""}), -2);
}

TEST(Metrics, an_empty_run_is_no_mistake) {
    const auto metrics = parse_open_metrics("# EOF\n", "f");
    ASSERT_TRUE(metrics);
    EXPECT_TRUE(metrics->values.empty());
}

TEST(Metrics, mistakes_name_the_line) {
    EXPECT_EQ(failure_of(""), "f:1: the file ends before \"# EOF\": it was cut short");
    EXPECT_EQ(failure_of("a 1\n"), "f:2: the file ends before \"# EOF\": it was cut short");
    EXPECT_EQ(failure_of("a 1\n# EOF"), "f:2: the last line has no end");
    EXPECT_EQ(failure_of("# EOF\na 1\n"), "f:2: there is text after \"# EOF\"");
    EXPECT_EQ(failure_of("a 1\n# comment\n# EOF\n"),
              "f:2: neither a sample nor TYPE, UNIT, HELP or EOF");
    EXPECT_EQ(failure_of("# TYPE a cat\n# EOF\n"),
              "f:1: type \"cat\" is none of counter, gauge, histogram");
    EXPECT_EQ(failure_of("# TYPE a gauge\n# TYPE a gauge\n# EOF\n"), "f:2: a second TYPE of a");
    EXPECT_EQ(failure_of("# TYPE\n# EOF\n"), "f:1: neither a sample nor TYPE, UNIT, HELP or EOF");
    EXPECT_EQ(failure_of("# TYPE a\n# EOF\n"), "f:1: a TYPE line needs a name");
    EXPECT_EQ(failure_of("1a 1\n# EOF\n"), "f:1: a line must begin with a metric's name");
    EXPECT_EQ(failure_of("\n# EOF\n"), "f:1: a line must begin with a metric's name");
    EXPECT_EQ(failure_of("a\n# EOF\n"), "f:1: a space and a value must follow the name");
    EXPECT_EQ(failure_of("a x\n# EOF\n"), "f:1: the value of a is no number");
    EXPECT_EQ(failure_of("a 1x\n# EOF\n"), "f:1: the value of a is no number");
    EXPECT_EQ(failure_of("a{x} 1\n# EOF\n"), "f:1: labels are written name=\"value\"");
    EXPECT_EQ(failure_of("a{x=\"1} 1\n# EOF\n"), "f:1: a label's value has no closing quote");
    EXPECT_EQ(failure_of("a{x=\"1\\\n# EOF\n"), "f:1: a label's value has no closing quote");
    EXPECT_EQ(failure_of("a{x=\"1\";y=\"2\"} 1\n# EOF\n"),
              "f:1: a comma or a brace must follow a label");
    EXPECT_EQ(failure_of("a{x=\"1\"\n# EOF\n"), "f:1: a comma or a brace must follow a label");
    EXPECT_EQ(failure_of("a 1\na 2\n# EOF\n"), "f:2: a is there twice with the same labels");
}

TEST(Metrics, broken_histograms_name_the_line) {
    const std::string type = "# TYPE h histogram\n";
    EXPECT_EQ(failure_of(type + "h_bucket 1\n# EOF\n"), "f:2: a bucket needs a label le");
    EXPECT_EQ(failure_of(type + "h_bucket{le=\"x\"} 1\n# EOF\n"), "f:2: le is no number");
    EXPECT_EQ(failure_of(type + "h_bucket{le=\"2\"} 1\nh_bucket{le=\"1\"} 1\n# EOF\n"),
              "f:3: buckets must ascend, and so must their values");
    EXPECT_EQ(failure_of(type + "h_bucket{le=\"1\"} 2\nh_bucket{le=\"2\"} 1\n# EOF\n"),
              "f:3: buckets must ascend, and so must their values");
}

TEST(Metrics, sums_histograms_whose_buckets_differ) {
    const auto a = parse_open_metrics(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"4\"} 3\nh_count 3\nx 1\n# EOF\n",
        "a");
    const auto b = parse_open_metrics(
        "# TYPE h histogram\nh_bucket{le=\"2\"} 5\nh_bucket{le=\"4\"} 5\nh_count 5\nx 2\n# EOF\n",
        "b");
    ASSERT_TRUE(a && b);
    Metrics sum = *a;
    sum.add(*b);
    EXPECT_EQ(sum.values.at({"x", ""}), 3);
    const auto& h = sum.histograms.at({"h", ""});
    EXPECT_EQ(h.count, 8);
    EXPECT_EQ(h.buckets, (std::map<double, double>{{1, 2}, {2, 7}, {4, 8}}));
    EXPECT_EQ(h.quantile(0.25), 1);
    EXPECT_EQ(h.quantile(0.5), 2);
    EXPECT_EQ(h.quantile(1), 4);
}

}  // namespace
}  // namespace ssi::cli
