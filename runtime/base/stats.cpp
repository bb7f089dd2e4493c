// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/base/stats.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <mutex>
#include <utility>

#include "short_lock.hpp"
#include "ssi/base/assert.hpp"

namespace ssi {
namespace {

constexpr std::string_view counter_suffix = "_total";
constexpr std::string_view histogram_suffix = "_seconds";

bool valid_name(std::string_view name) {
    return !name.empty() && name[0] >= 'a' && name[0] <= 'z' &&
           std::all_of(name.begin(), name.end(), [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
           });
}

// The labels come ready for OpenMetrics; JSON needs their quotes and backslashes escaped again.
std::string json_string(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\')
            (out += '\\') += c;
        else if (static_cast<unsigned char>(c) < 0x20)
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        else
            out += c;
    }
    return out += '"';
}

std::string in_braces(std::string_view labels, std::string_view more = {}) {
    if (labels.empty() && more.empty()) return "";
    return fmt::format("{{{}{}{}}}", labels, labels.empty() || more.empty() ? "" : ",", more);
}

using Key = std::pair<std::string, std::string>;  // name, labels

void write_histogram(std::string& out, const Key& key, const Histogram& histogram) {
    auto to = std::back_inserter(out);
    std::uint64_t below = 0;
    for (unsigned i = 0; i < Histogram::bucket_count; ++i) {
        const std::uint64_t here = histogram.bucket(i);
        if (here == 0) continue;
        below += here;
        const double bound = static_cast<double>(Histogram::upper_bound(i)) * 1e-9;
        fmt::format_to(to, "{}_bucket{} {}\n", key.first,
                       in_braces(key.second, fmt::format("le=\"{:.9g}\"", bound)), below);
    }
    fmt::format_to(to, "{}_bucket{} {}\n", key.first, in_braces(key.second, "le=\"+Inf\""), below);
    fmt::format_to(to, "{}_count{} {}\n", key.first, in_braces(key.second), below);
}

}  // namespace

struct Stats::Impl {
    mutable ShortLock lock;
    std::map<Key, std::unique_ptr<Counter>> counters;
    std::map<Key, std::unique_ptr<Histogram>> histograms;

    template <class Metric>
    Metric& find_or_add(std::map<Key, std::unique_ptr<Metric>>& in, std::string_view name,
                        std::string_view labels) {
        SSI_ASSERT(valid_name(name), "name metrics ssi_<part>_<what>, of a-z, 0-9 and _");
        const std::lock_guard hold(lock);
        auto& metric = in[Key(name, labels)];
        if (!metric) metric = std::make_unique<Metric>();
        return *metric;
    }
};

Stats::Stats() : impl_(std::make_unique<Impl>()) {}
Stats::~Stats() = default;

Counter& Stats::counter(std::string_view name, std::string_view labels) {
    SSI_ASSERT(!name.ends_with(histogram_suffix), "names ending in _seconds are histograms");
    return impl_->find_or_add(impl_->counters, name, labels);
}

Histogram& Stats::histogram(std::string_view name, std::string_view labels) {
    SSI_ASSERT(name.ends_with(histogram_suffix), "name histograms ssi_<part>_<what>_seconds");
    return impl_->find_or_add(impl_->histograms, name, labels);
}

std::vector<Stats::Value> Stats::counters() const {
    const std::lock_guard hold(impl_->lock);
    std::vector<Value> out;
    for (const auto& [key, counter] : impl_->counters)
        out.push_back({key.first, key.second, counter->value()});
    return out;
}

std::string Stats::open_metrics() const {
    const std::lock_guard hold(impl_->lock);
    std::string out;
    auto to = std::back_inserter(out);
    const std::string* family = nullptr;
    for (const auto& [key, counter] : impl_->counters) {
        if (!family || *family != key.first) {
            family = &key.first;
            std::string_view name = key.first;
            const bool counts = name.ends_with(counter_suffix);
            if (counts) name.remove_suffix(counter_suffix.size());
            fmt::format_to(to, "# TYPE {} {}\n", name, counts ? "counter" : "gauge");
        }
        fmt::format_to(to, "{}{} {}\n", key.first, in_braces(key.second), counter->value());
    }
    family = nullptr;
    for (const auto& [key, histogram] : impl_->histograms) {
        if (!family || *family != key.first)
            fmt::format_to(to, "# TYPE {0} histogram\n# UNIT {0} seconds\n", key.first);
        family = &key.first;
        write_histogram(out, key, *histogram);
    }
    return out += "# EOF\n";
}

std::string Stats::json() const {
    const std::lock_guard hold(impl_->lock);
    std::string out = "{\"counters\":{";
    auto to = std::back_inserter(out);
    const char* separator = "";
    for (const auto& [key, counter] : impl_->counters) {
        fmt::format_to(to, "{}{}:{}", separator, json_string(key.first + in_braces(key.second)),
                       counter->value());
        separator = ",";
    }
    out += "},\"histograms\":{";
    separator = "";
    for (const auto& [key, histogram] : impl_->histograms) {
        fmt::format_to(to,
                       "{}{}:{{\"count\":{},\"p50_ns\":{},\"p90_ns\":{},\"p99_ns\":{},"
                       "\"max_ns\":{}}}",
                       separator, json_string(key.first + in_braces(key.second)),
                       histogram->count(), histogram->quantile(0.5), histogram->quantile(0.9),
                       histogram->quantile(0.99), histogram->quantile(1.0));
        separator = ",";
    }
    return out += "}}";
}

}  // namespace ssi
