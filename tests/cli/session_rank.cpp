// SPDX-License-Identifier: BSD-3-Clause
// A session to be looked into. usage: session_rank [lone]; goes on when the file "go" appears in
// the working directory. Rank 1 holds object 7 of set 'things', rank 0 holds 3 and waits for 7, the
// others wait in a barrier. `lone`: nobody holds anything; rank 0 makes many sets.
#include <ssi/ssi.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

namespace {

void wait_for_go() {
    while (!std::filesystem::exists("go"))
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void say(const char* what) {
    std::printf("%s\n", what);
    std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        ssi::Session session(argc, argv);
        auto things = session.set<std::int64_t>("things", {.count = 100, .placement = "node:0"});
        if (argc > 1 && session.rank() == 0)
            for (int i = 0; i < 100; ++i)
                (void)session.set<std::int64_t>("many" + std::to_string(i), {.count = 1});
        session.barrier();
        if (argc > 1) {
            say("ready");
            wait_for_go();
        } else if (session.rank() == 1) {
            auto held = things.grab(7);
            say("ready");
            wait_for_go();
        } else if (session.rank() == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(200));
            auto first = things.get(3);
            auto wanted = things.grab(7);
        }
        session.barrier();
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        ssi::Session::exit(ssi::error_info(error.code()).exit_code);
    }
    ssi::Session::exit(0);
}
