// SPDX-License-Identifier: BSD-3-Clause
// The plain-MPI twin of apps/jacobi: what a user would write without libssi. Same plate, kernel,
// report and definition of the rate.
#include <fmt/core.h>
#include <mpi.h>

#include <cstdio>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "mpi_plate.hpp"

namespace {

using jacobi::Options;
using jacobi::Report;

void verify(const Options& options, const peers::MpiPlate& plate, bool first, Report& report) {
    if (!first) {
        plate.read([](std::int64_t, std::span<const double>) {});
        return;
    }
    const double begin = MPI_Wtime();
    jacobi::SerialPlate serial(options.plate);
    for (std::uint64_t step = 0; step < options.iterations; ++step) serial.step(options.speed);
    Report::Verification& verification = report.verification.emplace();
    verification.seconds = MPI_Wtime() - begin;
    plate.read([&](std::int64_t row, std::span<const double> cells) {
        verification.difference.look(serial, row, 0, cells);
    });
}

int run(const Options& options, bool first) {
    Report report;
    report.program = "mpi_jacobi";
    report.plate = options.plate;
    report.state_bytes = options.state_bytes();
    report.speed = options.speed;
    report.iterations = options.iterations;
    const double begin = MPI_Wtime();
    peers::MpiPlate plate(options.plate, options.speed);
    report.ranks = report.rank_rows = plate.ranks();
    report.blocks = static_cast<std::uint32_t>(plate.ranks());
    report.block_rows = (options.plate.rows + plate.ranks() - 1) / plate.ranks();
    report.block_cols = options.plate.cols;
    MPI_Barrier(MPI_COMM_WORLD);
    report.build_seconds = MPI_Wtime() - begin;
    const double start = MPI_Wtime();
    for (std::uint64_t step = 0; step < options.iterations; ++step) plate.step();
    const double mine = MPI_Wtime() - start;
    MPI_Allreduce(&mine, &report.seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    report.digest = plate.digest();
    report.change = options.iterations != 0 ? plate.change() : 0;
    if (options.verify) verify(options, plate, first, report);
    if (!first) return 0;
    fmt::print("{}", options.json ? report.json() : report.text());
    return report.verification && !report.verification->passed() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    MPI_Init(&argc, &argv);
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const auto options = jacobi::parse(jacobi::Program::mpi_twin, argc, argv);
    int code = 0;
    if (options) {
        code = run(*options, rank == 0);
        MPI_Bcast(&code, 1, MPI_INT, 0, MPI_COMM_WORLD);
    } else {
        code = options.error().exit_code;
        if (rank == 0) fmt::print(code == 0 ? stdout : stderr, "{}", options.error().text);
    }
    MPI_Finalize();
    return code;
}
