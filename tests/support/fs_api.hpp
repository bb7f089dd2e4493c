// SPDX-License-Identifier: BSD-3-Clause
// FileApi: what the comparison of file systems asks for: the calls of ssi::fs, with an errno in
// every failure. Two file systems answer it: a local directory (fs_reference.hpp), which is right
// by definition, and kDFS (fs_kdfs.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "ssi/io/file_system.hpp"

namespace ssi::test {

// Closed by its end. The calls are those of fs::File.
class OpenFile {
public:
    virtual ~OpenFile() = default;
    virtual Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset) = 0;
    virtual Result<std::size_t> pwrite(std::span<const std::byte> bytes,
                                       std::uint64_t offset) = 0;
    virtual Result<std::size_t> read(std::span<std::byte> out) = 0;
    virtual Result<std::size_t> write(std::span<const std::byte> bytes) = 0;
    virtual Result<std::uint64_t> seek(std::int64_t offset, int whence) = 0;
    virtual Result<void> sync() = 0;
    virtual Result<void> truncate(std::uint64_t size) = 0;
    virtual Result<void> allocate(int mode, std::uint64_t offset, std::uint64_t length) = 0;
    virtual Result<fs::Attributes> stat() = 0;
};

class FileApi {
public:
    virtual ~FileApi() = default;
    virtual Result<std::unique_ptr<OpenFile>> open(const std::string& path, int flags,
                                                   std::uint32_t mode,
                                                   const fs::Striping& striping) = 0;
    virtual Result<fs::Attributes> stat(const std::string& path, bool follow) = 0;
    virtual Result<void> set_attributes(const std::string& path,
                                        const fs::AttributeChange& change, bool follow) = 0;
    virtual Result<void> make_directory(const std::string& path, std::uint32_t mode) = 0;
    virtual Result<void> remove_directory(const std::string& path) = 0;
    virtual Result<void> unlink(const std::string& path) = 0;
    virtual Result<void> rename(const std::string& from, const std::string& to,
                                unsigned flags) = 0;
    virtual Result<void> link(const std::string& from, const std::string& to) = 0;
    virtual Result<void> symlink(const std::string& target, const std::string& path) = 0;
    virtual Result<std::string> read_link(const std::string& path) = 0;
    virtual Result<void> access(const std::string& path, int mode) = 0;
    // All entries, fetched `most` at a time.
    virtual Result<std::vector<fs::DirectoryEntry>> list(const std::string& path,
                                                         std::size_t most, bool attributes) = 0;
    virtual Result<void> set_xattr(const std::string& path, const std::string& name,
                                   std::span<const std::byte> value, int flags) = 0;
    virtual Result<std::vector<std::byte>> get_xattr(const std::string& path,
                                                     const std::string& name) = 0;
    virtual Result<std::vector<std::string>> list_xattrs(const std::string& path) = 0;
    virtual Result<void> remove_xattr(const std::string& path, const std::string& name) = 0;
    virtual Result<void> sync(const std::string& path) = 0;
    // On whose behalf from now on.
    virtual Result<void> become(const fs::Credentials& credentials) = 0;
};

}  // namespace ssi::test
