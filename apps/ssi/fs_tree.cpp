// SPDX-License-Identifier: BSD-3-Clause
#include "fs_tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace ssi::cli {
namespace {

tl::unexpected<Failure> failed(const std::string& path) {
    return fail_errno(errno == ENOENT ? Errc::not_found : Errc::io, errno, path);
}
Result<void> checked(int outcome, const std::string& path) {
    if (outcome < 0) return failed(path);
    return {};
}

class KdfsTreeFile : public TreeFile {
public:
    explicit KdfsTreeFile(fs::File file) : file_(std::move(file)) {}
    Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset) override {
        return file_.pread(out, offset);
    }
    Result<void> pwrite(std::span<const std::byte> bytes, std::uint64_t offset) override {
        const auto written = file_.pwrite(bytes, offset);
        if (!written) return tl::unexpected<Failure>(written.error());
        if (*written != bytes.size()) return fail(Errc::io, "a write was cut short");
        return {};
    }
    Result<void> truncate(std::uint64_t size) override { return file_.truncate(size); }
    Result<fs::Attributes> stat() override { return file_.stat(); }

private:
    fs::File file_;
};

class KdfsTree : public Tree {
public:
    explicit KdfsTree(fs::FileSystem& system) : system_(system) {}
    bool is_kdfs() const override { return true; }
    Result<std::unique_ptr<TreeFile>> open(const std::string& path, int flags,
                                           std::uint32_t mode) override {
        auto file = system_.open(path, flags, mode);
        if (!file) return tl::unexpected<Failure>(std::move(file).error());
        return std::make_unique<KdfsTreeFile>(std::move(*file));
    }
    Result<fs::Attributes> stat(const std::string& path, bool follow) override {
        return follow ? system_.stat(path) : system_.lstat(path);
    }
    Result<std::vector<fs::DirectoryEntry>> list(const std::string& path) override {
        std::vector<fs::DirectoryEntry> all;
        for (std::uint64_t cookie = 0;;) {
            auto page = system_.list(path, cookie, 4096, false);
            if (!page) return page;
            if (page->empty()) return all;
            cookie = page->back().cookie;
            std::ranges::move(*page, std::back_inserter(all));
        }
    }
    Result<void> make_directory(const std::string& path, std::uint32_t mode) override {
        return system_.make_directory(path, mode);
    }
    Result<void> symlink(const std::string& target, const std::string& path) override {
        return system_.symlink(target, path);
    }
    Result<std::string> read_link(const std::string& path) override {
        return system_.read_link(path);
    }
    Result<void> unlink(const std::string& path) override { return system_.unlink(path); }
    Result<void> set_attributes(const std::string& path, const fs::AttributeChange& change,
                                bool follow) override {
        return system_.set_attributes(path, change, follow);
    }
    Result<void> sync(const std::string&) override { return system_.sync(); }

private:
    fs::FileSystem& system_;
};

std::int64_t nanoseconds(const timespec& time) {
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

fs::Attributes attributes_of(const struct stat& of) {
    fs::Attributes attributes;
    attributes.inode = of.st_ino;
    attributes.mode = of.st_mode;
    attributes.uid = of.st_uid;
    attributes.gid = of.st_gid;
    attributes.links = of.st_nlink;
    attributes.size = static_cast<std::uint64_t>(of.st_size);
    attributes.access_ns = nanoseconds(of.st_atim);
    attributes.modify_ns = nanoseconds(of.st_mtim);
    attributes.change_ns = nanoseconds(of.st_ctim);
    return attributes;
}

class LocalFile : public TreeFile {
public:
    LocalFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
    ~LocalFile() override { ::close(fd_); }
    Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset) override {
        std::size_t done = 0;
        while (done < out.size()) {
            const auto got = ::pread(fd_, out.data() + done, out.size() - done,
                                     static_cast<off_t>(offset + done));
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) return failed(path_);
            if (got == 0) break;
            done += static_cast<std::size_t>(got);
        }
        return done;
    }
    Result<void> pwrite(std::span<const std::byte> bytes, std::uint64_t offset) override {
        for (std::size_t done = 0; done < bytes.size();) {
            const auto put = ::pwrite(fd_, bytes.data() + done, bytes.size() - done,
                                      static_cast<off_t>(offset + done));
            if (put < 0 && errno == EINTR) continue;
            if (put <= 0) return failed(path_);
            done += static_cast<std::size_t>(put);
        }
        return {};
    }
    Result<void> truncate(std::uint64_t size) override {
        return checked(::ftruncate(fd_, static_cast<off_t>(size)), path_);
    }
    Result<fs::Attributes> stat() override {
        struct stat of {};
        if (::fstat(fd_, &of) != 0) return failed(path_);
        return attributes_of(of);
    }

