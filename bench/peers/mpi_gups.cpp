// SPDX-License-Identifier: BSD-3-Clause
// The plain-MPI peers of apps/gups: the same table, updates and definition of the rate.
#include <fmt/core.h>
#include <mpi.h>

#include <cstdio>
#include <exception>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "mpi_table.hpp"

namespace {

using gups::Options;

std::unique_ptr<peers::Table> make_table(const Options& options) {
    switch (options.mode) {
        case gups::Mode::accumulate: return peers::accumulate_table(options.words, options.batch);
        case gups::Mode::shm: return peers::shared_table(options.words);
        case gups::Mode::alltoallv: return peers::exchange_table(options.words, options.batch);
    }
    return nullptr;
}

int run(const Options& options, int rank) {
    int size = 1;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    std::uint64_t updates = options.updates;
    if (updates == 0)
        updates =
            std::max<std::uint64_t>(1, 4 * options.words / static_cast<std::uint64_t>(size));
    const auto table = make_table(options);
    gups::Report report;
    report.program = "mpi_gups";
    report.method = table->method();
    report.words = options.words;
    report.ranks = size;
    report.updates = updates * static_cast<std::uint64_t>(size);
    gups::Stream stream(options.seed, rank, options.words);
    MPI_Barrier(MPI_COMM_WORLD);
    const double begin = MPI_Wtime();
    table->update(stream, updates);
    const double mine = MPI_Wtime() - begin;
    MPI_Allreduce(&mine, &report.seconds, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
    if (options.verify) report.wrong_words = table->wrong_words(options.seed, updates);
    if (rank == 0) fmt::print("{}", options.json ? report.json() : report.text());
    return report.wrong_words.value_or(0) == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
    MPI_Init(&argc, &argv);
    int rank = 0, code = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    const auto options = gups::parse(gups::Program::mpi_peer, argc, argv);
    if (options) {
        try {
            code = run(*options, rank);
        } catch (const std::exception& error) {
            if (rank == 0) fmt::print(stderr, "mpi_gups: {}\n", error.what());
            code = 1;
        }
    } else {
        code = options.error().exit_code;
        if (rank == 0) fmt::print(code == 0 ? stdout : stderr, "{}", options.error().text);
    }
    MPI_Finalize();
    return code;
}
