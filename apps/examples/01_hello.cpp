// SPDX-License-Identifier: BSD-3-Clause
// Every process of `mpirun -n 4 01_hello` is a node of one session: each writes a line into the
// same shared object, and the first one prints them all.
#include <ssi/ssi.hpp>

#include <cstdio>
#include <cstdlib>

struct Line {
    char text[80];
};

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    auto lines = session.set<Line>("hello");
    {
        auto mine = lines.grab(static_cast<std::uint64_t>(session.rank()));
        std::snprintf(mine->text, sizeof mine->text, "hello from node %d of %d", session.rank(),
                      session.size());
    }  // the scope ends: the line is everybody's
    session.barrier();
    for (int rank = 0; session.rank() == 0 && rank < session.size(); ++rank)
        std::puts(lines.get(static_cast<std::uint64_t>(rank))->text);
    return EXIT_SUCCESS;  // the end of the session waits for all: the first one may still read
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "01_hello: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
