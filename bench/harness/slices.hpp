// SPDX-License-Identifier: BSD-3-Clause
// Slices: how a row of an MPI program is measured: one unmeasured pass over the same bytes, then
// pairs of slices (floor, ours) of at most 100 ms each, in turn, inside one set of ranks. Needs MPI
// only, so that floors run without libssi.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "report.hpp"

namespace ssi::bench {

// One side of a comparison. Every rank calls every function in the same order.
struct Side {
    std::function<void()> prepare;        // untimed, before each slice; may be empty
    // A slice of `operations`; returns its nanoseconds per operation (rank 0's counts). With
    // `samples` it also times each operation, in ticks: that slice is not used for the mean.
    std::function<double(std::uint64_t operations, std::vector<double>* samples)> run;
    std::function<void()> check;          // untimed, after each slice; may be empty
    std::uint64_t most_operations = UINT64_MAX;
    std::uint64_t multiple_of = 1;        // whole passes over a table of so many objects
    double slice_seconds = 0;             // 0: the settings'
    std::uint64_t operations = 0;         // chosen by calibrate()
};

// Chooses how many operations make a slice (the same on every rank), which is also the unmeasured
// first pass over the same bytes.
void calibrate(const Settings& settings, Side& side);
// Calibrates, alternates slices of both and then samples single operations; fills the rows' slices,
// iterations and percentiles. `floor` may be null: then only `ours` is measured.
void alternate(const Settings& settings, Side& ours, Row& row, Side* floor, Row* floor_row);
// The same without calibrate(), for sides that know how many operations make a slice.
void alternate_as_set(const Settings& settings, Side& ours, Row& row, Side* floor, Row* floor_row);

// Waits for all ranks without burning the core: for ranks that sit out a floor's slice.
void sleeping_barrier();
// The same value on every rank: rank 0's.
double from_rank0(double value);
double sum_over_ranks(double value);
double max_over_ranks(double value);

// Starts MPI, parses arguments, runs `body` and writes the part file. An exception that nobody
// catches ends all ranks with exit code 1. `body` returns after it has closed what uses MPI.
int run_program(int argc, char** argv,
                const std::function<void(const Settings&, Report&)>& body);

}  // namespace ssi::bench
