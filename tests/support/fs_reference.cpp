// SPDX-License-Identifier: BSD-3-Clause
#include "fs_reference.hpp"

#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <thread>

#include "support/local_attributes.hpp"

namespace ssi::test {
namespace {

Failure failure_of(int error) { return {Errc::io, error, no_node, std::strerror(error)}; }
tl::unexpected<Failure> failed() { return tl::unexpected<Failure>(failure_of(errno)); }
Result<void> checked(long outcome) {
    if (outcome < 0) return failed();
    return {};
}
Result<std::size_t> counted(long outcome) {
    if (outcome < 0) return failed();
    return static_cast<std::size_t>(outcome);
}

class LocalFile : public OpenFile {
public:
    explicit LocalFile(int fd) : fd_(fd) {}
    ~LocalFile() override { ::close(fd_); }
    Result<std::size_t> pread(std::span<std::byte> out, std::uint64_t offset) override {
        return counted(::pread(fd_, out.data(), out.size(), static_cast<off_t>(offset)));
    }
    Result<std::size_t> pwrite(std::span<const std::byte> bytes, std::uint64_t offset) override {
        return counted(::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset)));
    }
    Result<std::size_t> read(std::span<std::byte> out) override {
        return counted(::read(fd_, out.data(), out.size()));
    }
    Result<std::size_t> write(std::span<const std::byte> bytes) override {
        return counted(::write(fd_, bytes.data(), bytes.size()));
    }
    Result<std::uint64_t> seek(std::int64_t offset, int whence) override {
        const off_t place = ::lseek(fd_, offset, whence);
        if (place < 0) return failed();
        return static_cast<std::uint64_t>(place);
    }
    // The reference never meets a power cut.
    Result<void> sync() override { return {}; }
    Result<void> truncate(std::uint64_t size) override {
        return checked(::ftruncate(fd_, static_cast<off_t>(size)));
    }
    Result<void> allocate(int mode, std::uint64_t offset, std::uint64_t length) override {
        return checked(::fallocate(fd_, mode, static_cast<off_t>(offset),
                                   static_cast<off_t>(length)));
    }
    Result<fs::Attributes> stat() override {
        struct stat of {};
        if (::fstat(fd_, &of) != 0) return failed();
        return support::attributes_of(of);
    }

private:
    int fd_;
};

// By system calls, with the root that the calling thread has. Paths begin there.
class LocalApi : public FileApi {
public:
    Result<std::unique_ptr<OpenFile>> open(const std::string& path, int flags, std::uint32_t mode,
                                           const fs::Striping&) override {
        // Durability is nothing that a comparison can see, and costs much on a real disk.
        const int fd = ::open(path.c_str(), (flags & ~(O_SYNC | O_DSYNC)) | O_CLOEXEC, mode);
        if (fd < 0) return failed();
        return std::make_unique<LocalFile>(fd);
    }
    Result<fs::Attributes> stat(const std::string& path, bool follow) override {
        struct stat of {};
        if (::fstatat(AT_FDCWD, path.c_str(), &of, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0)
            return failed();
        return support::attributes_of(of);
    }
    Result<void> set_attributes(const std::string& path, const fs::AttributeChange& change,
                                bool follow) override {
        const char* name = path.c_str();
        const int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
        if (change.mode) SSI_TRY(checked(::fchmodat(AT_FDCWD, name, *change.mode, flags)));
        const bool nothing = !change.uid && !change.gid && !change.mode && !change.size &&
                             !change.access_ns && !change.access_now && !change.modify_ns &&
                             !change.modify_now;
        struct stat there;
        if (nothing) return checked(::fstatat(AT_FDCWD, name, &there, flags));
        if (change.uid || change.gid)
            SSI_TRY(checked(::fchownat(AT_FDCWD, name, change.uid.value_or(UINT32_MAX),
                                       change.gid.value_or(UINT32_MAX), flags)));
        if (change.size) SSI_TRY(checked(::truncate(name, static_cast<off_t>(*change.size))));
        const timespec times[] = {time_of(change.access_ns, change.access_now),
                                  time_of(change.modify_ns, change.modify_now)};
        if (times[0].tv_nsec != UTIME_OMIT || times[1].tv_nsec != UTIME_OMIT)
            return checked(::utimensat(AT_FDCWD, name, times, flags));
        return {};
    }
    Result<void> make_directory(const std::string& path, std::uint32_t mode) override {
        return checked(::mkdir(path.c_str(), mode));
    }
    Result<void> remove_directory(const std::string& path) override {
        return checked(::rmdir(path.c_str()));
    }
    Result<void> unlink(const std::string& path) override {
        return checked(::unlink(path.c_str()));
    }
    Result<void> rename(const std::string& from, const std::string& to, unsigned flags) override {
        return checked(::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags));
    }
    Result<void> link(const std::string& from, const std::string& to) override {
        return checked(::link(from.c_str(), to.c_str()));
    }
    Result<void> symlink(const std::string& target, const std::string& path) override {
        return checked(::symlink(target.c_str(), path.c_str()));
    }
    Result<std::string> read_link(const std::string& path) override {
        std::string target(fs::most_path_bytes + 1, '\0');
        const auto length = ::readlink(path.c_str(), target.data(), target.size());
        if (length < 0) return failed();
        target.resize(static_cast<std::size_t>(length));
        return target;
    }
    Result<void> access(const std::string& path, int mode) override {
        return checked(::access(path.c_str(), mode));
    }
    Result<std::vector<fs::DirectoryEntry>> list(const std::string& path, std::size_t,
                                                 bool attributes) override {
        const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), &::closedir);
        if (!directory) return failed();
        std::vector<fs::DirectoryEntry> entries;
        while (const dirent* found = ::readdir(directory.get())) {
            const std::string name = found->d_name;
            if (name == "." || name == "..") continue;
            fs::DirectoryEntry entry;
            entry.name = name;
            entry.type = DTTOIF(found->d_type);
            struct stat of {};
            if (attributes) {
                const int fd = ::dirfd(directory.get());
                if (::fstatat(fd, name.c_str(), &of, AT_SYMLINK_NOFOLLOW) != 0) return failed();
                entry.attributes = support::attributes_of(of);
            }
            entries.push_back(std::move(entry));
        }
        return entries;
    }
    Result<void> set_xattr(const std::string& path, const std::string& name,
                           std::span<const std::byte> value, int flags) override {
        return checked(::setxattr(path.c_str(), name.c_str(), value.data(), value.size(), flags));
    }
    Result<std::vector<std::byte>> get_xattr(const std::string& path,
                                             const std::string& name) override {
        std::vector<std::byte> value(65536);
        const auto length = ::getxattr(path.c_str(), name.c_str(), value.data(), value.size());
        if (length < 0) return failed();
        value.resize(static_cast<std::size_t>(length));
        return value;
    }
    Result<std::vector<std::string>> list_xattrs(const std::string& path) override {
        std::string names(65536, '\0');
        const auto length = ::listxattr(path.c_str(), names.data(), names.size());
        if (length < 0) return failed();
        std::vector<std::string> list;
        for (std::size_t at = 0; at < static_cast<std::size_t>(length);) {
            list.emplace_back(names.c_str() + at);
            at += list.back().size() + 1;
        }
        return list;
    }
    Result<void> remove_xattr(const std::string& path, const std::string& name) override {
        return checked(::removexattr(path.c_str(), name.c_str()));
    }
    Result<void> sync(const std::string& path) override {
        SSI_TRY(stat(path, false));
        return {};
    }
    // The raw calls change this thread alone; user 0 stays behind the saved id.
    Result<void> become(const fs::Credentials& who) override {
        SSI_TRY(checked(::syscall(SYS_setresuid, 0, 0, 0)));
        SSI_TRY(checked(::syscall(SYS_setgroups, who.groups.size(), who.groups.data())));
        SSI_TRY(checked(::syscall(SYS_setresgid, who.gid, who.gid, 0)));
        SSI_TRY(checked(::syscall(SYS_setresuid, who.uid, who.uid, 0)));
        ::umask(who.umask);
        return {};
    }

