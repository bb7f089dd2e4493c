// SPDX-License-Identifier: BSD-3-Clause
// get+put of what the node holds, beside an uncontended std::shared_mutex. 2 ranks: rank 0 works,
// rank 1 waits in a session barrier.
#include <mpi.h>

#include <memory>
#include <shared_mutex>

#include "table.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint32_t object_count = 10'000;
constexpr std::uint64_t draws = 1u << 20;

void run(const Settings& settings, Report& report, Session& session) {
    Row row{.name = "kddm/get_put_cached"};
    Row floor_row{.name = "floor/shared_mutex"};
    if (!settings.wants(row.name) && !settings.wants(floor_row.name)) return;
    // Homed on the other node: what is measured is the cache, not the home.
    RemoteTable<std::uint64_t> table(session, row.name, 1, object_count);
    const bool lead = session.rank() == 0;
    if (!lead) table.take_back(object_count, 0, 1);
    session.barrier();
    if (lead) table.read_all(object_count, 1);

    std::vector<std::uint32_t> picks(draws);
    std::vector<std::uint64_t> values(object_count);
    Random random(1);
    for (auto& pick : picks) pick = static_cast<std::uint32_t>(random.below(object_count));
    for (std::uint32_t i = 0; i < object_count; ++i) values[i] = value_of(i, 1);

    std::shared_mutex mutex;
    Side floor;
    floor.run = [&](std::uint64_t count, std::vector<double>* samples) {
        double ns = 0;
        if (lead)
            ns = timed(count, samples, [&](std::uint64_t) {
                mutex.lock_shared();
                mutex.unlock_shared();
            });
        session.barrier();
        return ns;
    };
    std::uint64_t wrong = 0;
    Side ours;
    ours.run = [&](std::uint64_t count, std::vector<double>* samples) {
        double ns = 0;
        auto& set = table.set();
        if (lead) {
            linger();
            ns = timed(count, samples, [&](std::uint64_t i) {
                const std::uint32_t id = picks[i % draws];
                wrong += *set.get(id) != values[id];
            });
        }
        session.barrier();
        return ns;
    };
    ours.check = [&] {
        if (wrong != 0) wrong_data(row.name);
    };
    const std::uint64_t misses_before = table.set().stats().remote_gets;
    alternate(settings, ours, row, &floor, &floor_row);
    row.counters["misses"] =
        static_cast<double>(table.set().stats().remote_gets - misses_before);
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
