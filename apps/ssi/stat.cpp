// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

#include "commands.hpp"
#include "metrics.hpp"
#include "stat.hpp"

namespace ssi::cli {
namespace {

Result<Metrics> read_metrics(const std::string& path) {
    struct stat status{};
    if (stat(path.c_str(), &status) != 0)
        return fail_errno(errno == ENOENT ? Errc::not_found : Errc::io, errno,
                          fmt::format("cannot read {}", path));
    if (S_ISDIR(status.st_mode)) return fail_errno(Errc::io, EISDIR, "cannot read " + path);
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    if (!file) return fail_errno(Errc::io, errno, fmt::format("cannot read {}", path));
    text << file.rdbuf();
    return parse_open_metrics(text.str(), path);
}

std::string duration(double seconds) {
    if (!std::isfinite(seconds)) return "beyond";
    if (seconds < 1e-6) return fmt::format("{:.0f} ns", seconds * 1e9);
    if (seconds < 1e-3) return fmt::format("{:.1f} us", seconds * 1e6);
    if (seconds < 1) return fmt::format("{:.1f} ms", seconds * 1e3);
    return fmt::format("{:.2f} s", seconds);
}

// A histogram that says seconds is printed as durations.
std::string bound(const MetricKey& key, double value) {
    return key.first.ends_with("_seconds") ? duration(value) : number_text(value);
}

void print_text(const Metrics& metrics) {
    std::size_t width = 20;
    for (const auto& [key, value] : metrics.values) width = std::max(width, labelled(key).size());
    for (const auto& [key, h] : metrics.histograms) width = std::max(width, labelled(key).size());
    if (!metrics.values.empty()) fmt::print("{:<{}}  {:>16}\n", "counter", width, "value");
    for (const auto& [key, value] : metrics.values)
        fmt::print("{:<{}}  {:>16}\n", labelled(key), width, number_text(value));
    print_histograms(metrics);
}

void print_json(const Metrics& metrics, std::size_t files) {
    Json json;
    json.object().field("files", static_cast<std::uint64_t>(files));
    add_metrics(json, metrics);
    fmt::print("{}\n", json.end().text());
}

}  // namespace

std::string labelled(const MetricKey& key) {
    return key.second.empty() ? key.first : fmt::format("{}{{{}}}", key.first, key.second);
}

// Counts are whole, but the format is of doubles.
std::string number_text(double value) {
    const bool whole = std::abs(value) < 1e15 && value == std::floor(value);
    return whole ? fmt::format("{:.0f}", value) : fmt::format("{:.6g}", value);
}

void print_histograms(const Metrics& metrics) {
    if (metrics.histograms.empty()) return;
    std::size_t width = 20;
    for (const auto& [key, value] : metrics.values) width = std::max(width, labelled(key).size());
    for (const auto& [key, h] : metrics.histograms) width = std::max(width, labelled(key).size());
    fmt::print("{}{:<{}}  {:>16} {:>10} {:>10} {:>10}\n", metrics.values.empty() ? "" : "\n",
               "histogram", width, "count", "p50 <=", "p90 <=", "p99 <=");
    for (const auto& [key, h] : metrics.histograms)
        fmt::print("{:<{}}  {:>16} {:>10} {:>10} {:>10}\n", labelled(key), width,
                   number_text(h.count), bound(key, h.quantile(0.5)), bound(key, h.quantile(0.9)),
                   bound(key, h.quantile(0.99)));
}

void add_metrics(Json& json, const Metrics& metrics) {
    json.array("values");
    for (const auto& [key, value] : metrics.values)
        json.object()
            .field("name", key.first)
            .field("labels", key.second)
            .field("value", value)
            .end();
    json.end().array("histograms");
    for (const auto& [key, h] : metrics.histograms)
        json.object()
            .field("name", key.first)
            .field("labels", key.second)
            .field("count", h.count)
            .field("p50", h.quantile(0.5))
            .field("p90", h.quantile(0.9))
            .field("p99", h.quantile(0.99))
            .end();
    json.end();
}

Result<void> run_stat(const std::vector<std::string>& files, bool json) {
    Metrics sum;
    for (const std::string& file : files) {
        auto metrics = read_metrics(file);
        if (!metrics) return tl::unexpected(std::move(metrics).error());
        sum.add(*metrics);
    }
    if (json)
        print_json(sum, files.size());
    else
        print_text(sum);
    return {};
}

}  // namespace ssi::cli
