// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/stats.hpp"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

namespace ssi {
namespace {

TEST(Stats, same_name_and_labels_is_the_same_counter) {
    Stats stats;
    Counter& a = stats.counter("ssi_kddm_gets_total", "set=\"ranks\"");
    a.add();
    a.add(4);
    EXPECT_EQ(&stats.counter("ssi_kddm_gets_total", "set=\"ranks\""), &a);
    EXPECT_NE(&stats.counter("ssi_kddm_gets_total", "set=\"other\""), &a);
    EXPECT_EQ(a.value(), 5u);
    a.set(2);
    EXPECT_EQ(a.value(), 2u);
}

TEST(Stats, counters_come_sorted) {
    Stats stats;
    stats.counter("ssi_b_total").add(2);
    stats.counter("ssi_a_total", "x=\"2\"").add(1);
    stats.counter("ssi_a_total", "x=\"1\"");
    const auto all = stats.counters();
    ASSERT_EQ(all.size(), 3u);
    EXPECT_EQ(all[0].name + all[0].labels, "ssi_a_totalx=\"1\"");
    EXPECT_EQ(all[1].labels, "x=\"2\"");
    EXPECT_EQ(all[2].value, 2u);
}

TEST(Stats, open_metrics_text_is_exact) {
    Stats stats;
    stats.counter("ssi_kddm_gets_total", "set=\"a\"").add(3);
    stats.counter("ssi_kddm_gets_total", "set=\"b\"").add(4);
    stats.counter("ssi_arena_bytes").set(48);
    auto& histogram = stats.histogram("ssi_get_seconds", "set=\"a\"");
    histogram.record(2);
    histogram.record(2);
    histogram.record(1000);
    EXPECT_EQ(stats.open_metrics(),
              "# TYPE ssi_arena_bytes gauge\n"
              "ssi_arena_bytes 48\n"
              "# TYPE ssi_kddm_gets counter\n"
              "ssi_kddm_gets_total{set=\"a\"} 3\n"
              "ssi_kddm_gets_total{set=\"b\"} 4\n"
              "# TYPE ssi_get_seconds histogram\n"
              "# UNIT ssi_get_seconds seconds\n"
              "ssi_get_seconds_bucket{set=\"a\",le=\"2e-09\"} 2\n"
              "ssi_get_seconds_bucket{set=\"a\",le=\"1.023e-06\"} 3\n"
              "ssi_get_seconds_bucket{set=\"a\",le=\"+Inf\"} 3\n"
              "ssi_get_seconds_count{set=\"a\"} 3\n"
              "# EOF\n");
}

TEST(Stats, json_escapes_labels_and_sorts) {
    Stats stats;
    stats.counter("ssi_b_total").add(1);
    stats.counter("ssi_a_total", "set=\"q\\\"\n\"").add(2);
    stats.histogram("ssi_get_seconds").record(1000);
    EXPECT_EQ(stats.json(),
              "{\"counters\":{\"ssi_a_total{set=\\\"q\\\\\\\"\\u000a\\\"}\":2,\"ssi_b_total\":1},"
              "\"histograms\":{\"ssi_get_seconds\":{\"count\":1,\"p50_ns\":1023,\"p90_ns\":1023,"
              "\"p99_ns\":1023,\"max_ns\":1023}}}");
}

TEST(StatsDeathTest, names_that_open_metrics_refuses_are_misuse) {
    Stats stats;
    EXPECT_DEATH(stats.counter("Kddm gets"), "of a-z, 0-9 and _");
    EXPECT_DEATH(stats.counter("ssi_x_seconds"), "are histograms");
    EXPECT_DEATH(stats.histogram("ssi_x_total"), "ssi_<part>_<what>_seconds");
}

TEST(Stats, many_threads_count_and_register_without_loss) {
    Stats stats;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) {
                stats.counter("ssi_x_total", i % 2 ? "a=\"1\"" : "a=\"0\"").add();
                stats.histogram("ssi_x_seconds").record(i);
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(stats.counter("ssi_x_total", "a=\"0\"").value(), 2000u);
    EXPECT_EQ(stats.histogram("ssi_x_seconds").count(), 4000u);
}

TEST(Histogram, quantiles_are_at_most_a_quarter_too_high) {
    Histogram histogram;
    for (std::int64_t v = 1; v <= 100'000; ++v) histogram.record(v);
    for (double q : {0.01, 0.5, 0.9, 0.99, 1.0}) {
        const double exact = q * 100'000;
        EXPECT_GE(static_cast<double>(histogram.quantile(q)), exact);
        EXPECT_LE(static_cast<double>(histogram.quantile(q)), exact * 1.25 + 1);
    }
}

TEST(Histogram, quantile_is_the_smallest_value_that_covers_the_share) {
    Histogram histogram;
    for (std::int64_t v : {1, 5, 6, 7}) histogram.record(v);
    EXPECT_EQ(histogram.quantile(0), 1);
    EXPECT_EQ(histogram.quantile(0.25), 1);
    EXPECT_EQ(histogram.quantile(0.26), 5);
    EXPECT_EQ(histogram.quantile(0.5), 5);
    EXPECT_EQ(histogram.quantile(0.75), 6);
    EXPECT_EQ(histogram.quantile(1), 7);
}

TEST(Histogram, takes_every_value_and_is_zero_when_empty) {
    Histogram histogram;
    EXPECT_EQ(histogram.quantile(0.5), 0);
    EXPECT_EQ(histogram.count(), 0u);
    histogram.record(-5);
    EXPECT_EQ(histogram.quantile(1.0), 0);
    histogram.record(INT64_MAX);
    EXPECT_EQ(histogram.quantile(1.0), INT64_MAX);
    EXPECT_EQ(histogram.count(), 2u);
}

TEST(Histogram, each_bucket_ends_where_the_next_begins) {
    for (unsigned e = 2; e < 62; ++e) {
        for (std::int64_t sub = 0; sub < 4; ++sub) {
            const std::int64_t first = (4 + sub) << (e - 2);
            Histogram histogram;
            histogram.record(first);
            EXPECT_GE(histogram.quantile(1), first);
            Histogram below;
            below.record(first - 1);
            EXPECT_EQ(below.quantile(1), first - 1) << "largest value of its bucket";
        }
    }
}

}  // namespace
}  // namespace ssi
