// SPDX-License-Identifier: BSD-3-Clause
// usage: fs_lock_rank DIR bytes|whole|home
// Rank 2 of 3 has locks of files, for which ranks 0 and 1 wait, and is killed by its own hand.
//   bytes, whole   the file is at home at rank 0, the only one with a volume: both get their lock
//   home           the file is at home at rank 2: both are told that its locks are lost
// A line for each wait: "got it", or the name of the error; then whether the locks of the living
// still hold each other off.
#include <ssi/io/file_system.hpp>
#include <ssi/ssi.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <thread>

namespace {

using ssi::fs::ByteLock;
using ssi::fs::LockKind;

void tell(const char* what, const ssi::Result<void>& result) {
    std::printf("%s: %s\n", what,
                result ? "got it" : ssi::error_info(result.error().code).name);
    std::fflush(stdout);
}

ssi::Result<void> lock(ssi::fs::File& file, bool whole, const ssi::fs::LockWait& wait = {}) {
    if (whole) return file.lock_whole(LockKind::exclusive, wait);
    return file.lock({.kind = LockKind::exclusive, .offset = 10, .length = 10}, wait);
}

}  // namespace

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    if (argc != 3) return 2;
    const std::string role = argv[2];
    const bool whole = role == "whole";
    ssi::fs::Options options;
    if (session.rank() == (role == "home" ? 2 : 0))
        options.volumes.directories = {std::string(argv[1]) + "/volume"};
    auto system = ssi::value_or_throw(ssi::fs::FileSystem::mount(session, options));
    if (session.rank() == 0) ssi::value_or_throw(system->open("/f", O_CREAT | O_RDWR));
    session.barrier();
    auto file = ssi::value_or_throw(system->open("/f", O_RDWR));
    auto kept = ssi::value_or_throw(system->open("/f", O_RDWR));
    const bool victim = session.rank() == 2;
    const auto mine = static_cast<std::uint64_t>(session.rank());
    ssi::value_or_throw(kept.lock({.offset = 100 + mine, .length = 1, .owner = 5}));
    if (victim) ssi::value_or_throw(lock(file, whole));
    session.barrier();
    if (victim) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1000));
        std::raise(SIGKILL);
    }
    const auto taken = lock(file, whole, {.timeout = 0});
    tell("try", taken);   // before the death
    tell("wait", lock(file, whole));
    if (role != "home") {
        const ByteLock others{.offset = 101 - mine, .length = 1};   // of the other survivor
        tell("a survivor's", kept.try_lock(others));
        tell("the victim's", kept.try_lock({.kind = LockKind::shared, .offset = 102, .length = 1}));
        ssi::value_or_throw(whole ? file.unlock_whole() : file.unlock({}));
        // The other one waits for mine: let it come first, then leave without good-bye.
        std::this_thread::sleep_for(std::chrono::milliseconds(1500));
    }
    ssi::Session::exit(0);
} catch (const ssi::Error& error) {
    std::fprintf(stderr, "caught: %s\n", error.what());
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
