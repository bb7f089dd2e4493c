// SPDX-License-Identifier: BSD-3-Clause
#include "files.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <initializer_list>

#include "report.hpp"
#include "ssi/io/memory_disk.hpp"

namespace ssi::bench {
namespace {

constexpr Nanoseconds quiet = 50'000;
// Committer and write-back sleep as long: what they do costs nobody who waits.
constexpr std::uint64_t an_hour_ms = 3'600'000;
constexpr std::uint32_t user = 1000;

}  // namespace

std::string name_of(FileVerb verb) {
    switch (verb) {
        case FileVerb::create_cold: return "create_cold";
        case FileVerb::create: return "create";
        case FileVerb::close: return "close";
        case FileVerb::stat_cold: return "stat_cold";
        case FileVerb::stat: return "stat";
        case FileVerb::stat_again: return "stat_again";
        case FileVerb::stat_changed: return "stat_changed";
        case FileVerb::create_watched: return "create_watched";
        case FileVerb::stat_new: return "stat_new";
    }
    return "?";
}

Files::Files(World& world, std::uint32_t volumes)
    : world_(world), volumes_(volumes), systems_(world.size()) {
    world_.expect_tasks_that_stay(quiet);
    mounting_ = world_.run_all([this](std::uint32_t n) { mount(n); });
    // The root belongs to whoever runs this.
    world_.run(0, [this] {
        value_or_throw(at(0).set_attributes("/", {.mode = 0777, .uid = user, .gid = user}));
    });
    for (auto& system : systems_) system->set_credentials({.uid = user, .gid = user});
}

// Not closed: something went wrong, and its tasks never run again.
Files::~Files() {
    for (auto& system : systems_) (void)system.release();
}

void Files::mount(std::uint32_t n) {
    fs::Options options;
    options.cache_bytes = 8u << 20;
    options.commit_ms = options.write_back_ms = an_hour_ms;
    options.volumes.segment_bytes = options.volumes.data_segment_bytes = 256u << 10;
    options.volumes.open_disk = [n](const std::string& name) {
        return Result<std::unique_ptr<io::Disk>>(io::make_memory_disk({.name = name, .seed = n}));
    };
    if (n < volumes_) options.volumes.directories.push_back("disk" + std::to_string(n));
    systems_[n] = value_or_throw(
        fs::FileSystem::mount(world_.node(n), world_.engine(n), std::move(options)));
}

void Files::close() {
    world_.run_all([this](std::uint32_t n) {
        value_or_throw(systems_[n]->close());
        systems_[n].reset();
    });
}

std::uint32_t Files::home_of(std::uint32_t n, std::uint64_t directory) {
    auto buckets = value_or_throw(world_.engine(n).open("fs/buckets"));
    return buckets.home(ObjectId{directory, 0}).value;
}

// Nodes that are not the directory's home. Whoever made it has seen it.
Files::Roles Files::draw(std::uint32_t maker, std::uint32_t home) {
    const auto other_than = [&](std::initializer_list<std::uint32_t> taken) {
        for (;;) {
            const auto n = static_cast<std::uint32_t>(random_.below(world_.size()));
            if (std::ranges::find(taken, n) == taken.end()) return n;
        }
    };
    Roles roles;
    roles.creator = other_than({maker, home});
    roles.reader = other_than({maker, home, roles.creator});
    roles.changer = maker != home ? maker : other_than({home, roles.creator, roles.reader});
    return roles;
}

Cost Files::stat(std::uint32_t n, const std::string& path, std::uint32_t mode) {
    return world_.run(n, [&] {
        const fs::Attributes found = value_or_throw(at(n).stat(path));
        if (!found.is_file() || (found.mode & 07777) != mode) wrong_data("a file's attributes");
    });
}

std::vector<std::pair<FileVerb, Cost>> Files::sample() {
    const auto maker = static_cast<std::uint32_t>(random_.below(volumes_));
    const std::string directory = "/d" + std::to_string(next_directory_++);
    std::uint32_t home = 0;
    world_.run(maker, [&] {
        value_or_throw(at(maker).make_directory(directory));
        home = home_of(maker, value_or_throw(at(maker).stat(directory)).inode);
    });
    const Roles roles = draw(maker, home);
    // Both know the root as it is now, and nothing of the directory.
    for (const std::uint32_t n : {roles.creator, roles.reader})
        world_.run(n, [&] { value_or_throw(at(n).stat("/")); });

    std::vector<std::pair<FileVerb, Cost>> costs;
    const std::string first = directory + "/first", second = directory + "/second",
                      third = directory + "/third";
    fs::File file;
    const auto create = [&](const std::string& path) {
        return world_.run(roles.creator, [&] {
            file = value_or_throw(
                at(roles.creator).open(path, O_CREAT | O_EXCL | O_WRONLY, 0640));
        });
    };
    const auto close = [&] {
        return world_.run(roles.creator, [&] { value_or_throw(file.close()); });
    };
    costs.emplace_back(FileVerb::create_cold, create(first));
    close();
    costs.emplace_back(FileVerb::create, create(second));
    costs.emplace_back(FileVerb::close, close());
    costs.emplace_back(FileVerb::stat_cold, stat(roles.reader, first, 0640));
    costs.emplace_back(FileVerb::stat, stat(roles.reader, second, 0640));
    costs.emplace_back(FileVerb::stat_again, stat(roles.reader, second, 0640));
    world_.run(roles.changer, [&] {
        value_or_throw(at(roles.changer).set_attributes(second, {.mode = 0600}));
    });
    costs.emplace_back(FileVerb::stat_changed, stat(roles.reader, second, 0600));
    costs.emplace_back(FileVerb::create_watched, create(third));
    close();
    costs.emplace_back(FileVerb::stat_new, stat(roles.reader, third, 0640));
    return costs;
}

}  // namespace ssi::bench
