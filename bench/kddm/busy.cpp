// SPDX-License-Identifier: BSD-3-Clause
// get from a home whose core computes and whose program never calls us, beside the wake of a thread
// by an eventfd under the same conditions. 2 ranks.
#include <mpi.h>

#include "table.hpp"
#include "wake_floor.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint32_t table_size = 50'000;

void run(const Settings& settings, Report& report, Session& session) {
    Row row{.name = "kddm/get_remote_busy"};
    Row floor_row{.name = "floor/wake_busy"};
    if (!settings.wants(row.name) && !settings.wants(floor_row.name)) return;
    const bool lead = session.rank() == 0;
    WakeFloor wakes;
    Side floor;
    floor.slice_seconds = settings.long_slice_seconds();
    floor.run = [&](std::uint64_t count, std::vector<double>* samples) {
        MPI_Barrier(MPI_COMM_WORLD);
        if (!lead) {
            wakes.compute();
            return 0.0;
        }
        linger();
        const double ns = wakes.wake(count, samples);
        wakes.finish();
        return ns;
    };

    RemoteTable<std::uint64_t> table(session, row.name, 1, table_size);
    std::uint64_t stamp = 0, wrong = 0, operations = 0;
    Side ours;
    ours.most_operations = table_size;
    ours.slice_seconds = settings.long_slice_seconds();
    ours.prepare = [&] {
        ++stamp;
        if (!lead) table.take_back(ours.operations, 0, stamp);
        session.barrier();
    };
    ours.run = [&](std::uint64_t count, std::vector<double>* samples) {
        if (!lead) {
            wakes.compute();
            return 0.0;
        }
        linger();
        const double ns = timed(count, samples, [&](std::uint64_t i) {
            wrong += *table.set().get(table.id(i)) != value_of(table.id(i), stamp);
        });
        operations += count;
        wakes.finish();
        return ns;
    };
    ours.check = [&] {
        if (wrong != 0) wrong_data(row.name);
    };
    alternate(settings, ours, row, &floor, &floor_row);
    if (lead)
        row.counters["requests_per_operation"] =
            static_cast<double>(table.set().stats().remote_gets) /
            static_cast<double>(operations);
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
        run(settings, report, session);
        ssi::value_or_throw(session.close());
    });
}
