// SPDX-License-Identifier: BSD-3-Clause
// Random updates of a table on both nodes: one call an update in ours, beside what plain MPI has
// for it. Every table is verified word by word. 2 ranks; OMPI_MCA_osc names the component.
#include <mpi.h>

#include "kddm_table.hpp"
#include "mpi_table.hpp"
#include "table.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint64_t seed = 1;
constexpr std::uint64_t batch = 1024;   // what HPC Challenge allows a rank to hold back
constexpr std::uint32_t object_bytes = 65536;

// 8 MiB a rank: larger than L2.
std::uint64_t word_total(const Settings& settings) {
    return (std::uint64_t{1} << 20) * static_cast<std::uint64_t>(settings.size);
}

// A table with its stream: the same for ours and for theirs.
template <class Updates>
Side side_of(gups::Stream& stream, std::uint64_t& done, Updates updates) {
    Side side;
    side.run = [&stream, &done, updates](std::uint64_t count, std::vector<double>*) {
        MPI_Barrier(MPI_COMM_WORLD);
        const double start = now_ns();
        updates(stream, count);
        done += count;
        return max_over_ranks(now_ns() - start) / static_cast<double>(count);
    };
    return side;
}

void peer_alone(const Settings& settings, Report& report, const std::string& name,
                std::unique_ptr<peers::Table> table) {
    gups::Stream stream(seed, settings.rank, word_total(settings));
    std::uint64_t done = 0;
    Side side = side_of(stream, done, [&](gups::Stream& updates, std::uint64_t count) {
        table->update(updates, count);
    });
    side.multiple_of = batch;
    Row row{.name = name};
    row.items_per_operation = settings.size;
    row.note = table->method();
    alternate(settings, side, row, nullptr, nullptr);
    if (table->wrong_words(seed, done) != 0) wrong_data(name);
    report.add(std::move(row));
}

void ours_and_accumulate(const Settings& settings, Report& report, Session& session) {
    Row row{.name = "kddm/gups"}, floor_row{.name = "peer/mpi_gups_accumulate"};
    if (!settings.wants(row.name) && !settings.wants(floor_row.name)) return;
    const std::uint64_t words = word_total(settings);
    gups::KddmTable table(session, "bench.gups", words, object_bytes);
    const auto theirs = peers::accumulate_table(words, batch);
    gups::Stream stream(seed, settings.rank, words), their_stream = stream;
    std::uint64_t done = 0, their_done = 0;
    Side ours = side_of(stream, done, [&](gups::Stream& updates, std::uint64_t count) {
        for (std::uint64_t i = 0; i < count;) {
            const std::uint64_t held = std::min(count, i + batch);
            for (; i < held; ++i) table.update(updates.next());
            table.flush();
        }
        session.barrier();
    });
    Side floor = side_of(their_stream, their_done, [&](gups::Stream& updates, std::uint64_t count) {
        theirs->update(updates, count);
    });
    floor.multiple_of = batch;
    alternate(settings, ours, row, &floor, &floor_row);
    session.barrier();
    if (table.wrong_words(seed, done) != 0) wrong_data(row.name);
    if (theirs->wrong_words(seed, their_done) != 0) wrong_data(floor_row.name);
    for (Row* each : {&row, &floor_row}) each->items_per_operation = settings.size;
    row.note = "one buffered add an update, flushed every 1,024; objects of 64 KiB";
    floor_row.note = theirs->method();
    report.add(std::move(row));
    report.add(std::move(floor_row));
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        ssi::Session session = open_session();
        ours_and_accumulate(settings, report, session);
        if (settings.wants("peer/mpi_gups_shm"))
            peer_alone(settings, report, "peer/mpi_gups_shm",
                       peers::shared_table(word_total(settings)));
        if (settings.wants("peer/mpi_gups_alltoallv"))
            peer_alone(settings, report, "peer/mpi_gups_alltoallv",
                       peers::exchange_table(word_total(settings), batch));
        ssi::value_or_throw(session.close());
    });
}
