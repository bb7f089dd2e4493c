// SPDX-License-Identifier: BSD-3-Clause
// Tree: files of kDFS or of the machine, as copying needs them.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ssi/io/file_system.hpp"

namespace ssi::cli {

class TreeFile {
public:
    virtual ~TreeFile() = default;
    // Fewer bytes only at the end of the file.
    virtual Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset) = 0;
    virtual Result<void> pwrite(std::span<const std::byte> bytes, std::uint64_t offset) = 0;
    virtual Result<void> truncate(std::uint64_t size) = 0;
    virtual Result<fs::Attributes> stat() = 0;
};

// Failures name the path.
class Tree {
public:
    virtual ~Tree() = default;
    virtual bool is_kdfs() const = 0;
    virtual Result<std::unique_ptr<TreeFile>> open(const std::string& path, int flags,
                                                   std::uint32_t mode) = 0;
    virtual Result<fs::Attributes> stat(const std::string& path, bool follow) = 0;
    virtual Result<std::vector<fs::DirectoryEntry>> list(const std::string& path) = 0;
    virtual Result<void> make_directory(const std::string& path, std::uint32_t mode) = 0;
    virtual Result<void> symlink(const std::string& target, const std::string& path) = 0;
    virtual Result<std::string> read_link(const std::string& path) = 0;
    virtual Result<void> unlink(const std::string& path) = 0;
    virtual Result<void> set_attributes(const std::string& path,
                                        const fs::AttributeChange& change, bool follow) = 0;
    // All that this rank wrote below the directory is durable.
    virtual Result<void> sync(const std::string& directory) = 0;
};

std::unique_ptr<Tree> make_kdfs_tree(fs::FileSystem& system);
std::unique_ptr<Tree> make_local_tree();

}  // namespace ssi::cli
