// SPDX-License-Identifier: BSD-3-Clause
// pagerank: PageRank and connected components of a graph that lives in KDDM sets.
#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <optional>
#include <string_view>

#include "application.hpp"
#include "cli/options.hpp"
#include "ssi/ssi.hpp"

namespace {

// False when a launcher says that another process is the first one. Only for what is said without a
// session (help, bad settings): launchers that are not listed get one copy a process.
bool is_first_process() {
    for (const char* variable : {"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"})
        if (const char* rank = std::getenv(variable)) return std::string_view(rank) == "0";
    return true;
}

int say(const cli::Leave& leave, bool speaks) {
    if (speaks) fmt::print(leave.exit_code == 0 ? stdout : stderr, "{}", leave.text);
    return leave.exit_code;
}

int run(ssi::Session& session, int argc, char** argv) {
    const auto options = cli::parse(cli::Program::kddm, argc, argv);
    // Every rank parses the same; one speaks.
    if (!options) return say(options.error(), session.rank() == 0);
    return pagerank::Application(session, *options).run();
}

// After a loss the session closes without waiting for anybody. After any other failure of this rank
// alone nothing collective would end: the others learn of it by its death.
[[noreturn]] void leave_with(ssi::Errc code, const std::string& text,
                             std::optional<ssi::Session>& session) {
    const int exit_code = ssi::error_info(code).exit_code;
    if (session)
        fmt::print(stderr, "pagerank: rank {}: {}\n", session->rank(), text);
    else if (code != ssi::Errc::bad_config || is_first_process())
        fmt::print(stderr, "pagerank: {}\n", text);
    std::fflush(nullptr);
    if (code != ssi::Errc::peer_lost && code != ssi::Errc::lost) std::_Exit(exit_code);
    session.reset();
    ssi::Session::exit(exit_code);
}

}  // namespace

int main(int argc, char** argv) {
    if (cli::asks_for_help(argc, argv)) {
        const auto options = cli::parse(cli::Program::kddm, argc, argv);
        if (!options) return say(options.error(), is_first_process());
    }
    std::optional<ssi::Session> session;
    int code = 0;
    try {
        session.emplace(argc, argv);
        code = run(*session, argc, argv);
        ssi::value_or_throw(session->close());
    } catch (const ssi::Error& error) {
        leave_with(error.code(), error.what(), session);
    } catch (const std::bad_alloc&) {
        leave_with(ssi::Errc::out_of_memory, "out of memory: the graph does not fit", session);
    } catch (const std::exception& error) {
        leave_with(ssi::Errc::internal, error.what(), session);
    }
    session.reset();
    ssi::Session::exit(code);
}
