// SPDX-License-Identifier: BSD-3-Clause
// What an object costs: one million 8-byte objects, each written once at their home (rank 0); how
// the resident memory grew, without the payload. Fresh memory by its nature; bench/run.py switches
// the warm pool off for this program, because memory touched ahead would hide the growth.
#include <mpi.h>

#include "rss.hpp"
#include "table.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint64_t object_count = 1'000'000;

void run(const Settings& settings, Report& report, Session& session) {
    Row row{.name = "kddm/bytes_per_object"};
    if (!settings.wants(row.name)) return;
    auto set = session.set<std::uint64_t>("bytes_per_object", {.placement = "node:0"});
    double ns = 0;
    if (session.rank() == 0) {
        *set.grab(object_count) = 1;  // the set's own structures are not an object's
        const double before = resident_bytes();
        ns = timed(object_count, nullptr,
                   [&](std::uint64_t i) { *set.grab(i) = value_of(i, 1); });
        const double grown = resident_bytes() - before;
        for (std::uint64_t i = 0; i < object_count; ++i)
            if (*set.get(i) != value_of(i, 1)) wrong_data(row.name);
        const double bytes =
            grown / static_cast<double>(object_count) - sizeof(std::uint64_t);
        row.slices = {ns};
        row.iterations = object_count;
        row.counters["bytes"] = bytes;
        row.note = "real_time is a first write; the warm pool is off";
    }
    session.barrier();
    report.add(std::move(row));
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) {
    using namespace ssi::bench;
    return run_program(argc, argv, [](const Settings& settings, Report& report) {
        ssi::Session session = open_session();
        run(settings, report, session);
        ssi::value_or_throw(session.close());
    });
}
