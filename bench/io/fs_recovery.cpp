// SPDX-License-Identifier: BSD-3-Clause
// A volume of 1 GiB in 100,000 files whose process died: how long the next mount takes, with the
// check of the tree. A kill is a disk that does nothing any more, in front of the real one. One
// rank.
#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "fs_bench.hpp"
#include "ssi/io/faulty_disk.hpp"
#include "ssi/io/libaio_disk.hpp"

namespace ssi::bench {
namespace {

constexpr std::uint64_t directories = 100, files_of_directory = 1000;
constexpr std::size_t bytes_of_file = (1u << 30) / (directories * files_of_directory);

// The volume's disk of one life, and the real one behind it.
struct Mortal {
    std::unique_ptr<io::Disk> below;
    io::FaultyDisk* faulty = nullptr;
};

std::unique_ptr<fs::FileSystem> mount(Session& session, const std::string& directory,
                                      Mortal& disk) {
    fs::Options options;
    options.volumes.directories = {directory};
    options.cache_bytes = 128u << 20;
    options.volumes.open_disk =
        [&disk](const std::string& path) -> Result<std::unique_ptr<io::Disk>> {
        auto below = io::make_libaio_disk(path);
        if (!below) return below;
        disk.below = std::move(*below);
        auto faulty = io::make_faulty_disk(*disk.below);
        disk.faulty = faulty.get();
        return Result<std::unique_ptr<io::Disk>>(std::move(faulty));
    };
    return value_or_throw(fs::FileSystem::mount(session, std::move(options)));
}

// One life of the process: what it had in memory ends with it.
struct Life {
    explicit Life(const std::string& directory)
        : session(open_session()), begun(now_ns()), system(mount(session, directory, disk)),
          mounted(now_ns()) {}
    void kill() { disk.faulty->set_plan({.fail_at = 1, .fail_after = true}); }

    Session session;
    Mortal disk;                       // outlives the volume on it
    double begun;
    std::unique_ptr<fs::FileSystem> system;
    double mounted;
};

std::string path_of(std::uint64_t directory) { return "/d" + std::to_string(directory); }

void fill(fs::FileSystem& system) {
    const auto store = iobench::make_kdfs_store(system);
    for (std::uint64_t d = 0; d < directories; ++d) {
        store->make_directory(path_of(d));
        iobench::SmallFiles files(*store, path_of(d), bytes_of_file);
        for (std::uint64_t i = 0; i < files_of_directory; ++i) files.create(i);
    }
    store->sync_all();
}

// Some of the files are read, as they were made.
void look(fs::FileSystem& system) {
    const auto store = iobench::make_kdfs_store(system);
    for (std::uint64_t d = 0; d < directories; d += 7) {
        iobench::SmallFiles files(*store, path_of(d), bytes_of_file);
        for (std::uint64_t i = 0; i < files_of_directory; i += 97) files.read(i);
    }
    check(value_or_throw(system.space()).inodes == 1 + directories * (1 + files_of_directory),
          "find all files again");
}

void run(const Settings& settings, Report& report) {
    if (settings.size != 1) throw std::runtime_error("recovery: needs 1 rank");
    const Directory directory;
    const std::string volume = directory.path() + "/volume";
    std::filesystem::create_directory(volume);
    // That its disk has died is an error that a session tells of.
    ::setenv("SSI_LOG_LEVEL", "off", 0);
    auto life = std::make_unique<Life>(volume);
    fill(*life->system);
    Row row{.name = "io/recovery_100k"};
    for (int i = 0; i < (settings.quick ? 2 : 5); ++i) {
        life->kill();
        life.reset();
        life = std::make_unique<Life>(volume);
        row.slices.push_back(life->mounted - life->begun);
        look(*life->system);
    }
    std::vector<double> sorted = row.slices;
    std::ranges::sort(sorted);
    row.iterations = row.slices.size();
    row.counters["seconds"] = sorted[sorted.size() / 2] * 1e-9;
    row.note = "a mount after a kill: 1 GiB in 100,000 files; some read and checked";
    report.add(std::move(row));
    value_or_throw(life->system->close());
    life->system.reset();
    value_or_throw(life->session.close());
}

}  // namespace
}  // namespace ssi::bench

int main(int argc, char** argv) { return ssi::bench::run_program(argc, argv, ssi::bench::run); }
