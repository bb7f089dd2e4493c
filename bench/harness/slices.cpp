// SPDX-License-Identifier: BSD-3-Clause
#include "slices.hpp"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>

namespace ssi::bench {

double from_rank0(double value) {
    MPI_Bcast(&value, 1, MPI_DOUBLE, 0, MPI_COMM_WORLD);
    return value;
}

double sum_over_ranks(double value) {
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return value;
}

double max_over_ranks(double value) {
    MPI_Allreduce(MPI_IN_PLACE, &value, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    return value;
}

void sleeping_barrier() {
    MPI_Request request;
    MPI_Ibarrier(MPI_COMM_WORLD, &request);
    int done = 0;
    for (;;) {
        MPI_Test(&request, &done, MPI_STATUS_IGNORE);
        if (done) return;
        ::usleep(2000);
    }
}

namespace {

double slice(Side& side, std::vector<double>* samples) {
    if (side.prepare) side.prepare();
    const double ns = side.run(side.operations, samples);
    if (side.check) side.check();
    return ns;
}

}  // namespace

void calibrate(const Settings& settings, Side& side) {
    const double seconds = side.slice_seconds > 0 ? side.slice_seconds : settings.slice_seconds();
    side.operations = std::min<std::uint64_t>(side.most_operations,
                                              std::max<std::uint64_t>(side.multiple_of, 200));
    for (int round = 0; round < 3; ++round) {
        const double ns = std::max(1.0, from_rank0(slice(side, nullptr)));
        const double fitting = seconds * 1e9 / ns;
        // Small first slices see cold code: grow by at most 50 times a round.
        const double grown = std::min(fitting, 50.0 * static_cast<double>(side.operations));
        const auto passes = static_cast<std::uint64_t>(grown) / side.multiple_of;
        side.operations = std::min<std::uint64_t>(
            side.most_operations, side.multiple_of * std::max<std::uint64_t>(
                                      passes, side.multiple_of == 1 ? 50 : 1));
    }
    slice(side, nullptr);
}

void alternate(const Settings& settings, Side& ours, Row& row, Side* floor, Row* floor_row) {
    if (floor) calibrate(settings, *floor);
    calibrate(settings, ours);
    alternate_as_set(settings, ours, row, floor, floor_row);
}

void alternate_as_set(const Settings& settings, Side& ours, Row& row, Side* floor,
                      Row* floor_row) {
    for (int i = 0; i < settings.repetitions(); ++i) {
        if (floor) {
            const double ns = slice(*floor, nullptr);
            row.floor_slices.push_back(ns);
            floor_row->slices.push_back(ns);
            floor_row->iterations += floor->operations;
        }
        row.slices.push_back(slice(ours, nullptr));
        row.iterations += ours.operations;
    }
    std::vector<double> samples;
    slice(ours, &samples);
    row.percentiles = percentiles(samples);
    if (!floor) return;
    row.floor = floor_row->name;
    samples.clear();
    slice(*floor, &samples);
    floor_row->percentiles = percentiles(samples);
    row.counters["floor_p50"] = floor_row->percentiles.p50;
}

namespace {

// Ends all ranks at the throw. Nothing may unwind: destructors that are collective would wait for
// ranks that have not failed.
[[noreturn]] void end_all_ranks() {
    try {
        if (const auto error = std::current_exception()) std::rethrow_exception(error);
        std::fprintf(stderr, "bench: ended\n");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "bench: %s\n", error.what());
    } catch (...) {
        std::fprintf(stderr, "bench: an unknown exception\n");
    }
    MPI_Abort(MPI_COMM_WORLD, 1);
    std::abort();
}

}  // namespace

int run_program(int argc, char** argv,
                const std::function<void(const Settings&, Report&)>& body) {
    int provided = 0;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    std::set_terminate(end_all_ranks);
    Settings settings = parse(argc, argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &settings.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &settings.size);
    ns_per_tick();
    Report report(settings);
    char version[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    MPI_Get_library_version(version, &length);
    report.context("mpi", std::string(version, std::strcspn(version, ",\n")));
    body(settings, report);
    report.write();
    MPI_Finalize();
    return 0;
}

}  // namespace ssi::bench
