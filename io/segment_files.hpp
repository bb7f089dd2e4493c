// SPDX-License-Identifier: BSD-3-Clause
// The files of a log: their names, and reading headers, footers and whole segments. Shared by the
// log and by the tools that only look. No state; blocking reads.
#pragma once

#include <optional>
#include <string_view>

#include "block_buffer.hpp"
#include "log_format.hpp"
#include "ssi/io/disk.hpp"

namespace ssi::io {

std::string segment_name(std::uint64_t generation);
std::string spare_name(std::uint64_t number);
std::optional<std::uint64_t> generation_of(std::string_view name);
std::optional<std::uint64_t> spare_number_of(std::string_view name);
// The path in the disk of a file of the log.
std::string path_in(const std::string& directory, const std::string& name);

struct LogFiles {
    std::vector<std::uint64_t> segments;   // generations, ascending
    std::vector<std::uint64_t> spares;     // numbers, ascending
};
Result<LogFiles> list_log(Disk& disk, const std::string& directory);

// A file open for reading, and its size in whole blocks.
struct SegmentFile {
    std::unique_ptr<DiskFile> file;
    std::uint64_t bytes = 0;
};
Result<SegmentFile> open_segment(Disk& disk, const std::string& path);
Result<SegmentHeader> read_header(Disk& disk, const SegmentFile& segment);
// Nothing when there is none; a failure of code io when there is a damaged one.
Result<std::optional<SegmentFooter>> read_footer(Disk& disk, DiskFile& file, std::uint64_t bytes,
                                                 const HashKey& key);
Result<BlockBuffer> read_bytes(Disk& disk, DiskFile& file, std::uint64_t place,
                               std::uint64_t bytes);

// What the directory says the log is made of.
struct LogMap {
    SegmentHeader newest;
    std::vector<std::uint64_t> not_begun;   // generations above it, free
    std::vector<std::uint64_t> free;        // below it, not part of the log
};
// `identity`: what the log must be, if that is known. not_found: no segment was ever begun.
Result<LogMap> map_log(Disk& disk, const std::string& directory, const LogFiles& files,
                       const std::optional<LogIdentity>& identity, LogPlants plants);
// io when the newest segment's footer says that a later segment's file is there, and none is.
// `path`: the segment's, for the message.
Result<void> check_follower(std::uint64_t generation, bool followed, const LogFiles& files,
                            const std::string& path, const std::string& disk_name);

// "log DIR of DISK: FILE, byte N: what"
Failure log_failure(const Failure& cause, const std::string& file,
                    std::optional<std::uint64_t> byte = {});

}  // namespace ssi::io