private:
    static timespec time_of(const std::optional<std::int64_t>& time, bool now) {
        if (now) return {0, UTIME_NOW};
        if (!time) return {0, UTIME_OMIT};
        const std::int64_t second = 1'000'000'000;
        const std::int64_t rest = (*time % second + second) % second;
        return {(*time - rest) / second, rest};
    }
};

}  // namespace

struct LocalDirectory::State {
    std::mutex calls;      // held for a call
    std::mutex mutex;
    std::condition_variable changed;
    const std::function<void(FileApi&)>* body = nullptr;
    bool started = false, stopped = false;
    int error = 0;
    std::thread thread;

    void serve(const std::string& directory) {
        LocalApi api;
        const bool confined = ::unshare(CLONE_FS) == 0 && ::chroot(directory.c_str()) == 0 &&
                              ::chdir("/") == 0;
        const int reason = confined ? 0 : errno;
        ::umask(0);
        std::unique_lock lock(mutex);
        error = reason;
        started = true;
        changed.notify_all();
        while (confined) {
            changed.wait(lock, [&] { return body || stopped; });
            if (!body) return;
            (*body)(api);
            body = nullptr;
            changed.notify_all();
        }
    }
};

LocalDirectory::LocalDirectory(std::unique_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<LocalDirectory>> LocalDirectory::open(const std::string& directory) {
    auto state = std::make_unique<State>();
    State& of = *state;
    of.thread = std::thread([&of, directory] { of.serve(directory); });
    std::unique_lock lock(of.mutex);
    of.changed.wait(lock, [&] { return of.started; });
    const int error = of.error;
    lock.unlock();
    std::unique_ptr<LocalDirectory> opened(new LocalDirectory(std::move(state)));
    if (error)
        return fail_errno(Errc::io, error, "cannot make " + directory + " the root of a thread: " +
                                               std::strerror(error));
    return opened;
}

LocalDirectory::~LocalDirectory() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->stopped = true;
        state_->changed.notify_all();
    }
    state_->thread.join();
}

void LocalDirectory::run(const std::function<void(FileApi&)>& body) {
    const std::lock_guard one(state_->calls);
    std::unique_lock lock(state_->mutex);
    state_->body = &body;
    state_->changed.notify_all();
    state_->changed.wait(lock, [&] { return !state_->body; });
}

}  // namespace ssi::test
