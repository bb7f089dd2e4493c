// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/sys/file.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace ssi::sys {

Result<std::unique_ptr<File>> File::open(const std::string& path, Mode mode) {
    int flags = O_CLOEXEC | (mode == Mode::read ? O_RDONLY : O_RDWR);
    if (mode == Mode::create) flags |= O_CREAT;
    const int fd = ::open(path.c_str(), flags, 0644);
    if (fd < 0) return fail_errno(Errc::io, errno, fmt::format("cannot open {}", path));
    return std::unique_ptr<File>(new File(path, fd));
}

File::~File() { ::close(fd_); }

Result<void> File::failed(const char* what) const {
    return fail_errno(Errc::io, errno, fmt::format("cannot {} {}", what, path_));
}

Result<std::size_t> File::read_at(std::span<std::byte> bytes, std::uint64_t place) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t got = ::pread(fd_, bytes.data() + done, bytes.size() - done,
                                    static_cast<off_t>(place + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return tl::unexpected<Failure>(failed("read").error());
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

Result<void> File::write_at(std::span<const std::byte> bytes, std::uint64_t place) {
    std::size_t done = 0;
    while (done < bytes.size()) {
        const ssize_t put = ::pwrite(fd_, bytes.data() + done, bytes.size() - done,
                                     static_cast<off_t>(place + done));
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return failed("write");
        done += static_cast<std::size_t>(put);
    }
    return {};
}

Result<void> File::sync() { return ::fdatasync(fd_) == 0 ? Result<void>{} : failed("sync"); }

Result<void> File::truncate(std::uint64_t bytes) {
    return ::ftruncate(fd_, static_cast<off_t>(bytes)) == 0 ? Result<void>{} : failed("truncate");
}

Result<std::uint64_t> File::size() const {
    struct stat status {};
    if (::fstat(fd_, &status) != 0) return tl::unexpected<Failure>(failed("look at").error());
    return static_cast<std::uint64_t>(status.st_size);
}

}  // namespace ssi::sys
