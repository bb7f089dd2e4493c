// SPDX-License-Identifier: BSD-3-Clause
// FilesRun: kDFS as it ships on simulated nodes, over simulated network and disks. Tasks of all
// nodes make, move, link, look at and remove a few shared names in three directories; what they
// are told must be what one file system would have told them (names_history.hpp). Each also writes
// files of its own, renames and syncs them. Then the file system is closed, or the power is cut at
// any moment; another number of nodes mounts what the disks have, checks it, and looks for
// everything that was promised.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "names_history.hpp"
#include "ssi/io/file_system.hpp"
#include "ssi/io/memory_disk.hpp"
#include "world.hpp"

namespace ssi::model {

struct FilesOptions {
    std::uint32_t nodes = 3;
    std::uint32_t volumes = 2;       // at most one a node; the other nodes are diskless
    std::uint32_t tasks = 2;         // of each node
    std::uint32_t ops = 12;          // of each task
    std::uint32_t preempt_every = 50;
    std::uint64_t first_seed = 1, last_seed = 1;
    Faults faults;
    bool cut = false;                // the power, in the middle
    fs::Plant plant = fs::Plant::none;
    bool trace = false;
    bool help = false;
};

class FilesRun {
public:
    FilesRun(const FilesOptions& options, std::uint64_t seed);
    // The checker's name and text; empty when all is as it should be.
    struct Outcome {
        std::string checker, text;
        std::uint64_t operations = 0, promises = 0;
        bool cut = false;
    };
    Outcome run();

private:
    struct Shelf {
        std::map<std::string, std::unique_ptr<io::MemoryDisk>> disks;
    };
    // Of a task's own file, which nobody else touches.
    struct Promise {
        std::string path;
        std::string content;
        std::string before;          // the name that it had before, if any
        bool either = false;         // synced before it was renamed: it has one of the names
        bool linked = false;         // it may have both
    };
    struct Life;                     // of one session
    void mount(Life& life);
    void unmount(Life& life);
    void first_life(Life& life);
    void second_life(Life& life);
    void plan_cut(Life& life, Nanoseconds within);
    void body(Life& life, std::uint32_t node, std::uint32_t task);
    void one_name(Life& life, std::uint32_t node, Random& random);
    void own_file(Life& life, std::uint32_t node, Random& random, const std::string& name);
    void linked_file(Life& life, fs::FileSystem& system, Random& random, fs::File& file,
                     Promise promise, const std::string& name);
    void check_rest(Life& life);
    void look_for_promises(Life& life);

    const FilesOptions options_;
    const std::uint64_t seed_;
    Shelf shelf_;
    NamesHistory history_;
    std::uint64_t events_ = 0;
    std::uint64_t cut_at_ = 0;       // operations; 0: never
    bool cut_renames_ = false;       // in the next rename after that
    std::vector<Promise> promises_;
    Outcome outcome_;
};

}  // namespace ssi::model
