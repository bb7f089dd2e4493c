// SPDX-License-Identifier: BSD-3-Clause
// usage: session_throws WHO
// The ranks that WHO names (a number, or `all`) throw between two barriers, past their Session.
#include <ssi/ssi.hpp>

#include <cstdio>
#include <string>

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    auto numbers = session.set<std::int64_t>("numbers", {.count = 4});
    session.barrier();
    const std::string who = argc > 1 ? argv[1] : "all";
    if (who == "all" || std::stoi(who) == session.rank()) numbers.get(99);
    session.barrier();
    numbers.fetch_add(0, 1);
    session.barrier();
    std::printf("rank %d came to its end\n", session.rank());
    std::fflush(stdout);
    return 0;
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "caught: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
