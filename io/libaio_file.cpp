// SPDX-License-Identifier: BSD-3-Clause
#include "libaio_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <limits>

namespace ssi::io {

LibaioFile::~LibaioFile() { ::close(fd); }

template <class Call>
Result<void> LibaioFile::change(const char* verb, Call call) {
    if (read_only)
        return fail_errno(Errc::io, EBADF,
                          fmt::format("cannot {} {}: it is open for reading", verb, name_));
    while (call() != 0) {
        if (errno == EINTR) continue;
        const char* const hint = errno == EOPNOTSUPP ? ": its file system has no such call" : "";
        return fail_errno(Errc::io, errno, fmt::format("cannot {} {} of {}{}", verb, name_, disk_,
                                                       hint));
    }
    return {};
}

Result<std::uint64_t> LibaioFile::size() const {
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return fail_errno(Errc::io, errno, fmt::format("cannot look at {} of {}", name_, disk_));
    return static_cast<std::uint64_t>(status.st_size);
}

Result<void> LibaioFile::truncate(std::uint64_t bytes) {
    return change("truncate", [&] { return ::ftruncate(fd, static_cast<off_t>(bytes)); });
}

// File systems find out late, and then have filled the disk and keep what they got.
bool LibaioFile::has_room_for(std::uint64_t bytes) const {
    struct stat status {};
    struct statvfs system {};
    if (::fstat(fd, &status) != 0 || ::fstatvfs(fd, &system) != 0) return true;
    const std::uint64_t held = static_cast<std::uint64_t>(status.st_blocks) * 512;
    return bytes <= held || bytes - held <= std::uint64_t{system.f_bavail} * system.f_frsize;
}

Result<void> LibaioFile::allocate(std::uint64_t place, std::uint64_t bytes) {
    return change("allocate", [&] {
        if (bytes == 0) return 0;
        if (!has_room_for(bytes)) {
            errno = ENOSPC;
            return -1;
        }
        return ::fallocate(fd, 0, static_cast<off_t>(place), static_cast<off_t>(bytes));
    });
}

Result<void> LibaioFile::punch(std::uint64_t place, std::uint64_t bytes) {
    if (place % block_bytes != 0 || bytes % block_bytes != 0)
        return fail_errno(Errc::io, EINVAL,
                          fmt::format("cannot punch parts of blocks of {}", name_));
    return change("punch", [&] {
        return bytes == 0 ? 0 : ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                            static_cast<off_t>(place), static_cast<off_t>(bytes));
    });
}

}  // namespace ssi::io
