// SPDX-License-Identifier: BSD-3-Clause
// main() of an application every rank of which is a node of one session.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "support/leave.hpp"
#include "ssi/ssi.hpp"

namespace support {

struct Program {
    std::string name;
    // Reads the command line, without the --ssi-* flags when there is a session. Every rank reads
    // the same and one speaks. Keeps what it read for run().
    std::function<std::optional<Leave>(int argc, char** argv)> parse;
    // Collective; the exit code, the same on every rank.
    std::function<int(ssi::Session& session)> run;
    std::string does_not_fit;   // what is said when memory runs out
};

// Collective: rank 0 prints what `report` gives. The exit code of `code`, which is rank 0's word,
// or that of io when it could not be printed; the same on every rank.
int print_report(ssi::Session& session, const std::string& program,
                 const std::function<std::string()>& report, ssi::Errc code = ssi::Errc::ok);

// Asks for help or version are answered without a session, so that they need no launcher. An error
// is one line on standard error and the error table's exit code. A rank that fails alone leaves at
// once: nothing collective would end, and the others learn of it by its death.
[[noreturn]] void run_program(const Program& program, int argc, char** argv);

}  // namespace support
