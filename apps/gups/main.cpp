// SPDX-License-Identifier: BSD-3-Clause
// gups: random updates of a table that lives in a KDDM set.
#include <fmt/core.h>

#include <algorithm>
#include <cstdio>

#include "cli/options.hpp"
#include "cli/report.hpp"
#include "kddm_table.hpp"
#include "ssi/base/clock.hpp"
#include "support/memory_need.hpp"
#include "support/program.hpp"
#include "support/progress.hpp"
#include "support/statistics.hpp"

namespace {

using gups::Options;

// An object's entry in the tables of its home; see kddm/bytes_per_object.
constexpr double entry_bytes = 128;

bool fits(ssi::Session& session, const Options& options) {
    const auto host = support::this_host(session);
    const double words = static_cast<double>(options.words) * host.ranks / session.size();
    double bytes = words * 8 + words * 8 / options.object_bytes * entry_bytes;
    if (options.verify) bytes += words * 8;
    bool good = true;
    const std::string problem = support::memory_problem(
        session, host, bytes, "the table", "use more hosts or a smaller table", good);
    if (!problem.empty()) fmt::print(stderr, "gups: {}\n", problem);
    return good;
}

std::uint64_t updates_of(const Options& options, int ranks) {
    if (options.updates != 0) return options.updates;
    return std::max<std::uint64_t>(1, 4 * options.words / static_cast<std::uint64_t>(ranks));
}

// This rank's seconds until its updates are done.
double update_all(ssi::Session& session, const Options& options, gups::KddmTable& table,
                  std::uint64_t updates) {
    const ssi::RealClock clock;
    support::Progress progress("gups", session.rank() == 0, options.progress, clock);
    gups::Stream stream(options.seed, session.rank(), options.words);
    session.barrier();
    const ssi::Nanoseconds begin = clock.now();
    const auto seconds = [&] { return static_cast<double>(clock.now() - begin) * 1e-9; };
    constexpr std::uint64_t run = 1 << 14;   // updates between looks at the clock
    for (std::uint64_t done = 0; done < updates;) {
        const std::uint64_t stop = std::min(updates, done + run);
        while (done < stop) {
            const std::uint64_t held = std::min(stop, done + gups::most_held_back);
            for (; done < held; ++done) table.update(stream.next());
            table.flush();
        }
        progress.update([&] {
            return fmt::format("{:.0f} % done, {:.3f} M updates/s a rank",
                               100.0 * static_cast<double>(done) / static_cast<double>(updates),
                               static_cast<double>(done) / seconds() / 1e6);
        });
    }
    return seconds();
}

int run(ssi::Session& session, const Options& options) {
    if (!fits(session, options)) return ssi::error_info(ssi::Errc::out_of_memory).exit_code;
    gups::KddmTable table(session, "gups.table", options.words, options.object_bytes);
    const std::uint64_t updates = updates_of(options, session.size());
    gups::Report report;
    report.program = "gups";
    report.method = "add, buffered";
    report.words = options.words;
    report.ranks = session.size();
    report.updates = updates * static_cast<std::uint64_t>(session.size());
    report.object_bytes = options.object_bytes;
    report.seconds =
        session.reduce(update_all(session, options, table, updates), ssi::Reduce::max);
    if (options.verify)
        report.wrong_words =
            session.reduce(table.wrong_words(options.seed, updates), ssi::Reduce::sum);
    report.kddm = {support::sum_over_ranks(session, table.set())};
    ssi::Errc code = ssi::Errc::ok;
    if (report.wrong_words.value_or(0) != 0) code = ssi::Errc::mismatch;
    return support::print_report(
        session, "gups", [&] { return options.json ? report.json() : report.text(); }, code);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    support::Program program;
    program.name = "gups";
    program.parse = [&](int count, char** arguments) -> std::optional<support::Leave> {
        auto parsed = gups::parse(gups::Program::kddm, count, arguments);
        if (!parsed) return parsed.error();
        options = *parsed;
        return std::nullopt;
    };
    program.run = [&](ssi::Session& session) { return run(session, options); };
    program.does_not_fit = "out of memory: the table does not fit";
    support::run_program(program, argc, argv);
}