private:
    int fd_;
    std::string path_;
};

class LocalTree : public Tree {
public:
    bool is_kdfs() const override { return false; }
    Result<std::unique_ptr<TreeFile>> open(const std::string& path, int flags,
                                           std::uint32_t mode) override {
        const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
        if (fd < 0) return failed(path);
        return std::make_unique<LocalFile>(fd, path);
    }
    Result<fs::Attributes> stat(const std::string& path, bool follow) override {
        struct stat of {};
        if (::fstatat(AT_FDCWD, path.c_str(), &of, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
            return failed(path);
        return attributes_of(of);
    }
    Result<std::vector<fs::DirectoryEntry>> list(const std::string& path) override {
        const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
        if (!directory) return failed(path);
        std::vector<fs::DirectoryEntry> all;
        errno = 0;
        while (const dirent* found = ::readdir(directory.get())) {
            const std::string name = found->d_name;
            if (name == "." || name == "..") continue;
            fs::DirectoryEntry entry;
            entry.name = name;
            all.push_back(std::move(entry));
        }
        if (errno != 0) return failed(path);
        return all;
    }
    Result<void> make_directory(const std::string& path, std::uint32_t mode) override {
        return checked(::mkdir(path.c_str(), mode), path);
    }
    Result<void> symlink(const std::string& target, const std::string& path) override {
        return checked(::symlink(target.c_str(), path.c_str()), path);
    }
    Result<std::string> read_link(const std::string& path) override {
        std::string target(fs::most_path_bytes, '\0');
        const auto length = ::readlink(path.c_str(), target.data(), target.size());
        if (length < 0) return failed(path);
        target.resize(static_cast<std::size_t>(length));
        return target;
    }
    Result<void> unlink(const std::string& path) override {
        return checked(::unlink(path.c_str()), path);
    }
    Result<void> set_attributes(const std::string& path, const fs::AttributeChange& change,
                                bool follow) override {
        const int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
        if (change.uid || change.gid)
            SSI_TRY(checked(::fchownat(AT_FDCWD, path.c_str(), change.uid.value_or(UINT32_MAX),
                                       change.gid.value_or(UINT32_MAX), flags), path));
        if (change.mode) SSI_TRY(checked(::chmod(path.c_str(), *change.mode), path));
        if (!change.modify_ns) return {};
        const timespec times[] = {time_of(change.access_ns.value_or(*change.modify_ns)),
                                  time_of(*change.modify_ns)};
        return checked(::utimensat(AT_FDCWD, path.c_str(), times, flags), path);
    }
    Result<void> sync(const std::string& directory) override {
        const int fd = ::open(directory.c_str(), O_RDONLY | O_CLOEXEC);
        if (fd < 0) return failed(directory);
        const auto synced = checked(::syncfs(fd), directory);
        ::close(fd);
        return synced;
    }

private:
    static timespec time_of(std::int64_t ns) {
        const std::int64_t second = 1'000'000'000;
        const std::int64_t rest = (ns % second + second) % second;
        return {(ns - rest) / second, rest};
    }
};

}  // namespace

std::unique_ptr<Tree> make_kdfs_tree(fs::FileSystem& system) {
    return std::make_unique<KdfsTree>(system);
}
std::unique_ptr<Tree> make_local_tree() { return std::make_unique<LocalTree>(); }

}  // namespace ssi::cli
