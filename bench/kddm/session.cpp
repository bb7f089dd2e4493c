// SPDX-License-Identifier: BSD-3-Clause
// How long a session takes to start, and what an idle one occupies. One value of each per run:
// bench/run.py starts it several times. MPI is up before, as in rss_bare.
#include <mpi.h>
#include <unistd.h>

#include "slices.hpp"
#include "rss.hpp"
#include "ssi/base/config.hpp"
#include "table.hpp"

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = now_ns();
        ssi::Session session = open_session();
        const double took = now_ns() - start;
        session.barrier();
        Row start_row{.name = "node/start_time", .unit = "ms"};
        start_row.slices = {max_over_ranks(took) / 1e6};
        start_row.iterations = 1;
        start_row.note = "MPI already up; " + std::to_string(settings.size) + " ranks";
        sleeping_barrier();
        ::sleep(1);
        Row rss_row{.name = "raw/rss_session", .unit = "bytes"};
        rss_row.slices = {max_over_ranks(resident_bytes())};
        rss_row.iterations = 1;
        rss_row.counters["warm_bytes"] =
            static_cast<double>(session.config().integer("arena.warm_bytes"));
        if (settings.size == 4) report.add(std::move(start_row));
        report.add(std::move(rss_row));
        sleeping_barrier();
        ssi::value_or_throw(session.close());
    });
}
