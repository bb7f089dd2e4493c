// SPDX-License-Identifier: BSD-3-Clause
// A file of the machine in kDFS's words, for what handles both: `ssi fs`, and tests that compare.
#pragma once

#include <sys/stat.h>

#include "ssi/io/file_system.hpp"

namespace support {

inline ssi::fs::Attributes attributes_of(const struct stat& of) {
    const auto nanoseconds = [](const timespec& time) {
        return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
    };
    ssi::fs::Attributes attributes;
    attributes.inode = of.st_ino;
    attributes.mode = of.st_mode;
    attributes.uid = of.st_uid;
    attributes.gid = of.st_gid;
    attributes.links = of.st_nlink;
    attributes.size = static_cast<std::uint64_t>(of.st_size);
    attributes.blocks = static_cast<std::uint64_t>(of.st_blocks);
    attributes.access_ns = nanoseconds(of.st_atim);
    attributes.modify_ns = nanoseconds(of.st_mtim);
    attributes.change_ns = nanoseconds(of.st_ctim);
    return attributes;
}

}  // namespace support
