// SPDX-License-Identifier: BSD-3-Clause
// How both kinds of `ssi stat`, of files and of a running session, print numbers.
#pragma once

#include <string>

#include "metrics.hpp"
#include "ssi/base/json.hpp"

namespace ssi::cli {

std::string labelled(const MetricKey& key);
std::string number_text(double value);
void print_histograms(const Metrics& metrics);         // a table after an empty line; none: nothing
void add_metrics(Json& json, const Metrics& metrics);  // fields "values" and "histograms"

}  // namespace ssi::cli
