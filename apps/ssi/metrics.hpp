// SPDX-License-Identifier: BSD-3-Clause
// Reads the OpenMetrics text that a run wrote (setting stats.file) and adds up several nodes'.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "ssi/base/result.hpp"

namespace ssi::cli {

struct MetricHistogram {
    std::map<double, double> buckets;  // upper bound -> how many at most that large (cumulative)
    double count = 0;
    // Upper bound of the bucket that holds the quantile, in the metric's unit; 0 when empty.
    double quantile(double q) const;
};

// Keys: name and labels as written between the braces.
using MetricKey = std::pair<std::string, std::string>;

struct Metrics {
    std::map<MetricKey, double> values;  // counters and gauges
    std::map<MetricKey, MetricHistogram> histograms;
    void add(const Metrics& other);  // sums; of cumulative buckets too
};

// Errc::parse names the source and the line. Takes what Stats::open_metrics writes and other files
// of the format (openmetrics.io, version 1.0): counters, gauges and histograms; time stamps and
// exemplars are skipped.
Result<Metrics> parse_open_metrics(std::string_view text, const std::string& source);

}  // namespace ssi::cli
