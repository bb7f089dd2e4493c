// SPDX-License-Identifier: BSD-3-Clause
// A session that has a file system mounted while `ssi fs` looks at it. usage: fs_session_rank DIR
// [none]; the volume of rank k is DIR/k. Goes on when the file "go" appears in the working
// directory, and then checks the file system. `none`: mounts nothing.
#include <ssi/ssi.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string>
#include <thread>

#include "ssi/io/file_system.hpp"

namespace {

using ssi::value_or_throw;

void wait_for_go() {
    while (!std::filesystem::exists("go"))
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

void run(ssi::Session& session, const std::string& directory, bool mounts) {
    std::unique_ptr<ssi::fs::FileSystem> system;
    if (mounts) {
        ssi::fs::Options options;
        options.volumes.directories = {directory + "/" + std::to_string(session.rank())};
        system = value_or_throw(ssi::fs::FileSystem::mount(session, std::move(options)));
        if (session.rank() == 0) {
            auto file = value_or_throw(system->open("/by-the-program", O_CREAT | O_WRONLY));
            const std::string text = "written by the program\n";
            value_or_throw(file.pwrite(std::as_bytes(std::span(text)), 0));
        }
    }
    session.barrier();
    if (session.rank() == 0) {
        std::printf("ready\n");
        std::fflush(stdout);
    }
    wait_for_go();
    session.barrier();
    if (!system) return;
    const auto report = value_or_throw(system->check());
    if (session.rank() == 0)
        std::printf("checked: %llu problems\n", static_cast<unsigned long long>(report.problems));
    value_or_throw(system->close());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        ssi::Session session(argc, argv);
        run(session, argv[1], argc == 2);
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        ssi::Session::exit(ssi::error_info(error.code()).exit_code);
    }
    ssi::Session::exit(0);
}
