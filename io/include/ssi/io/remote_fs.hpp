// SPDX-License-Identifier: BSD-3-Clause
// RemoteFileSystem: the kDFS that a running session has mounted, for a process of the same user
// and host that is no node of it, over a connection to one of its nodes: `ssi fs` uses it.
//
//     auto system = RemoteFileSystem::open(socket_of_the_node, key_of_the_session);
//     auto attributes = (*system)->stat("/results");
//
// Calls mean what those of FileSystem mean, and act for the user of the node. They wait for the
// node; io when it ends or the session closes its file system meanwhile. One thread at a time, its
// files included; several threads open several. docs/formats/remote_fs.md is what is sent.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/io/file_system.hpp"
#include "ssi/node/owned_fd.hpp"

namespace ssi::fs {

class RemoteConnection;

class RemoteFile {
public:
    RemoteFile(std::shared_ptr<RemoteConnection> connection, std::uint64_t handle)
        : connection_(std::move(connection)), handle_(handle) {}
    ~RemoteFile();   // closes
    RemoteFile(const RemoteFile&) = delete;
    RemoteFile& operator=(const RemoteFile&) = delete;

    // Fewer bytes only at the end of the file.
    Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset);
    Result<void> pwrite(std::span<const std::byte> bytes, std::uint64_t offset);
    Result<void> truncate(std::uint64_t size);
    Result<Attributes> stat();
    Result<std::vector<Extent>> extents();

private:
    std::shared_ptr<RemoteConnection> connection_;
    std::uint64_t handle_;
};

class RemoteFileSystem {
public:
    // `socket`: the node's control socket, on this host. not_found when the node has mounted no
    // file system, unsupported when it is of another version.
    static Result<std::unique_ptr<RemoteFileSystem>> open(const std::string& socket,
                                                          std::string_view key);

    // Over a connection that came by other ways; `name`: what to call it in failures.
    static std::unique_ptr<RemoteFileSystem> over(node::OwnedFd connection, std::string name);

    Result<std::unique_ptr<RemoteFile>> open_file(std::string_view path, int flags,
                                                  std::uint32_t mode = 0666,
                                                  const Striping& striping = {});
    Result<Attributes> stat(std::string_view path, bool follow);
    Result<std::vector<DirectoryEntry>> list(std::string_view path, std::uint64_t cookie,
                                             std::size_t most, bool attributes);
    Result<void> set_attributes(std::string_view path, const AttributeChange& change, bool follow);
    Result<void> make_directory(std::string_view path, std::uint32_t mode);
    Result<void> remove_directory(std::string_view path);
    Result<void> unlink(std::string_view path);
    Result<void> rename(std::string_view from, std::string_view to);
    Result<void> link(std::string_view from, std::string_view to);
    Result<void> symlink(std::string_view target, std::string_view path);
    Result<std::string> read_link(std::string_view path);
    Result<std::vector<std::string>> list_xattrs(std::string_view path, bool follow);
    Result<std::vector<std::byte>> get_xattr(std::string_view path, std::string_view name,
                                             bool follow);
    Result<void> set_xattr(std::string_view path, std::string_view name,
                           std::span<const std::byte> value, bool follow);
    Result<Space> space();
    Result<void> sync();
    Result<void> drop_caches();                      // of that node
    // Of the whole tree, while the session goes on: FileSystem::check_in_use. unsupported when its
    // program is older.
    Result<CheckReport> check();
    Result<std::vector<io::VolumeInfo>> volumes();   // of the session

private:
    explicit RemoteFileSystem(std::shared_ptr<RemoteConnection> connection)
        : connection_(std::move(connection)) {}
    std::shared_ptr<RemoteConnection> connection_;
};

}  // namespace ssi::fs
