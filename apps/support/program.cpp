// SPDX-License-Identifier: BSD-3-Clause
#include "support/program.hpp"

#include <fmt/core.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>

namespace support {
namespace {

// False when a launcher says that another process is the first one. Only for what is said without a
// session (help, bad settings): launchers that are not listed get one copy a process.
bool is_first_process() {
    for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
        if (const char* rank = std::getenv(variable)) return std::string_view(rank) == "0";
    return true;
}

bool asks_for_help(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "-h" || argument == "--help" || argument == "--version") return true;
    }
    return false;
}

int say(const Leave& leave, bool speaks) {
    if (speaks) fmt::print(leave.exit_code == 0 ? stdout : stderr, "{}", leave.text);
    return leave.exit_code;
}

[[noreturn]] void leave_with(const std::string& name, ssi::Errc code, const std::string& text,
                             std::optional<ssi::Session>& session) {
    const int exit_code = ssi::error_info(code).exit_code;
    if (session)
        fmt::print(stderr, "{}: rank {}: {}\n", name, session->rank(), text);
    else if (code != ssi::Errc::bad_config || is_first_process())
        fmt::print(stderr, "{}: {}\n", name, text);
    std::fflush(nullptr);
    if (code != ssi::Errc::peer_lost && code != ssi::Errc::lost) std::_Exit(exit_code);
    session.reset();   // after a loss it closes without waiting for anybody
    ssi::Session::exit(exit_code);
}

}  // namespace

int print_report(ssi::Session& session, const std::string& program,
                 const std::function<std::string()>& report, ssi::Errc code) {
    if (session.rank() != 0) {
        code = ssi::Errc::ok;
    } else {
        fmt::print("{}", report());
        if (std::fflush(stdout) != 0) {
            fmt::print(stderr, "{}: cannot write the report: {}\n", program, std::strerror(errno));
            code = ssi::Errc::io;
        }
    }
    const auto exit_code = static_cast<std::uint64_t>(ssi::error_info(code).exit_code);
    return static_cast<int>(session.reduce(exit_code, ssi::Reduce::max));
}

void run_program(const Program& program, int argc, char** argv) {
    if (asks_for_help(argc, argv))
        if (const auto leave = program.parse(argc, argv))
            std::exit(say(*leave, is_first_process()));
    std::optional<ssi::Session> session;
    int code = 0;
    try {
        session.emplace(argc, argv);
        if (const auto leave = program.parse(argc, argv))
            code = say(*leave, session->rank() == 0);
        else
            code = program.run(*session);
        ssi::value_or_throw(session->close());
    } catch (const ssi::Error& error) {
        leave_with(program.name, error.code(), error.what(), session);
    } catch (const std::bad_alloc&) {
        leave_with(program.name, ssi::Errc::out_of_memory, program.does_not_fit, session);
    } catch (const std::exception& error) {
        leave_with(program.name, ssi::Errc::internal, error.what(), session);
    }
    session.reset();
    ssi::Session::exit(code);
}

}  // namespace support
