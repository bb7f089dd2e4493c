// SPDX-License-Identifier: BSD-3-Clause
// Files: kDFS as it ships, mounted by all nodes of a World over memory disks of the first few; and
// what its operations cost there. The file system belongs to a user who is not root, so that
// permissions are looked at.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ssi/base/random.hpp"
#include "ssi/io/file_system.hpp"
#include "world.hpp"

namespace ssi::bench {

// In a directory whose home is another node.
enum class FileVerb : std::uint8_t {
    create_cold,      // the first file made in a directory never seen
    create,           // a further one, as in a loop
    close,            // of that file
    stat_cold,        // of a file that another node made, in a directory never seen
    stat,             // of another one there, the first time
    stat_again,       // the same a second time
    stat_changed,     // after a third node has changed it
    create_watched,   // while another node has a copy of the directory
    stat_new,         // of that file: it was made since the directory was looked at
};
inline constexpr std::array file_verbs{
    FileVerb::create_cold, FileVerb::create,     FileVerb::close,
    FileVerb::stat_cold,   FileVerb::stat,       FileVerb::stat_again,
    FileVerb::stat_changed, FileVerb::create_watched, FileVerb::stat_new};
std::string name_of(FileVerb verb);

class Files {
public:
    // At least 4 nodes.
    Files(World& world, std::uint32_t volumes);
    ~Files();
    Files(const Files&) = delete;
    Files& operator=(const Files&) = delete;

    std::uint32_t volumes() const { return volumes_; }
    fs::FileSystem& at(std::uint32_t n) { return *systems_[n]; }
    const Cost& mounting() const { return mounting_; }   // on all nodes
    // Each verb once, in a new directory, by nodes that are drawn.
    std::vector<std::pair<FileVerb, Cost>> sample();
    void close();

private:
    struct Roles {
        std::uint32_t creator = 0, reader = 0, changer = 0;
    };
    Roles draw(std::uint32_t maker, std::uint32_t home);
    void mount(std::uint32_t n);
    std::uint32_t home_of(std::uint32_t n, std::uint64_t directory);
    Cost stat(std::uint32_t n, const std::string& path, std::uint32_t mode);

    World& world_;
    const std::uint32_t volumes_;
    std::vector<std::unique_ptr<fs::FileSystem>> systems_;
    Cost mounting_;
    Random random_{11};
    std::uint64_t next_directory_ = 0;
};

}  // namespace ssi::bench
