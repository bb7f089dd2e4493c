// SPDX-License-Identifier: BSD-3-Clause
// Files of the machine.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

#include "fs_tree.hpp"
#include "support/local_attributes.hpp"

namespace ssi::cli {
namespace {

tl::unexpected<Failure> failed(const std::string& path) {
    return fail_errno(errno == ENOENT ? Errc::not_found : Errc::io, errno, path);
}
Result<void> checked(int outcome, const std::string& path) {
    if (outcome < 0) return failed(path);
    return {};
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
        return support::attributes_of(of);
    }
    Result<std::vector<fs::Extent>> extents() override {
        return fail(Errc::unsupported, path_ + ": is not in kDFS");
    }

private:
    int fd_;
    std::string path_;
};

// As large as Linux lets them be.
constexpr std::size_t xattr_list_bytes = 64u << 10, xattr_value_bytes = 64u << 10;

class LocalTree : public Tree {
public:
    Result<std::unique_ptr<TreeFile>> open(const std::string& path, int flags,
                                           std::uint32_t mode, const fs::Striping&) override {
        const int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
        if (fd < 0) return failed(path);
        return std::make_unique<LocalFile>(fd, path);
    }
    Result<fs::Attributes> stat(const std::string& path, bool follow) override {
        struct stat of {};
        if (::fstatat(AT_FDCWD, path.c_str(), &of, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
            return failed(path);
        return support::attributes_of(of);
    }
    Result<std::vector<fs::DirectoryEntry>> list(const std::string& path, bool) override {
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
    Result<void> link(const std::string& from, const std::string& to) override {
        return checked(::link(from.c_str(), to.c_str()), to);
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
    Result<std::uint64_t> device_of(const std::string& path) override {
        struct stat of {};
        if (::stat(path.c_str(), &of) != 0) return failed(path);
        return std::uint64_t{of.st_dev};
    }
    Result<std::vector<std::string>> list_xattrs(const std::string& path) override {
        std::string names(xattr_list_bytes, '\0');
        const auto length = ::listxattr(path.c_str(), names.data(), names.size());
        if (length < 0 && errno == ENOTSUP) return std::vector<std::string>();
        if (length < 0) return failed(path);
        std::vector<std::string> all;
        for (std::size_t at = 0; at < static_cast<std::size_t>(length);
             at += all.back().size() + 1)
            all.emplace_back(names.c_str() + at);
        return all;
    }
    Result<std::vector<std::byte>> get_xattr(const std::string& path,
                                             const std::string& name) override {
        std::vector<std::byte> value(xattr_value_bytes);
        const auto length = ::getxattr(path.c_str(), name.c_str(), value.data(), value.size());
        if (length < 0) return failed(path + ": " + name);
        value.resize(static_cast<std::size_t>(length));
        return value;
    }
    Result<void> set_xattr(const std::string& path, const std::string& name,
                           std::span<const std::byte> value) override {
        return checked(::setxattr(path.c_str(), name.c_str(), value.data(), value.size(), 0),
                       path + ": " + name);
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

std::unique_ptr<Tree> make_local_tree() { return std::make_unique<LocalTree>(); }

}  // namespace ssi::cli
