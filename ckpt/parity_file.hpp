// SPDX-License-Identifier: BSD-3-Clause
// Parity on disk: the folder vN/pK has the rows that are kept with member K, and the small file
// that makes them count. And members read as streams of units. Blocking; for one task at a time.
#pragma once

#include <cstdlib>

#include "member_copy.hpp"
#include "parity.hpp"

namespace ssi::ckpt {

// Memory that disks take; filled with zeroes at first.
class UnitBuffer {
public:
    UnitBuffer();                        // throws std::bad_alloc
    std::span<std::byte> bytes() { return {memory_.get(), parity_unit_bytes}; }

private:
    std::unique_ptr<std::byte, void (*)(void*)> memory_;
};

// Rows being written, one after the other.
class ParityWriter {
public:
    // What was there of it goes.
    static Result<std::unique_ptr<ParityWriter>> begin(Store& store, const DatasetId& dataset,
                                                       VersionNumber version, MemberIndex member);
    // Removes what was not finished.
    ~ParityWriter();
    ParityWriter(const ParityWriter&) = delete;
    ParityWriter& operator=(const ParityWriter&) = delete;

    // Memory of one unit for the next row; waits for the disk when several are under way.
    Result<std::span<std::byte>> next();
    // So much of it is the row, in whole blocks.
    Result<void> add(std::size_t length);
    // All of them, durable. Then it counts. `group`: of the members as they are.
    Result<void> finish(std::vector<ParityMember> group);

private:
    ParityWriter(Store& store, const DatasetId& dataset, VersionNumber version, MemberIndex member);
    Result<void> open();

    Store& store_;
    ParityInfo info_;
    const std::string folder_;
    std::unique_ptr<io::DiskFile> file_;
    std::span<std::byte> row_;
    std::uint64_t bytes_ = 0, room_ = 0;
    std::unique_ptr<Flight> flight_;     // lands before the file is closed
    bool finished_ = false;
};

// The small file. not_found; io: it is damaged, or has other rows beside it.
Result<ParityInfo> parity_in(Store& store, VersionNumber version, MemberIndex member);
// By member, a store that has the parity that is kept with it, fit for the manifest; null: none.
std::vector<Store*> place_parity(std::span<Store* const> stores, const Manifest& manifest);
// Every byte of it: what is wrong, for each member whose parity is not as it was written.
using ParityProgress = std::function<void(std::uint64_t bytes)>;
std::vector<std::string> verify_parity(std::span<Store* const> stores, const Manifest& manifest,
                                       const ParityProgress& progress);

// A file of rows, for reading.
class ParityReader {
public:
    ParityReader(Store& store, ParityInfo info) : store_(store), info_(std::move(info)) {}
    const ParityInfo& info() const { return info_; }
    // In `into`; verified.
    Result<void> row(std::uint64_t number, std::span<std::byte> into);

private:
    Store& store_;
    const ParityInfo info_;
    std::unique_ptr<io::DiskFile> file_;
};

// The files of a member, one after the other.
class MemberStream {
public:
    MemberStream(Store& store, MemberInfo info) : store_(store), info_(std::move(info)) {}
    Result<ParityMember> open();         // as the files are
    // From `place` on, as long as `into` is: in order.
    Result<void> read(std::uint64_t place, std::span<std::byte> into);

private:
    Store& store_;
    const MemberInfo info_;
    ParityMember files_;
    std::size_t at_ = 0;                 // the file that is open
    std::uint64_t begin_ = 0;            // where it begins
    std::unique_ptr<io::DiskFile> file_;
};

// Reads every byte: io unless it is what the info says. `folder`: of the disk.
Result<void> verify_log(io::Disk& disk, const std::string& folder, const MemberInfo& info);

}  // namespace ssi::ckpt
