// SPDX-License-Identifier: BSD-3-Clause
// apps/jacobi beside its plain-MPI twin, both in the same ranks: 1 GiB of state each, a step of the
// one, a step of the other. At the end the two plates are equal bit for bit. 2 ranks.
#include <mpi.h>

#include "kddm_plate.hpp"
#include "mpi_plate.hpp"
#include "table.hpp"

namespace ssi::bench {
namespace {

void run(const Settings& settings, Report& report, Session& session) {
    const jacobi::Plate plate =
        settings.quick ? jacobi::Plate{2048, 2048} : jacobi::Plate{8192, 8192};
    constexpr double speed = 0.2;
    std::uint64_t our_steps = 0, their_steps = 0;
    jacobi::KddmPlate ours(session, jacobi::Layout(plate, 512, settings.size), speed);
    ours.start();
    peers::MpiPlate theirs(plate, speed);
    const auto timed_steps = [&](std::uint64_t count, std::uint64_t& done,
                                 const std::function<void()>& step) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = now_ns();
        for (std::uint64_t i = 0; i < count; ++i) step();
        done += count;
        return max_over_ranks(now_ns() - start) / static_cast<double>(count);
    };
    Side our_side, their_side;
    our_side.run = [&](std::uint64_t count, std::vector<double>*) {
        return timed_steps(count, our_steps, [&] { ours.step(); });
    };
    their_side.run = [&](std::uint64_t count, std::vector<double>*) {
        return timed_steps(count, their_steps, [&] { theirs.step(); });
    };
    // A step of so much memory is as long as a slice may be.
    our_side.operations = their_side.operations = 1;
    Row row{.name = "app/jacobi"}, floor_row{.name = "peer/mpi_jacobi"};
    alternate_as_set(settings, our_side, row, &their_side, &floor_row);
    for (; our_steps < their_steps; ++our_steps) ours.step();
    for (; their_steps < our_steps; ++their_steps) theirs.step();
    if (ours.digest() != theirs.digest()) wrong_data("app/jacobi and its twin differ");
    for (Row* each : {&row, &floor_row}) {
        each->items_per_operation = static_cast<double>(plate.cells());
        each->counters["state_bytes"] = 16.0 * static_cast<double>(plate.cells());
    }
    row.note = "blocks of 512 x 512 cells in KDDM sets; items are cell updates";
    floor_row.note = "a band of rows a rank, MPI_Isend and MPI_Irecv";
    report.add(std::move(row));
    report.add(std::move(floor_row));
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        if (settings.size != 2) throw std::runtime_error("needs 2 ranks");
        ssi::Session session = open_session();
        if (settings.wants("app/jacobi") || settings.wants("peer/mpi_jacobi"))
            run(settings, report, session);
        ssi::value_or_throw(session.close());
    });
}
