// SPDX-License-Identifier: BSD-3-Clause
// apps/pagerank beside its plain-MPI twin, both in the same ranks on the same R-MAT graph: two
// iterations of the one, two of the other, from the start each time. At the end the ranks are equal
// bit for bit. 2 ranks.
#include <mpi.h>

#include <optional>

#include "cli/options.hpp"
#include "cli/source.hpp"
#include "exchange.hpp"
#include "local_graph.hpp"
#include "mpi_solver.hpp"
#include "ranking.hpp"
#include "table.hpp"

namespace ssi::bench {
namespace {

cli::Options options_of(const Settings& settings) {
    cli::Options options;
    options.input = cli::InputKind::rmat;
    options.rmat_scale = settings.quick ? 16 : 20;
    options.max_iterations = 2;
    options.tolerance = 0;
    return options;
}

void run(const Settings& settings, Report& report, Session& session) {
    const cli::Options options = options_of(settings);
    auto source = cli::Source::open(options, settings.rank == 0);
    if (!source) throw std::runtime_error(source.error().text);
    const graph::Vertex vertices = graph::Vertex{1} << options.rmat_scale;
    source->set_size(vertices, std::uint64_t{vertices} * options.edge_factor);
    auto edges = source->slice(settings.rank, settings.size);
    peers::MpiSolver theirs(options, vertices, edges);
    pagerank::LocalGraph local(session, vertices, options.block_vertices, edges);
    const RealClock clock;
    pagerank::Ranking ours(local, clock);
    pagerank::EdgeExchange exchange(session, local.partition(), "pagerank.edges");
    exchange.send(std::move(edges));
    local.store(exchange);

    Side our_side, their_side;
    our_side.run = [&](std::uint64_t, std::vector<double>*) {
        const auto done = ours.run(options, [](const pagerank::Ranking::Run&) {
            return true;
        });
        return done.seconds * 1e9 / done.iterations;
    };
    their_side.run = [&](std::uint64_t, std::vector<double>*) {
        const auto done = theirs.run();
        return done.seconds * 1e9 / done.iterations;
    };
    our_side.operations = their_side.operations = options.max_iterations;
    Row row{.name = "app/pagerank_rmat"}, floor_row{.name = "peer/mpi_pagerank"};
    alternate_as_set(settings, our_side, row, &their_side, &floor_row);
    const auto our_ranks = ours.all_ranks();
    const auto their_ranks = theirs.gather_ranks();
    if (settings.rank == 0 && our_ranks != their_ranks)
        wrong_data("app/pagerank_rmat and its twin differ");
    for (Row* each : {&row, &floor_row}) {
        each->items_per_operation = static_cast<double>(source->edges());
        each->note = "R-MAT scale " + std::to_string(options.rmat_scale) + "; items are edges";
    }
    report.add(std::move(row));
    report.add(std::move(floor_row));
    session.barrier();
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        if (settings.size != 2) throw std::runtime_error("needs 2 ranks");
        ssi::Session session = open_session();
        if (settings.wants("app/pagerank_rmat") || settings.wants("peer/mpi_pagerank"))
            run(settings, report, session);
        ssi::value_or_throw(session.close());
    });
}
