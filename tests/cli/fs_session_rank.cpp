// SPDX-License-Identifier: BSD-3-Clause
// A session that has a file system mounted while `ssi fs` looks at it. usage: fs_session_rank DIR
// [none | busy | damaged]; the volume of rank k is DIR/k. Goes on when the file "go" appears in the
// working directory, and then checks the file system. `none`: mounts nothing. `busy`: makes, moves,
// links and removes names meanwhile. `damaged`: a file counts a name too many until then.
#include <ssi/ssi.hpp>

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <thread>

#include "ssi/io/file_system.hpp"
#include "ssi/kddm/engine.hpp"

namespace {

using ssi::value_or_throw;

void wait_for_go(const std::function<void()>& meanwhile) {
    while (!std::filesystem::exists("go")) meanwhile();
}

void disturb(ssi::fs::FileSystem& system, std::mt19937& chance) {
    for (int i = 0; i < 50; ++i) {
        const auto some = [&] {
            return "/busy" + std::to_string(chance() % 2) + "/" + std::to_string(chance() % 200);
        };
        (void)system.open(some(), O_CREAT | O_WRONLY);
        (void)system.rename(some(), some());
        (void)system.link(some(), some());
        (void)system.unlink(some());
    }
}

// Names that the file "by-the-program" counts beside those that it has.
void add_links(ssi::Session& session, ssi::fs::FileSystem& system, std::int64_t links) {
    constexpr std::size_t links_at = 24;
    const auto inode = value_or_throw(system.stat("/by-the-program")).inode;
    auto inodes = value_or_throw(session.internal_engine().open("fs/inodes"));
    value_or_throw(inodes.fetch_add(ssi::ObjectId(inode), static_cast<std::uint64_t>(links),
                                    links_at));
}

void run(ssi::Session& session, const std::string& directory, const std::string& how) {
    std::unique_ptr<ssi::fs::FileSystem> system;
    const bool damaged = how == "damaged" && session.rank() == 0;
    if (how != "none") {
        ssi::fs::Options options;
        options.volumes.directories = {directory + "/" + std::to_string(session.rank())};
        system = value_or_throw(ssi::fs::FileSystem::mount(session, std::move(options)));
        if (session.rank() == 0) {
            auto file = value_or_throw(system->open("/by-the-program", O_CREAT | O_WRONLY));
            const std::string text = "written by the program\n";
            value_or_throw(file.pwrite(std::as_bytes(std::span(text)), 0));
            if (how == "busy")
                for (const char* directory : {"/busy0", "/busy1"})
                    value_or_throw(system->make_directory(directory));
            if (damaged) add_links(session, *system, 6);
        }
    }
    session.barrier();
    if (session.rank() == 0) {
        std::printf("ready\n");
        std::fflush(stdout);
    }
    std::mt19937 chance(static_cast<unsigned>(session.rank()));
    wait_for_go([&] {
        if (how == "busy") disturb(*system, chance);
        else std::this_thread::sleep_for(std::chrono::milliseconds(20));
    });
    session.barrier();
    if (damaged) add_links(session, *system, -6);
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
        run(session, argv[1], argc > 2 ? argv[2] : "");
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        ssi::Session::exit(ssi::error_info(error.code()).exit_code);
    }
    ssi::Session::exit(0);
}
