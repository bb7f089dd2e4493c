// SPDX-License-Identifier: BSD-3-Clause
// usage: mpirun -n N fs_rank EVENTS DIRECTORIES SEED
//
// One rank of the kill test of kDFS. It mounts its directories; rank 0 checks the tree and tells
// what is in it; then each rank makes, writes, syncs, renames and removes files of its own, in
// directories that others made a moment before, until an operation fails: with that error's exit
// code. A file has blocks of 4 KiB, each with the file's number, a stamp and a checksum. What it
// does stands in EVENTS/<rank>.events, in lines that outlive it:
//     F file path stamps...    found at the start; stamps by block, 0 for one of zeroes
//     W file block stamp       about to write
//     S file stamp path        synced: all of its blocks written up to that stamp, at that path
//     M file path              about to rename it to (or make it at) that path
//     R file                   about to remove
//     E                        all was found
//     X text                   something that must not be
#include <fcntl.h>

#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "events.hpp"
#include "rank_directories.hpp"
#include "ssi/base/random.hpp"
#include "ssi/base/result.hpp"
#include "ssi/io/file_system.hpp"
#include "ssi/kddm/session.hpp"

namespace {

namespace fs = ssi::fs;
using ssi::test::Events;

constexpr std::size_t block_bytes = 4096;
constexpr std::size_t most_blocks = 40;
constexpr std::size_t most_files = 30;          // of a rank
constexpr int directories = 12;

struct Block {
    std::uint64_t file, stamp, index, checksum;
    std::uint64_t filling[block_bytes / 8 - 4];
    static Block of(std::uint64_t file, std::uint64_t index, std::uint64_t stamp) {
        Block b{file, stamp, index, 0, {}};
        std::uint64_t state = ssi::mix64(file * 977 + index * 31 + stamp);
        b.checksum = state;
        for (std::uint64_t& word : b.filling) word = state = ssi::mix64(state);
        return b;
    }
};
static_assert(sizeof(Block) == block_bytes);

struct Mine {
    std::string path;
    std::size_t blocks = 0;
};

class Player {
public:
    Player(ssi::Session& session, fs::FileSystem& system, Events& events, std::uint64_t seed)
        : session_(session), fs_(system), events_(events),
          random_(seed + static_cast<std::uint64_t>(session.rank())) {}

