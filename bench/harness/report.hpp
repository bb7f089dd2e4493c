// SPDX-License-Identifier: BSD-3-Clause
// What every benchmark program shares: arguments, time stamps, rows and the part file that
// bench/run.py merges. A program writes the values of its slices; medians, spread, ratios and
// verdicts are made by bench/results.py, in one place for all suites. Needs neither MPI nor libssi.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace ssi::bench {

struct Settings {
    std::string out;        // part file, written by rank 0
    std::string filter;     // rows whose name lacks it are not measured
    std::string suffix;     // appended to row names: "/net:tcp"
    bool quick = false;
    int rank = 0;           // of MPI programs
    int size = 1;
    std::uint32_t nodes = 0;  // of simulations

    // Short slices, many of them: a shared machine changes its speed while we look.
    int repetitions() const { return quick ? 5 : 31; }
    double slice_seconds() const { return quick ? 0.01 : 0.02; }
    // For rows whose single operations last as long as the scheduler's decisions.
    double long_slice_seconds() const { return quick ? 0.03 : 0.09; }
    bool wants(std::string_view row) const { return row.find(filter) != std::string_view::npos; }
};

// Nanoseconds since some instant; 20-30 ns a call.
double now_ns();
// Time stamps for single operations: the cycle counter where there is one.
std::uint64_t ticks();
double ns_per_tick();
// What a pair of ticks() costs by itself, in ticks; single-operation times are given without it.
double tick_overhead();

struct Percentiles {
    double p50 = 0, p99 = 0;
};
// Sorts `samples_ticks`.
Percentiles percentiles(std::vector<double>& samples_ticks);

struct Row {
    std::string name;
    std::string unit = "ns";
    std::vector<double> slices;          // per operation, in `unit`
    std::string floor;                   // name of the row it is compared with, if any
    std::vector<double> floor_slices;    // floor_slices[i] was measured next to slices[i]
    Percentiles percentiles;
    std::uint64_t iterations = 0;        // operations in all slices
    double items_per_operation = 0;      // > 0: items_per_second is derived
    double bytes_per_operation = 0;      // > 0: bytes_per_second is derived
    std::map<std::string, double> counters;
    std::string note;
};

// The rows and context of one program. Lives on every rank; only rank 0's is written.
class Report {
public:
    explicit Report(Settings settings) : settings_(std::move(settings)) {}
    void add(Row row);
    void context(const std::string& key, const std::string& value) { context_[key] = value; }
    void write() const;

private:
    Settings settings_;
    std::vector<Row> rows_;
    std::map<std::string, std::string> context_;
};

// Arguments of a program: --out, --filter, --suffix, --quick, --nodes. Throws on anything else.
Settings parse(int argc, char** argv);
[[noreturn]] void wrong_data(const std::string& what);

}  // namespace ssi::bench
