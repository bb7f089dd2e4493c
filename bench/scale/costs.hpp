// SPDX-License-Identifier: BSD-3-Clause
// Costs: the mean and the worst of several costs, as a row, with the longest chain of messages.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "report.hpp"
#include "world.hpp"

namespace ssi::bench {

class Costs {
public:
    void add(const Cost& cost) {
        ++count_;
        sum_.delays += cost.delays;
        sum_.messages += cost.messages;
        sum_.bytes += cost.bytes;
        sum_.gets += cost.gets;
        most_messages_ = std::max(most_messages_, cost.messages);
        times_.push_back(cost.virtual_ns);
        if (cost.delays > worst_.delays) worst_ = cost;
    }
    double messages() const { return sum_.messages / count_; }
    double delays() const { return worst_.delays; }
    Row row(const std::string& name) const {
        Row row{.name = name, .slices = times_};
        row.iterations = static_cast<std::uint64_t>(count_);
        row.counters["delays"] = worst_.delays;
        row.counters["delays_mean"] = sum_.delays / count_;
        row.counters["messages"] = messages();
        row.counters["messages_most"] = most_messages_;
        row.counters["message_bytes"] = sum_.bytes / count_;
        row.counters["one_sided_reads"] = sum_.gets / count_;
        row.note = "virtual time, 1 us a message";
        if (!worst_.chain.empty()) row.note += "; longest chain: " + text_of(worst_.chain);
        return row;
    }

private:
    int count_ = 0;
    Cost sum_, worst_;
    double most_messages_ = 0;
    std::vector<double> times_;
};

}  // namespace ssi::bench
