// SPDX-License-Identifier: BSD-3-Clause
// jacobi: heat spreads over a plate whose blocks live in KDDM sets.
#include "application.hpp"
#include "support/program.hpp"

int main(int argc, char** argv) {
    jacobi::Options options;
    support::Program program;
    program.name = "jacobi";
    program.parse = [&](int count, char** arguments) -> std::optional<support::Leave> {
        auto parsed = jacobi::parse(jacobi::Program::kddm, count, arguments);
        if (!parsed) return parsed.error();
        options = *parsed;
        return std::nullopt;
    };
    program.run = [&](ssi::Session& session) {
        return jacobi::Application(session, options).run();
    };
    program.does_not_fit = "out of memory: the plate does not fit";
    support::run_program(program, argc, argv);
}
