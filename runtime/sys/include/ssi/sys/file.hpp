// SPDX-License-Identifier: BSD-3-Clause
// File: bytes at places of a file, by blocking calls that are safe from several threads. Never from
// a message handler. (Direct and asynchronous I/O of disks is another matter.)
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "ssi/base/result.hpp"

namespace ssi::sys {

class File {
public:
    enum class Mode : std::uint8_t { read, write, create };   // create: made when there is none

    // Errors are io, with the path and errno.
    static Result<std::unique_ptr<File>> open(const std::string& path, Mode mode);
    ~File();
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    // How many bytes were read: fewer than asked for only at the end of the file.
    Result<std::size_t> read_at(std::span<std::byte> bytes, std::uint64_t place);
    Result<void> write_at(std::span<const std::byte> bytes, std::uint64_t place);   // all of them
    Result<void> sync();                                                            // the data
    Result<void> truncate(std::uint64_t bytes);
    Result<std::uint64_t> size() const;
    const std::string& path() const { return path_; }

private:
    File(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
    Result<void> failed(const char* what) const;

    const std::string path_;
    const int fd_;
};

}  // namespace ssi::sys
