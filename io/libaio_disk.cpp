// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/libaio_disk.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "aio_queue.hpp"
#include "disk_parts.hpp"
#include "libaio_file.hpp"
#include "ssi/base/log.hpp"
#include "ssi/node/owned_fd.hpp"

namespace ssi::io {
namespace {

using node::OwnedFd;

Errc code_of(int sys_errno) {
    if (sys_errno == ENOENT || sys_errno == ENOTDIR) return Errc::not_found;
    return sys_errno == EEXIST ? Errc::exists : Errc::io;
}

class Libaio final : public Disk {
public:
    Libaio(std::string directory, OwnedFd top, std::unique_ptr<AioQueue> queue,
           const LibaioDiskOptions& options)
        : directory_(std::move(directory)), top_(std::move(top)), queue_(std::move(queue)),
          log_(options.log), direct_(options.direct) {}

    Result<std::unique_ptr<DiskFile>> open(const std::string& name, OpenMode mode) override;
    Result<void> remove(const std::string& name) override;
    Result<void> rename(const std::string& from, const std::string& to) override;
    Result<void> make_directory(const std::string& name) override;
    Result<std::vector<std::string>> list(const std::string& directory) override {
        return entries(directory, DT_REG, S_IFREG);
    }
    Result<std::vector<std::string>> list_directories(const std::string& directory) override {
        return entries(directory, DT_DIR, S_IFDIR);
    }
    Result<void> remove_directory(const std::string& name) override;
    Result<void> sync_directory(const std::string& directory) override;
    Result<DiskSpace> space() override;
    void submit(std::span<DiskRequest* const> requests) override { queue_->submit(requests); }
    std::size_t poll() override { return queue_->poll(); }
    void wait(DiskRequest& request) override { queue_->wait(request); }
    int event_fd() const override { return queue_->event_fd(); }
    const std::string& name() const override { return directory_; }

private:
    // Takes errno.
    tl::unexpected<Failure> failed(const char* verb, const std::string& name) const {
        const int sys_errno = errno;
        return fail_errno(code_of(sys_errno), sys_errno,
                          fmt::format("cannot {} {} of {}", verb,
                                      name.empty() ? "the top directory" : name, directory_));
    }
    bool is_directory(const std::string& name) const {
        struct stat status {};
        return ::fstatat(top_.get(), name.c_str(), &status, 0) == 0 && S_ISDIR(status.st_mode);
    }
    Result<OwnedFd> open_directory(const char* verb, const std::string& name) const;
    int open_direct(const std::string& name, int flags);
    // Names of one kind in a directory, ascending, without "." and "..".
    Result<std::vector<std::string>> entries(const std::string& directory, unsigned char type,
                                             mode_t mode);

