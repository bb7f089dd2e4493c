// SPDX-License-Identifier: BSD-3-Clause
// MemberCopy: a member of another store that is copied into this one, byte for byte, file by file:
// so it counts as that member wherever it is found. For one task at a time.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store_files.hpp"
#include "store_state.hpp"

namespace ssi::ckpt {

// The files of a member that is finished, the small one that makes it whole last.
Result<std::vector<std::string>> files_of_member(Store& store, VersionNumber version,
                                                 MemberIndex member);
// A part of a file of a member.
struct FilePiece {
    std::string_view name;
    std::uint64_t file_bytes = 0;        // of the whole file, at most
    std::uint64_t place = 0;
    std::span<const std::byte> bytes;
};
// Such a file, in order, in whole blocks, at most `most` bytes at a time; the next ones are read
// meanwhile.
using VisitPiece = std::function<Result<void>(const FilePiece& piece)>;
Result<void> read_file_of_member(Store& store, VersionNumber version, MemberIndex member,
                                 const std::string& name, std::size_t most,
                                 const VisitPiece& piece);

// Requests on pieces of files that are under way together, in buffers that are used in turn.
class Flight {
public:
    explicit Flight(io::Disk& disk) : disk_(disk) {}
    ~Flight() { (void)land(); }
    Flight(const Flight&) = delete;
    Flight& operator=(const Flight&) = delete;

    static constexpr std::size_t places = 4;
    // The buffer that was used longest ago, once it is free; how that went.
    Result<std::span<std::byte>> next(std::size_t bytes);
    // Of the buffer that `next` has given last: all of it, or its first `bytes`.
    void submit(io::DiskRequest::Kind kind, io::DiskFile& file, std::uint64_t place);
    void submit(io::DiskRequest::Kind kind, io::DiskFile& file, std::uint64_t place,
                std::size_t bytes);
    // The oldest one that is under way, done.
    Result<std::span<const std::byte>> oldest();
    // All of them are done: the first fault.
    Result<void> land();
    std::size_t under_way() const { return under_way_; }
    // Requests submitted so far, and those of them that are known to be done: the oldest ones.
    std::uint64_t submitted() const { return submitted_; }
    std::uint64_t landed() const { return submitted_ - under_way_; }

private:
    struct Piece {
        std::unique_ptr<std::byte, void (*)(void*)> memory{nullptr, std::free};
        std::size_t capacity = 0;
        io::DiskRequest request;
    };
    Result<void> wait(Piece& piece);

    io::Disk& disk_;
    std::array<Piece, places> pieces_;
    std::size_t first_ = 0, under_way_ = 0;   // those from `first_` on
    std::uint64_t submitted_ = 0;
};

class MemberCopy {
public:
    // exists: the member is here; would_block: somebody writes it.
    static Result<std::unique_ptr<MemberCopy>> begin(Store& store, const DatasetId& dataset,
                                                     VersionNumber version, MemberIndex member);
    // One whose bytes were found by calculation, in place of what is here: only when every byte was
    // read and verified, file by file, so that at no moment less is left of it than there was.
    static Result<std::unique_ptr<MemberCopy>> rebuild(Store& store, const MemberInfo& info);
    // Removes what was not finished.
    ~MemberCopy();
    MemberCopy(const MemberCopy&) = delete;
    MemberCopy& operator=(const MemberCopy&) = delete;

    // In order; whole blocks. Waits for the disk only when several are being written.
    Result<void> write(const FilePiece& piece);
    // The same in two steps: memory for a piece of so many bytes, and what that has is written.
    Result<std::span<std::byte>> room(const FilePiece& piece, std::size_t bytes);
    void write_room();
    // The file that is being written is shorter than it might have become.
    Result<void> end_file(std::string_view name, std::uint64_t bytes);
    Result<void> finish();               // durable, and verified to be what was asked for
    // What makes it whole, as its writer would have written it: for one that is rebuilt.
    Result<void> write_member_file(const MemberInfo& info);

private:
    MemberCopy(Store& store, MemberLock lock, const DatasetId& dataset, VersionNumber version,
               MemberIndex member)
        : store_(store), lock_(std::move(lock)), dataset_(dataset), version_(version),
          member_(member), folder_(member_folder(version, member)),
          flight_(store.state().disk) {}
    Result<void> open();
    Result<void> begin_file(const FilePiece& first);
    Result<void> begin_sync(std::size_t count);
    Result<void> end_sync();
    Result<void> sync_files();
    Result<void> take_place();
    void discard();

    Store& store_;
    MemberLock lock_;
    const DatasetId dataset_;
    const VersionNumber version_;
    const MemberIndex member_;
    std::string folder_;                 // where files go to
    std::optional<MemberInfo> rebuilt_;
    std::string name_;                   // of the file that is being written
    std::uint64_t room_place_ = 0;       // in it
    struct File {
        std::unique_ptr<io::DiskFile> file;
        std::uint64_t room = 0, bytes = 0;
        std::uint64_t written = 0;       // submitted requests when its last one was
    };
    struct Syncing {
        std::unique_ptr<io::DiskFile> file;
        io::DiskRequest request;
    };
    std::deque<File> files_;             // not asked to be durable yet; that one is the last
    std::deque<Syncing> syncing_;
    Flight flight_;
    bool finished_ = false;
};

}  // namespace ssi::ckpt
