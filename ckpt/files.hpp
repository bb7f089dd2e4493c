// SPDX-License-Identifier: BSD-3-Clause
// Files: what a checkpoint has of a file of kDFS that a rank has open, and how it is put back. An
// object {rank, 0} of an item of kind file: FileState, then, where that says so, its bytes.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "collect.hpp"
#include "ssi/ckpt/dataset.hpp"
#include "ssi/io/file_system.hpp"

namespace ssi::ckpt {

inline constexpr std::size_t block_bytes = 4096;
inline constexpr std::size_t most_file_state_bytes = std::size_t{128} << 10;

struct FileState {
    bool open = false;                   // else nothing of the rest
    bool content = false;                // all of the file's bytes follow
    std::uint32_t flags = 0;             // of open(2), that matter for one that is there
    std::uint32_t mode = 0;              // permissions
    std::uint64_t position = 0;
    std::uint64_t size = 0;
    std::uint64_t inode = 0;             // 0: of another file that takes its place
    std::string path;
    friend bool operator==(const FileState&, const FileState&) = default;
};

// Whole blocks, so that the bytes behind it begin with one.
Bytes encode_file(const FileState& state);
// Of the first bytes of an object, all that the state takes: io.
Result<FileState> decode_file(std::span<const std::byte> bytes);
// How many that are, by the first block of them; 0: that is not one.
std::size_t file_state_bytes(std::span<const std::byte> bytes);

// A file as of a cut.
struct KeptFile {
    FileState state;
    Bytes bytes;                         // the object
    std::optional<Future<void>> sync;    // of what this node wrote
};

// At a restart: by the path that it was open by, the path to open instead.
using Substitutions = std::vector<std::pair<std::string, std::string>>;
// "FROM=TO;FROM=TO": invalid_argument.
Result<Substitutions> parse_substitutions(std::string_view text);

// While nobody writes to it; null: none is open. unsupported (a directory, or removed), and what
// kDFS says.
Result<KeptFile> keep_file(fs::FileSystem& system, fs::File* open, bool content);
// Whether it can be put back: io says why not.
Result<void> check_file(fs::FileSystem& system, const FileState& state);
// By one node: its size, and its bytes where `content` has them. Durable.
Result<void> restore_file(fs::FileSystem& system, const FileState& state,
                          std::span<const std::byte> content);
Result<fs::File> reopen_file(fs::FileSystem& system, const FileState& state);

}  // namespace ssi::ckpt
