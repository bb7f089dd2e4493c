// SPDX-License-Identifier: BSD-3-Clause
// What a MemberWriter is inside.
#pragma once

#include <atomic>
#include <map>

#include "ssi/io/throttled_disk.hpp"
#include "store_state.hpp"

namespace ssi::ckpt {

struct MemberWriter::Impl {
    Impl(Store::State& s, MemberLock l) : store(s), lock(std::move(l)) {}

    Store::State& store;
    MemberLock lock;
    std::unique_ptr<io::Disk> throttled;             // null: the store's
    std::unique_ptr<io::SealedLogWriter> log;        // goes before the disk
    MemberInfo info;
    std::optional<Failure> failure;
    bool finished = false;
    Part object;                                     // whose parts come
    std::uint64_t next = 0;                          // where its next part begins
    std::atomic<std::uint64_t> put_bytes{0};
    std::map<VersionNumber, Manifest> bases;

    // Makes the member's folder, locked, and its log.
    Result<void> begin(const MemberOptions& options);
    Result<void> claim(const MemberOptions& options);
    // Whether the part comes next.
    Result<void> accept(const Part& part, std::uint64_t length);
    Result<void> keep(Result<void> outcome);         // a failure ends it all
    Result<void> add(io::RecordKind kind, Part part, std::uint64_t length,
                     std::span<const std::byte> bytes);
    Result<void> add_data(Part part, std::span<const std::byte> bytes);
    Result<void> add_long(io::RecordKind kind, Part part, std::uint64_t length,
                          std::span<const std::byte> payload);
    Result<void> put(const Part& part, std::span<const std::byte> bytes);
    Result<void> depend(const Base& base);
    Result<void> finish();
    void abandon();
};

}  // namespace ssi::ckpt
