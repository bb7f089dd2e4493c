// SPDX-License-Identifier: BSD-3-Clause
// kDFS: one POSIX-shaped file system over the volumes of a session's nodes. Start reading here.
//
//     auto fs = value_or_throw(FileSystem::mount(session, {.volumes = {.directories = {dir}}}));
//     auto file = value_or_throw(fs->open("/results/step7", O_CREAT | O_WRONLY));
//     file.pwrite(std::as_bytes(std::span(rows)), 0);
//     file.sync();                          // durable, and so is the way to it
//
// Every node sees one tree. What a call has done is visible on every node when it returns; it is
// durable after sync, or some seconds later by itself. Nodes without volumes do all that others do.
// Failures carry the errno that POSIX names (Failure::sys_errno) and the path. Paths begin at the
// root of the file system whether or not with "/". docs/kdfs.md has semantics, promises and limits.
// Thread-safe unless said otherwise; a File may be used by several threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ssi/base/result.hpp"
#include "ssi/io/file.hpp"
#include "ssi/io/volumes.hpp"

namespace ssi::fs {

class Core;
class VolumeList;
struct Place;

// Deliberate bugs, for tests that must find them: fsync forgets the directories on the way; a
// change of several logs goes to each by itself; a new name of a file is not waited for.
enum class Plant : std::uint8_t { none, forget_way, parts_apart, unordered_link };

struct Options {
    io::VolumesOptions volumes;
    std::uint64_t cache_bytes = 0;      // of file data in this node's memory; 0: a quarter of what
                                        // the host has for each of its nodes
    std::uint64_t commit_ms = 1000;     // how long metadata may stay undurable
    std::uint64_t write_back_ms = 5000; // how long file data may
    std::uint32_t bucket_bytes = 4096;  // of names, beyond which a directory's bucket is split
    Plant plant = Plant::none;
};

class FileSystem {
public:
    // Collective, once a session (else exists, EBUSY); new volumes get an empty tree whose root
    // belongs to whoever mounts, mode 0755. After a crash it recovers first. Failures are the same
    // on every node.
    static Result<std::unique_ptr<FileSystem>> mount(Session& session, Options options);
    static Result<std::unique_ptr<FileSystem>> mount(node::Node& node, kddm::Engine& engine,
                                                     Options options);
    ~FileSystem();
    FileSystem(const FileSystem&) = delete;
    FileSystem& operator=(const FileSystem&) = delete;

    // Flags of open(2): O_RDONLY, O_WRONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_APPEND,
    // O_DIRECTORY, O_NOFOLLOW, O_SYNC, O_DSYNC; others that change nothing are ignored.
    Result<File> open(std::string_view path, int flags, std::uint32_t mode = 0666,
                      const Striping& striping = {});
    Result<Attributes> stat(std::string_view path);     // follows a last symbolic link
    Result<Attributes> lstat(std::string_view path);
    Result<void> set_attributes(std::string_view path, const AttributeChange& change,
                                bool follow = true);
    Result<void> make_directory(std::string_view path, std::uint32_t mode = 0777);
    Result<void> remove_directory(std::string_view path);
    Result<void> unlink(std::string_view path);
    // flags of renameat2(2): 0, RENAME_NOREPLACE.
    Result<void> rename(std::string_view from, std::string_view to, unsigned flags = 0);
    Result<void> link(std::string_view from, std::string_view to);   // `from` is not followed
    Result<void> symlink(std::string_view target, std::string_view path);
    Result<std::string> read_link(std::string_view path);
    Result<void> access(std::string_view path, int mode);            // R_OK | W_OK | X_OK, F_OK
    // Entries behind `cookie` (0: from the start), about `most` of them; empty at the end. Without
    // "." and "..". Each entry that is there all the while comes once, whatever else changes.
    Result<std::vector<DirectoryEntry>> list(std::string_view path, std::uint64_t cookie = 0,
                                             std::size_t most = 1024, bool attributes = false);
    // flags of setxattr(2).
    Result<void> set_xattr(std::string_view path, std::string_view name,
                           std::span<const std::byte> value, int flags = 0, bool follow = true);
    Result<std::vector<std::byte>> get_xattr(std::string_view path, std::string_view name,
                                             bool follow = true);
    Result<std::vector<std::string>> list_xattrs(std::string_view path, bool follow = true);
    Result<void> remove_xattr(std::string_view path, std::string_view name, bool follow = true);
    Result<Space> space();
    // Directory, file or symbolic link itself, and the way to it: durable.
    Result<void> sync(std::string_view path);
    // Whatever this node has done is durable.
    Result<void> sync();

    // Of this handle from now on, and of what it has open.
    void set_credentials(Credentials credentials);
    const io::Volumes& volumes() const;
    // File data that memory has is written, and forgotten as far as nobody uses it. For tests and
    // measurements.
    Result<void> drop_caches();
    // Collective, while nobody uses it: whether names, inodes and pages fit together; with `repair`
    // they do afterwards.
    Result<CheckReport> check(bool repair = false);
    // The same by this node alone, while all go on: nothing is repaired. What is told is so: what
    // looked wrong was looked at again. `unsettled` counts what changed each time. Some seconds at
    // least when something is wrong; cancelled when `stop` becomes true.
    Result<CheckReport> check_in_use(const std::atomic<bool>& stop);
    // Collective: everything is durable afterwards. Files must be closed.
    Result<void> close();

    Core& core();   // for the layers above

    struct Handle;

private:
    explicit FileSystem(std::unique_ptr<Handle> handle);
    Result<File> open_file(std::string_view path, int flags, std::uint32_t mode,
                           const Striping& striping);
    Result<Place> open_place(const Credentials& who, std::string_view path, int flags,
                             std::uint32_t mode, const Striping& striping, VolumeList& volumes,
                             bool& made);
    template <class F>
    auto with(std::string_view path, bool follow, F&& f)
        -> decltype(f(std::declval<const Credentials&>(), std::declval<Place>()));
    template <class F>
    Result<void> at(std::string_view path, F&& f);
    std::unique_ptr<Handle> handle_;
};

}  // namespace ssi::fs
