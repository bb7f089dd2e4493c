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

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ssi/base/result.hpp"
#include "ssi/io/volumes.hpp"

namespace ssi::fs {

inline constexpr std::size_t most_name_bytes = 255;
inline constexpr std::size_t most_path_bytes = 4096;
inline constexpr std::uint64_t most_file_bytes = std::uint64_t{1} << 51;

// On whose behalf: what permissions are checked against. User 0 may all.
struct Credentials {
    std::uint32_t uid = 0;
    std::uint32_t gid = 0;
    std::vector<std::uint32_t> groups;
    std::uint32_t umask = 0;
    static Credentials of_process();   // effective ids, groups and umask of now
};

enum class Placement : std::uint8_t {
    inherit,       // as the directory says, at the root spread
    spread,        // begins at a volume chosen by chance
    local_first,   // begins at a volume of the node that creates the file, if it has one
};

// How the bytes of a file lie on volumes: `unit_bytes` on one, then on the next, over `count`
// volumes.
struct Striping {
    std::uint64_t unit_bytes = 0;   // power of two, 64 KiB .. 2 GiB; 0: as the directory says
    std::uint32_t count = 0;        // 1 .. 255; 0: as the directory says; more than there are: all
    Placement placement = Placement::inherit;
    friend bool operator==(const Striping&, const Striping&) = default;
};

struct Attributes {
    std::uint64_t inode = 0;
    std::uint32_t mode = 0;          // type and permissions, as in struct stat
    std::uint32_t uid = 0, gid = 0;
    std::uint64_t links = 0;
    std::uint64_t size = 0;          // bytes
    std::uint64_t blocks = 0;        // of 512 bytes, an upper bound
    std::int64_t access_ns = 0, modify_ns = 0, change_ns = 0;   // since 1970
    Striping striping;               // of a file: what it has; of a directory: for new files in it
    bool is_directory() const { return S_ISDIR(mode); }
    bool is_file() const { return S_ISREG(mode); }
    bool is_symlink() const { return S_ISLNK(mode); }
};

// What set_attributes changes; the rest stays.
struct AttributeChange {
    std::optional<std::uint32_t> mode;             // permissions alone
    std::optional<std::uint32_t> uid, gid;
    std::optional<std::uint64_t> size;
    std::optional<std::int64_t> access_ns, modify_ns;
    bool access_now = false, modify_now = false;   // allowed to whoever may write
    std::optional<Striping> striping;              // of directories, for new files
};

struct DirectoryEntry {
    std::string name;
    std::uint64_t inode = 0;
    std::uint32_t type = 0;      // S_IFREG, S_IFDIR, S_IFLNK
    std::uint64_t cookie = 0;    // where to go on behind it
    Attributes attributes;       // when asked for
};

// Where part of a file is.
struct Extent {
    std::uint64_t offset = 0, length = 0;
    std::uint32_t volume = 0;            // index in Volumes::volumes()
    NodeId node;                         // that serves the volume
    bool in_memory = false;              // of that node, now
};

struct Space {
    std::uint64_t total_bytes = 0, free_bytes = 0;   // of all volumes
    std::uint64_t inodes = 0;                        // in use
};

// What a check found. Counts are of the whole file system, texts of this node.
struct CheckReport {
    std::uint64_t directories = 0, files = 0, others = 0, entries = 0;
    std::uint64_t problems = 0, repaired = 0;
    std::vector<std::string> texts;   // the first of the problems
};

class Core;
class VolumeList;
struct Place;

// An open file. Closing it is its end; `close` tells what the end would swallow. Moves; belongs to
// the FileSystem that opened it, which must outlive it.
class File {
public:
    File();
    File(File&&) noexcept;
    File& operator=(File&&) noexcept;
    ~File();

    bool is_open() const { return open_ != nullptr; }
    // Bytes read: fewer only at the end of the file.
    Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset);
    // All bytes are written or the call fails; a file opened with O_APPEND is written at its end.
    Result<std::size_t> pwrite(std::span<const std::byte> bytes, std::uint64_t offset);
    // At the file's own position, which they move.
    Result<std::size_t> read(std::span<std::byte> out);
    Result<std::size_t> write(std::span<const std::byte> bytes);
    // SEEK_SET, SEEK_CUR, SEEK_END, SEEK_DATA, SEEK_HOLE; the new position.
    Result<std::uint64_t> seek(std::int64_t offset, int whence);
    // What this node wrote to the file, and the way to it, is durable.
    Result<void> sync();
    Result<void> truncate(std::uint64_t size);
    // mode: of fallocate(2): 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
    // FALLOC_FL_ZERO_RANGE (| FALLOC_FL_KEEP_SIZE).
    Result<void> allocate(int mode, std::uint64_t offset, std::uint64_t length);
    Result<Attributes> stat() const;
    Result<std::vector<Extent>> extents() const;
    std::uint64_t inode() const;
    Result<void> close();

    struct Open;

private:
    friend class FileSystem;
    explicit File(std::unique_ptr<Open> open);
    std::unique_ptr<Open> open_;
};

// Deliberate bugs, for tests that must find them: fsync forgets the directories on the way; a change
// of several logs goes to each by itself.
enum class Plant : std::uint8_t { none, forget_way, parts_apart };

struct Options {
    io::VolumesOptions volumes;
    std::uint64_t cache_bytes = 0;      // of file data in this node's memory; 0: a quarter of what
                                        // the host has for each of its nodes
    std::uint64_t commit_ms = 1000;     // how long metadata may stay undurable
    std::uint64_t write_back_ms = 5000; // how long file data may
    Plant plant = Plant::none;
};

class FileSystem {
public:
    // Collective; new volumes get an empty tree whose root belongs to whoever mounts, mode 0755.
    // After a crash it recovers first. Failures are the same on every node.
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

    void set_credentials(Credentials credentials);   // of this handle from now on
    const io::Volumes& volumes() const;
    // File data that memory has is written, and forgotten as far as nobody uses it. For tests and
    // measurements.
    Result<void> drop_caches();
    // Collective, while nobody uses it: whether names, inodes and pages fit together; with `repair`
    // they do afterwards.
    Result<CheckReport> check(bool repair = false);
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
