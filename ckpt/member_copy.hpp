// SPDX-License-Identifier: BSD-3-Clause
// MemberCopy: a member of another store that is copied into this one, byte for byte, file by file:
// so it counts as that member wherever it is found. For one task at a time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "store_state.hpp"

namespace ssi::ckpt {

// The files of a member that is finished, the small one that makes it whole last.
Result<std::vector<std::string>> files_of_member(Store& store, VersionNumber version,
                                                 MemberIndex member);
// Some of such a file, in whole blocks: calls `piece` with at most `most` bytes at a time.
using VisitPiece = std::function<Result<void>(std::uint64_t place, std::span<const std::byte>)>;
Result<void> read_file_of_member(Store& store, VersionNumber version, MemberIndex member,
                                 const std::string& name, std::size_t most,
                                 const VisitPiece& piece);

class MemberCopy {
public:
    // exists: the member is here; would_block: somebody writes it.
    static Result<std::unique_ptr<MemberCopy>> begin(Store& store, const DatasetId& dataset,
                                                     VersionNumber version, MemberIndex member);
    // Removes what was not finished.
    ~MemberCopy();
    MemberCopy(const MemberCopy&) = delete;
    MemberCopy& operator=(const MemberCopy&) = delete;

    // In order; whole blocks.
    Result<void> write(const std::string& name, std::uint64_t place,
                       std::span<const std::byte> bytes);
    Result<void> finish();               // durable, and verified to be what was asked for

private:
    MemberCopy(Store& store, MemberLock lock, const DatasetId& dataset, VersionNumber version,
               MemberIndex member)
        : store_(store), lock_(std::move(lock)), dataset_(dataset), version_(version),
          member_(member) {}
    Result<void> open();
    Result<void> close_file();

    Store& store_;
    MemberLock lock_;
    const DatasetId dataset_;
    const VersionNumber version_;
    const MemberIndex member_;
    std::string name_;                   // of the file that is being written
    std::unique_ptr<io::DiskFile> file_;
    std::unique_ptr<std::byte, void (*)(void*)> block_{nullptr, std::free};
    std::size_t block_bytes_ = 0;
    bool finished_ = false;
};

}  // namespace ssi::ckpt