    void look() {
        if (session_.rank() == 0) {
            const auto names = ssi::value_or_throw(fs_.list("/"));
            for (const auto& d : names) look_at("/" + d.name);
            events_.tell("E");
            for (std::size_t i = 200; i < old_.size(); ++i) {   // or the tree grows for ever
                events_.tell(fmt::format("R {}", old_[i].first));
                ssi::value_or_throw(fs_.unlink(old_[i].second));
            }
        }
        session_.barrier();
        for (int i = 0; i < directories; ++i) {
            auto made = fs_.make_directory(fmt::format("/d{}", i));
            if (!made && made.error().sys_errno != EEXIST) ssi::value_or_throw(std::move(made));
        }
    }
    void step() {
        const std::uint64_t what = random_.below(100);
        if (files_.empty() || (what < 15 && files_.size() < most_files)) return make();
        auto at = std::next(files_.begin(), static_cast<std::ptrdiff_t>(
                                                random_.below(files_.size())));
        if (what < 55) return write(at->first, at->second);
        if (what < 75) return sync(at->first, at->second);
        if (what < 92) return rename(at->first, at->second);
        remove(at);
    }

private:
    void look_at(const std::string& directory) {
        const auto entries = ssi::value_or_throw(fs_.list(directory, 0, 100'000));
        for (const auto& e : entries) {
            const std::string path = directory + "/" + e.name;
            if (e.type == S_IFDIR)
                look_at(path);
            else
                look_into(path);
        }
    }
    void look_into(const std::string& path) {
        auto file = ssi::value_or_throw(fs_.open(path, O_RDONLY));
        const std::uint64_t size = ssi::value_or_throw(file.stat()).size;
        std::vector<Block> blocks(size / block_bytes);
        ssi::value_or_throw(file.pread(std::as_writable_bytes(std::span(blocks)), 0));
        // The number is in the name; what follows it tells the directories apart.
        const std::string name = path.substr(path.rfind('/') + 1);
        const std::uint64_t number = std::stoull(name.substr(1));
        old_.emplace_back(number, path);
        std::string line = fmt::format("F {} {}", number, path);
        for (std::size_t i = 0; i < blocks.size(); ++i) {
            const Block& b = blocks[i];
            static const Block zero{};
            const bool empty = std::memcmp(&b, &zero, sizeof b) == 0;
            const Block wanted = Block::of(number, i, b.stamp);
            if (!empty && std::memcmp(&b, &wanted, sizeof b) != 0)
                events_.tell(fmt::format("X block {} of {} is torn or another's", i, path));
            line += fmt::format(" {}", empty ? 0 : b.stamp);
        }
        events_.tell(line);
    }

    std::string place(std::uint64_t number) {
        std::string directory = fmt::format("/d{}", random_.below(directories));
        if (random_.below(3) == 0) {   // a new one, or one that another rank has just made
            directory += fmt::format("/n{}", random_.below(20));
            auto made = fs_.make_directory(directory);
            if (!made && made.error().sys_errno != EEXIST) ssi::value_or_throw(std::move(made));
        }
        return fmt::format("{}/f{}.{}", directory, number, random_.below(4));
    }
    void make() {
        const std::uint64_t number = (random_.next() >> 8) | 1;
        const std::string path = place(number);
        events_.tell(fmt::format("M {} {}", number, path));
        (void)ssi::value_or_throw(fs_.open(path, O_CREAT | O_EXCL | O_WRONLY, 0644));
        Mine& mine = files_[number];
        mine.path = path;
        mine.blocks = 1 + random_.below(most_blocks);
        write(number, mine);
    }
    void write(std::uint64_t number, Mine& mine) {
        auto file = ssi::value_or_throw(fs_.open(mine.path, O_WRONLY));
        const std::size_t first = random_.below(mine.blocks);
        const std::size_t count = 1 + random_.below(mine.blocks - first);
        std::vector<Block> blocks;
        for (std::size_t i = first; i < first + count; ++i) {
            blocks.push_back(Block::of(number, i, ++stamp_));
            events_.tell(fmt::format("W {} {} {}", number, i, stamp_));
        }
        ssi::value_or_throw(file.pwrite(std::as_bytes(std::span(blocks)), first * block_bytes));
    }
    void sync(std::uint64_t number, Mine& mine) {
        auto file = ssi::value_or_throw(fs_.open(mine.path, O_RDWR));
        ssi::value_or_throw(file.sync());
        events_.tell(fmt::format("S {} {} {}", number, stamp_, mine.path));
    }
    void rename(std::uint64_t number, Mine& mine) {
        const std::string to = place(number);
        events_.tell(fmt::format("M {} {}", number, to));
        ssi::value_or_throw(fs_.rename(mine.path, to));
        mine.path = to;
    }
    void remove(std::map<std::uint64_t, Mine>::iterator at) {
        events_.tell(fmt::format("R {}", at->first));
        ssi::value_or_throw(fs_.unlink(at->second.path));
        files_.erase(at);
    }

    ssi::Session& session_;
    fs::FileSystem& fs_;
    Events& events_;
    ssi::Random random_;
    std::map<std::uint64_t, Mine> files_;
    std::vector<std::pair<std::uint64_t, std::string>> old_;
    std::uint64_t stamp_ = static_cast<std::uint64_t>(::time(nullptr)) << 24;
};

void play(ssi::Session& session, char** argv) {
    Events events(argv[1], session.rank());
    std::fprintf(stderr, "rank %d: mounting\n", session.rank());
    fs::Options options;
    options.volumes.directories = ssi::test::directories_of(argv[2], session.rank());
    options.volumes.slots = 64;
    options.commit_ms = 50;
    options.write_back_ms = 200;
    auto system = ssi::value_or_throw(fs::FileSystem::mount(session, options));
    const fs::CheckReport report = ssi::value_or_throw(system->check());
    for (const std::string& text : report.texts) events.tell("X check: " + text);
    Player player(session, *system, events, std::stoull(argv[3]));
    player.look();
    session.barrier();
    std::fprintf(stderr, "rank %d: running\n", session.rank());
    for (;;) player.step();
}

}  // namespace

int main(int argc, char** argv) try {
    ssi::Session session(argc, argv);
    if (argc != 4) return 2;
    try {
        play(session, argv);
    } catch (const ssi::Error& error) {
        std::fprintf(stderr, "left: %s\n", error.what());
        ssi::Session::exit(ssi::error_info(error.code()).exit_code);
    }
} catch (const ssi::Error& error) {
    ssi::Session::exit(ssi::error_info(error.code()).exit_code);
}
