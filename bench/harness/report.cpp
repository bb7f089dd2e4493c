// SPDX-License-Identifier: BSD-3-Clause
#include "report.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace ssi::bench {

double now_ns() {
    const auto since = std::chrono::steady_clock::now().time_since_epoch();
    return static_cast<double>(std::chrono::nanoseconds(since).count());
}

std::uint64_t ticks() {
#if defined(__x86_64__)
    return __rdtsc();
#else
    return static_cast<std::uint64_t>(now_ns());
#endif
}

double ns_per_tick() {
    static const double value = [] {
        const double start_ns = now_ns();
        const std::uint64_t start = ticks();
        while (now_ns() - start_ns < 20e6) {
        }
        return (now_ns() - start_ns) / static_cast<double>(ticks() - start);
    }();
    return value;
}

double tick_overhead() {
    static const double value = [] {
        double least = 1e9;
        for (int i = 0; i < 1000; ++i) {
            const std::uint64_t start = ticks();
            least = std::min(least, static_cast<double>(ticks() - start));
        }
        return least;
    }();
    return value;
}

Percentiles percentiles(std::vector<double>& samples_ticks) {
    if (samples_ticks.empty()) return {};
    std::sort(samples_ticks.begin(), samples_ticks.end());
    const auto at = [&](double q) {
        const auto last = static_cast<double>(samples_ticks.size() - 1);
        const double value = samples_ticks[static_cast<std::size_t>(q * last)];
        return std::max(0.0, value - tick_overhead()) * ns_per_tick();
    };
    return {at(0.50), at(0.99)};
}

void Report::add(Row row) {
    if (settings_.rank == 0 && !row.slices.empty()) {
        std::vector<double> sorted = row.slices;
        std::sort(sorted.begin(), sorted.end());
        std::fprintf(stderr, "  %-36s %12.1f %s\n", row.name.c_str(), sorted[sorted.size() / 2],
                     row.unit.c_str());
    }
    rows_.push_back(std::move(row));
}

namespace {

std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') out += '\\';
        if (static_cast<unsigned char>(c) >= 0x20) out += c;
    }
    out += '"';
    return out;
}

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.10g", value);
    return text;
}

std::string numbers(const std::vector<double>& values) {
    std::string out = "[";
    for (const double value : values) {
        if (out.size() > 1) out += ',';
        out += number(value);
    }
    out += ']';
    return out;
}

std::string json(const Row& row) {
    std::string out = "{\"name\":" + quoted(row.name) + ",\"time_unit\":" + quoted(row.unit) +
                      ",\"slices\":" + numbers(row.slices) + ",\"floor\":" + quoted(row.floor) +
                      ",\"floor_slices\":" + numbers(row.floor_slices) +
                      ",\"p50\":" + number(row.percentiles.p50) +
                      ",\"p99\":" + number(row.percentiles.p99) +
                      ",\"iterations\":" + std::to_string(row.iterations) +
                      ",\"items_per_operation\":" + number(row.items_per_operation) +
                      ",\"bytes_per_operation\":" + number(row.bytes_per_operation) +
                      ",\"note\":" + quoted(row.note) + ",\"counters\":{";
    bool first = true;
    for (const auto& [name, value] : row.counters) {
        if (!first) out += ',';
        out += quoted(name);
        out += ':';
        out += number(value);
        first = false;
    }
    out += "}}";
    return out;
}

}  // namespace

void Report::write() const {
    if (settings_.rank != 0 || settings_.out.empty()) return;
    std::ofstream file(settings_.out);
    file << "{\"context\":{";
    bool first = true;
    for (const auto& [key, value] : context_) {
        file << (first ? "" : ",") << quoted(key) << ":" << quoted(value);
        first = false;
    }
    file << "},\n\"rows\":[";
    for (std::size_t i = 0; i < rows_.size(); ++i)
        file << (i == 0 ? "\n" : ",\n") << json(rows_[i]);
    file << "\n]}\n";
    file.flush();
    if (!file) throw std::runtime_error("cannot write " + settings_.out);
}

void wrong_data(const std::string& what) {
    throw std::runtime_error("wrong data: " + what);
}

Settings parse(int argc, char** argv) {
    Settings settings;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const auto value = [&]() -> std::string {
            if (i + 1 >= argc) throw std::runtime_error(std::string(argument) + " needs a value");
            return argv[++i];
        };
        if (argument == "--quick") settings.quick = true;
        else if (argument == "--out") settings.out = value();
        else if (argument == "--filter") settings.filter = value();
        else if (argument == "--suffix") settings.suffix = value();
        else if (argument == "--nodes")
            settings.nodes = static_cast<std::uint32_t>(std::stoul(value()));
        else throw std::runtime_error("unknown option " + std::string(argument));
    }
    return settings;
}

}  // namespace ssi::bench
