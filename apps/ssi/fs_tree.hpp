// SPDX-License-Identifier: BSD-3-Clause
// Tree: files of kDFS or of the machine, as the verbs of `ssi fs` need them. Kdfs: a file system
// that this process has mounted, or that a running session has.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ssi/io/file_system.hpp"
#include "ssi/io/remote_fs.hpp"

namespace ssi::cli {

class TreeFile {
public:
    virtual ~TreeFile() = default;
    // Fewer bytes only at the end of the file.
    virtual Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset) = 0;
    virtual Result<void> pwrite(std::span<const std::byte> bytes, std::uint64_t offset) = 0;
    virtual Result<void> truncate(std::uint64_t size) = 0;
    virtual Result<fs::Attributes> stat() = 0;
    virtual Result<std::vector<fs::Extent>> extents() = 0;   // of kDFS alone
};

// Failures name the path.
class Tree {
public:
    virtual ~Tree() = default;
    virtual Result<std::unique_ptr<TreeFile>> open(const std::string& path, int flags,
                                                   std::uint32_t mode = 0666,
                                                   const fs::Striping& striping = {}) = 0;
    virtual Result<fs::Attributes> stat(const std::string& path, bool follow = true) = 0;
    // All entries, in no order; their attributes when asked for.
    virtual Result<std::vector<fs::DirectoryEntry>> list(const std::string& path,
                                                         bool attributes = false) = 0;
    virtual Result<void> make_directory(const std::string& path, std::uint32_t mode) = 0;
    virtual Result<void> link(const std::string& from, const std::string& to) = 0;
    virtual Result<void> symlink(const std::string& target, const std::string& path) = 0;
    virtual Result<std::string> read_link(const std::string& path) = 0;
    virtual Result<void> unlink(const std::string& path) = 0;
    virtual Result<void> set_attributes(const std::string& path,
                                        const fs::AttributeChange& change, bool follow) = 0;
    // Which file system of the machine: inodes are unique in one. 0 for kDFS.
    virtual Result<std::uint64_t> device_of(const std::string&) { return 0; }
    // Extended attributes of files and directories.
    virtual Result<std::vector<std::string>> list_xattrs(const std::string& path) = 0;
    virtual Result<std::vector<std::byte>> get_xattr(const std::string& path,
                                                     const std::string& name) = 0;
    virtual Result<void> set_xattr(const std::string& path, const std::string& name,
                                   std::span<const std::byte> value) = 0;
    // All that this rank wrote below the directory is durable.
    virtual Result<void> sync(const std::string& directory) = 0;
};

class Kdfs : public Tree {
public:
    virtual Result<void> remove_directory(const std::string& path) = 0;
    virtual Result<void> rename(const std::string& from, const std::string& to) = 0;
    virtual Result<fs::Space> space() = 0;
    virtual Result<std::vector<io::VolumeInfo>> volumes() = 0;
    virtual Result<void> drop_caches() = 0;
    // Of a mounted one collective; a running one is only looked at, by the first rank: unsupported
    // with `repair`.
    virtual Result<fs::CheckReport> check(bool repair) = 0;
};

std::unique_ptr<Kdfs> make_mounted_kdfs(fs::FileSystem& system);
// Through nodes of this host, calls going to the first; `session`: what to call it in failures.
std::unique_ptr<Kdfs> make_running_kdfs(
    std::vector<std::unique_ptr<fs::RemoteFileSystem>> nodes, std::string session);
std::unique_ptr<Tree> make_local_tree();

// Calls `body` for a path and, with `recursive`, for all below it, a directory before what it has.
// What cannot be looked at goes to `fault`, and the walk goes on.
void walk(Tree& tree, const std::string& path, bool recursive,
          const std::function<void(const std::string&, const fs::Attributes&)>& body,
          const std::function<void(const Failure&)>& fault);

}  // namespace ssi::cli
