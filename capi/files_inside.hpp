// SPDX-License-Identifier: BSD-3-Clause
// What handles of file systems, files and directories point to, and their border: as call(), and
// besides errno is set to what POSIX calls the failure.
#pragma once

#include <cerrno>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "handles.hpp"
#include "ssi/io/file_system.hpp"

struct ssi_file {
    ssi::fs::File file;
    ssi_fs* fs;
    std::list<std::unique_ptr<ssi_file>>::iterator place;   // in its file system's list
};

struct ssi_dir {
    ssi::fs::File directory;
    ssi_fs* fs;
    std::list<std::unique_ptr<ssi_dir>>::iterator place;
    bool attributes;                                // are wanted
    std::vector<ssi::fs::DirectoryEntry> entries;   // from `next` on to be told
    std::size_t next;
    std::uint64_t cookie;                           // where to go on behind `entries`
    ssi_fs_entry shown;
    ssi_fs_attributes shown_attributes;
};

struct ssi_fs {
    ssi_session* session;
    std::unique_ptr<ssi::fs::FileSystem> system;
    ssi::sys::Mutex mutex;                          // guards the lists
    std::list<std::unique_ptr<ssi_file>> files;     // that are open
    std::list<std::unique_ptr<ssi_dir>> directories;
};

namespace ssi::capi {

// What POSIX calls the calling task's last failure, whose number is `error`. Never 0.
int errno_of(int error) noexcept;

template <class Body>
int file_call(Body&& body) noexcept {
    const int result = call(std::forward<Body>(body));
    if (result != SSI_OK) errno = errno_of(result);
    return result;
}

// Runs body(FileSystem).
template <class Body>
int on_fs(ssi_fs* fs, Body&& body) noexcept {
    return file_call([&]() -> Result<void> {
        SSI_TRY(need(fs, "fs"));
        return body(*fs->system);
    });
}
template <class Body>
int on_path(ssi_fs* fs, const char* path, Body&& body) noexcept {
    return file_call([&]() -> Result<void> {
        SSI_TRY(need(fs, "fs"));
        SSI_TRY(need(path, "path"));
        return body(*fs->system);
    });
}
// Runs body(File).
template <class Body>
int on_file(ssi_file* file, Body&& body) noexcept {
    return file_call([&]() -> Result<void> {
        SSI_TRY(need(file, "file"));
        return body(file->file);
    });
}

// A handle of an open file, in its file system's list.
ssi_file* adopt(ssi_fs& fs, fs::File&& file);
Result<fs::Striping> striping_of(const ssi_fs_striping& striping);
void fill(ssi_fs_attributes& to, const fs::Attributes& from);   // but for its size
// As much of it as the program knows.
Result<void> give(const fs::Attributes& from, ssi_fs_attributes* to);

}  // namespace ssi::capi