    const std::string directory_;
    const OwnedFd top_;
    const std::unique_ptr<AioQueue> queue_;
    Log* const log_;
    std::atomic<bool> direct_;
};

int Libaio::open_direct(const std::string& name, int flags) {
    const auto call = [&](int more) {
        while (true) {
            const int fd = ::openat(top_.get(), name.c_str(), flags | more, 0600);
            if (fd >= 0 || errno != EINTR) return fd;
        }
    };
    if (!direct_.load(std::memory_order_relaxed)) return call(0);
    const int fd = call(O_DIRECT);
    if (fd >= 0 || errno != EINVAL) return fd;
    // It may have been created by the call that was refused: some file systems find out late.
    const int again = ::openat(top_.get(), name.c_str(), flags & ~O_EXCL, 0600);
    if (again >= 0 && direct_.exchange(false) && log_)
        SSI_LOG(*log_, warn, "io", "the file system of {} refuses O_DIRECT: its files are read and "
                "written through the system's cache, and slowly", directory_);
    return again;
}

Result<std::unique_ptr<DiskFile>> Libaio::open(const std::string& name, OpenMode mode) {
    if (auto good = check_name(name); !good)
        return tl::unexpected<Failure>(std::move(good).error());
    const bool creates = mode == OpenMode::create || mode == OpenMode::create_new;
    int flags = O_CLOEXEC | O_NOCTTY | (mode == OpenMode::read ? O_RDONLY : O_RDWR);
    if (creates) flags |= O_CREAT;
    if (mode == OpenMode::create_new) flags |= O_EXCL;
    const int fd = open_direct(name, flags);
    if (fd < 0) return failed(creates ? "create" : "open", name);
    auto file = std::make_unique<LibaioFile>(fd, name, directory_, mode == OpenMode::read);
    struct stat status {};
    if (::fstat(fd, &status) == 0 && !S_ISREG(status.st_mode)) {
        errno = S_ISDIR(status.st_mode) ? EISDIR : ENOTSUP;
        return failed("open", name);
    }
    return file;
}

Result<void> Libaio::remove(const std::string& name) {
    SSI_TRY(check_name(name));
    if (::unlinkat(top_.get(), name.c_str(), 0) == 0) return {};
    return failed("remove", name);
}

Result<void> Libaio::rename(const std::string& from, const std::string& to) {
    SSI_TRY(check_name(from));
    SSI_TRY(check_name(to));
    if (is_directory(from)) {
        errno = EISDIR;
        return failed("rename", from);
    }
    if (::renameat(top_.get(), from.c_str(), top_.get(), to.c_str()) == 0) return {};
    return failed("rename", fmt::format("{} to {}", from, to));
}

Result<void> Libaio::make_directory(const std::string& name) {
    SSI_TRY(check_name(name));
    if (::mkdirat(top_.get(), name.c_str(), 0700) == 0) return {};
    const int sys_errno = errno;
    if (sys_errno == EEXIST && is_directory(name)) return {};
    errno = sys_errno;
    return failed("make directory", name);
}

Result<OwnedFd> Libaio::open_directory(const char* verb, const std::string& name) const {
    if (auto good = check_name(name, true); !good)
        return tl::unexpected<Failure>(std::move(good).error());
    OwnedFd fd(::openat(top_.get(), name.empty() ? "." : name.c_str(),
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd.get() < 0) return failed(verb, name);
    return fd;
}

Result<void> Libaio::remove_directory(const std::string& name) {
    SSI_TRY(check_name(name));
    if (::unlinkat(top_.get(), name.c_str(), AT_REMOVEDIR) == 0) return {};
    return failed("remove directory", name);
}

Result<std::vector<std::string>> Libaio::entries(const std::string& directory, unsigned char type,
                                                 mode_t mode) {
    auto fd = open_directory("list", directory);
    if (!fd) return tl::unexpected<Failure>(std::move(fd).error());
    DIR* const stream = ::fdopendir(fd->release());
    if (!stream) return failed("list", directory);
    std::vector<std::string> names;
    const dirent* entry = nullptr;
    while (errno = 0, (entry = ::readdir(stream))) {
        const std::string_view entry_name = entry->d_name;
        if (entry_name == "." || entry_name == "..") continue;
        bool wanted = entry->d_type == type;
        if (entry->d_type == DT_UNKNOWN) {
            struct stat status {};
            wanted = ::fstatat(::dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) ==
                         0 &&
                     (status.st_mode & S_IFMT) == mode;
        }
        if (wanted) names.emplace_back(entry->d_name);
    }
    const int sys_errno = errno;
    ::closedir(stream);
    errno = sys_errno;
    if (sys_errno != 0) return failed("list", directory);
    std::sort(names.begin(), names.end());
    return names;
}

Result<void> Libaio::sync_directory(const std::string& directory) {
    auto fd = open_directory("sync", directory);
    if (!fd) return tl::unexpected<Failure>(std::move(fd).error());
    if (::fsync(fd->get()) == 0) return {};
    return failed("sync", directory);
}

Result<DiskSpace> Libaio::space() {
    struct statvfs status {};
    if (::fstatvfs(top_.get(), &status) != 0) return failed("ask for the room", "");
    return DiskSpace{std::uint64_t{status.f_blocks} * status.f_frsize,
                     std::uint64_t{status.f_bavail} * status.f_frsize};
}

}  // namespace

Result<std::unique_ptr<Disk>> make_libaio_disk(const std::string& directory,
                                               LibaioDiskOptions options) {
    OwnedFd top(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (top.get() < 0) {
        const int sys_errno = errno;
        return fail_errno(code_of(sys_errno), sys_errno,
                          fmt::format("cannot use {} as the directory of a disk", directory));
    }
    auto queue = AioQueue::make({options.queue_depth, options.dsync, options.event_fd});
    if (!queue) return tl::unexpected<Failure>(std::move(queue).error());
    return std::make_unique<Libaio>(directory, std::move(top), std::move(*queue), options);
}

}  // namespace ssi::io
