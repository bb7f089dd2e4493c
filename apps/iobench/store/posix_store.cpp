// SPDX-License-Identifier: BSD-3-Clause
#include <dirent.h>
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "store/store.hpp"

namespace iobench {
namespace {

[[noreturn]] void failed(const std::string& what) {
    throw ssi::Error({ssi::Errc::io, errno, ssi::no_node, what});
}

class PosixFile : public StoreFile {
public:
    PosixFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
    ~PosixFile() override { ::close(fd_); }
    void pread(std::span<std::byte> out, std::uint64_t offset) override {
        const auto moved = ::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset));
        check_moved(moved, out.size(), "read");
    }
    void pwrite(std::span<const std::byte> bytes, std::uint64_t offset) override {
        const auto moved = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
        check_moved(moved, bytes.size(), "write");
    }
    void sync() override {
        if (::fdatasync(fd_) != 0) failed("cannot sync " + path_);
    }

private:
    void check_moved(ssize_t moved, std::size_t wanted, const char* verb) const {
        if (moved < 0) failed(fmt::format("cannot {} {}", verb, path_));
        errno = 0;
        if (static_cast<std::size_t>(moved) != wanted)
            failed(fmt::format("a {} of {} moved {} of {} bytes", verb, path_, moved, wanted));
    }
    int fd_;
    std::string path_;
};

class PosixStore : public Store {
public:
    explicit PosixStore(std::string directory) : directory_(std::move(directory)) {}
    std::unique_ptr<StoreFile> open(const std::string& path, int flags,
                                    const ssi::fs::Striping&) override {
        const std::string whole = directory_ + path;
        const int fd = ::open(whole.c_str(), flags | O_CLOEXEC, 0644);
        if (fd < 0) failed("cannot open " + whole);
        return std::make_unique<PosixFile>(fd, whole);
    }
    void make_directory(const std::string& path) override {
        if (::mkdir(whole(path).c_str(), 0755) != 0) failed("cannot make " + whole(path));
    }
    void remove_directory(const std::string& path) override {
        if (::rmdir(whole(path).c_str()) != 0) failed("cannot remove " + whole(path));
    }
    std::uint64_t size_of(const std::string& path) override {
        struct stat of {};
        if (::stat(whole(path).c_str(), &of) != 0) failed("cannot stat " + whole(path));
        return static_cast<std::uint64_t>(of.st_size);
    }
    bool exists(const std::string& path) override {
        struct stat of {};
        return ::lstat(whole(path).c_str(), &of) == 0;
    }
    void unlink(const std::string& path) override {
        if (::unlink(whole(path).c_str()) != 0) failed("cannot remove " + whole(path));
    }
    void rename(const std::string& from, const std::string& to) override {
        if (::rename(whole(from).c_str(), whole(to).c_str()) != 0)
            failed("cannot rename " + whole(from));
    }
    void list(const std::string& path, bool attributes,
              const std::function<void(const Entry&)>& each) override {
        const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(whole(path).c_str()),
                                                            &::closedir);
        if (!directory) failed("cannot list " + whole(path));
        while (const dirent* found = ::readdir(directory.get())) {
            const std::string name = found->d_name;
            if (name == "." || name == "..") continue;
            struct stat of {};
            if (attributes &&
                ::fstatat(::dirfd(directory.get()), name.c_str(), &of, AT_SYMLINK_NOFOLLOW) != 0)
                failed("cannot stat " + name + " in " + whole(path));
            each({name, found->d_type == DT_DIR, static_cast<std::uint64_t>(of.st_size)});
        }
    }
    void sync_all() override { ::sync(); }
    // The system's cache belongs to everybody.
    void drop_caches() override {}

private:
    std::string whole(const std::string& path) const { return directory_ + path; }
    std::string directory_;
};

}  // namespace

std::unique_ptr<Store> make_posix_store(std::string directory) {
    return std::make_unique<PosixStore>(std::move(directory));
}

}  // namespace iobench
