// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/directory_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace ssi::io {

Result<DirectoryLock> DirectoryLock::take(const std::string& directory, bool create) {
    const std::string path = directory + "/lock";
    DirectoryLock lock;
    lock.fd_ = ::open(path.c_str(), O_CLOEXEC | (create ? O_RDWR | O_CREAT : O_RDONLY), 0600);
    if (lock.fd_ < 0 && errno == ENOENT && !create) return lock;
    if (lock.fd_ < 0) return fail_errno(Errc::io, errno, fmt::format("cannot open {}", path));
    if (::flock(lock.fd_, LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno == EWOULDBLOCK)
        return fail(Errc::would_block,
                    fmt::format("{} is open in another process or log: {} is locked", directory,
                                path));
    return fail_errno(Errc::io, errno, fmt::format("cannot lock {}", path));
}

DirectoryLock::DirectoryLock(DirectoryLock&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)) {}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

DirectoryLock::~DirectoryLock() {
    if (fd_ >= 0) ::close(fd_);
}

}  // namespace ssi::io
