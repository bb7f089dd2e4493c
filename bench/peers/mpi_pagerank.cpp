// SPDX-License-Identifier: BSD-3-Clause
// The plain-MPI twin of apps/pagerank: what a user would write without libssi. Same input, options,
// partition, kernel and definition of the rate.
#include <fmt/core.h>
#include <mpi.h>

#include <cstdio>

#include "cli/checks.hpp"
#include "cli/options.hpp"
#include "cli/report.hpp"
#include "cli/source.hpp"
#include "graph/digest.hpp"
#include "mpi_solver.hpp"

namespace {

int world_rank() {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}

int world_size() {
    int size = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    return size;
}

// Opens the input on rank 0 and tells all its size; false (on every rank) when it cannot be used.
bool agree_on_size(graph::Outcome<cli::Source>& source) {
    std::uint64_t size[2] = {source ? source->vertices() : 0, source ? source->edges() : 0};
    if (!source) fmt::print(stderr, "mpi_pagerank: {}\n", source.error().text);
    MPI_Bcast(size, 2, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    if (size[0] != 0) source->set_size(static_cast<graph::Vertex>(size[0]), size[1]);
    return size[0] != 0;
}

void solve(const cli::Options& options, peers::MpiSolver& solver, cli::Report& report) {
    double seconds = 0;
    std::uint32_t runs = 0;
    while (runs < options.repeat || seconds < options.min_seconds) {
        const auto run = solver.run();
        seconds += run.seconds;
        ++runs;
        report.iterations = run.iterations;
        report.residual = run.residual;
        report.converged = run.converged;
    }
    report.set_time(seconds, runs);
}

int run(const cli::Options& options) {
    const bool first = world_rank() == 0;
    auto source = cli::Source::open(options, first);
    if (!agree_on_size(source)) return 1;
    cli::Report report;
    report.program = "mpi_pagerank";
    report.input = source->description();
    report.notes = source->notes();
    report.ranks = world_size();
    report.vertices = source->vertices();
    report.edges = source->edges();
    const double begin = MPI_Wtime();
    peers::MpiSolver solver(options, source->vertices(), source->slice(world_rank(), world_size()));
    MPI_Barrier(MPI_COMM_WORLD);
    report.build_seconds = MPI_Wtime() - begin;
    report.block_vertices = solver.partition().block_vertices();
    solve(options, solver, report);
    for (const auto& entry : solver.gather_top(options.top))
        report.top.push_back({source->name(entry.vertex), entry.rank});
    const auto ranks = solver.gather_ranks();
    if (!first) return 0;
    report.digest = graph::digest_of(0, ranks);
    if (options.serial || options.verify)
        cli::check(options, source->vertices(), source->whole(), ranks, {}, MPI_Wtime, report);
    fmt::print("{}", options.json ? report.json() : report.text());
    return report.verification && !report.verification->passed() ? 1 : 0;
}

}  // namespace

int main(int argc, char** argv) {
    MPI_Init(&argc, &argv);
    const auto options = cli::parse(cli::Program::mpi_twin, argc, argv);
    int code = 0;
    if (options) {
        code = run(*options);
        MPI_Bcast(&code, 1, MPI_INT, 0, MPI_COMM_WORLD);
    } else {
        code = options.error().exit_code;
        if (world_rank() == 0) fmt::print(code == 0 ? stdout : stderr, "{}", options.error().text);
    }
    MPI_Finalize();
    return code;
}
