// SPDX-License-Identifier: BSD-3-Clause
// pagerank: PageRank and connected components of a graph that lives in KDDM sets.
#include "application.hpp"
#include "cli/options.hpp"
#include "support/program.hpp"

int main(int argc, char** argv) {
    cli::Options options;
    support::Program program;
    program.name = "pagerank";
    program.parse = [&](int count, char** arguments) -> std::optional<support::Leave> {
        auto parsed = cli::parse(cli::Program::kddm, count, arguments);
        if (!parsed) return parsed.error();
        options = *parsed;
        return std::nullopt;
    };
    program.run = [&](ssi::Session& session) {
        return pagerank::Application(session, options).run();
    };
    program.does_not_fit = "out of memory: the graph does not fit";
    support::run_program(program, argc, argv);
}
