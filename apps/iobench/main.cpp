// SPDX-License-Identifier: BSD-3-Clause
// iobench: patterns of IOR and mdtest on kDFS, or on a directory of the machine.
#include <fmt/core.h>

#include "application.hpp"
#include "support/program.hpp"
#include "support/volume_names.hpp"

namespace {

using iobench::Options;

// Whatever fails on one rank ends them all: the others would wait for it.
int run(ssi::Session& session, const Options& options) {
    std::unique_ptr<ssi::fs::FileSystem> system;
    std::unique_ptr<iobench::Store> store;
    std::string name = options.posix;
    if (options.posix.empty()) {
        ssi::fs::Options mounting;
        mounting.volumes.directories =
            support::volumes_of(options.volumes, session.rank(), session.size(), true);
        mounting.cache_bytes = options.cache_bytes;
        system = ssi::value_or_throw(ssi::fs::FileSystem::mount(session, std::move(mounting)));
        const std::size_t volumes = system->volumes().volumes().size();
        name = fmt::format("kDFS on {} volume{}", volumes, volumes == 1 ? "" : "s");
        store = iobench::make_kdfs_store(*system);
    } else {
        store = iobench::make_posix_store(options.posix);
    }
    iobench::Report report = iobench::run_patterns(session, *store, options);
    report.system = name;
    store.reset();
    if (system) ssi::value_or_throw(system->close());
    system.reset();
    return support::print_report(
        session, "iobench", [&] { return options.json ? report.json() : report.text(); });
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    support::Program program;
    program.name = "iobench";
    program.parse = [&](int count, char** arguments) -> std::optional<support::Leave> {
        auto parsed = iobench::parse(count, arguments);
        if (!parsed) return parsed.error();
        options = *parsed;
        return std::nullopt;
    };
    program.run = [&](ssi::Session& session) { return run(session, options); };
    program.does_not_fit = "out of memory: use a smaller --transfer or --cache";
    support::run_program(program, argc, argv);
}
