// SPDX-License-Identifier: BSD-3-Clause
// Parity while members are written: each rank of a group sends every unit of its member to the one
// that keeps the row's parity, and keeps that of rows whose turn it is. All meet in the order of
// rows, so none runs further ahead than the channels between them hold.
#pragma once

#include "copies.hpp"
#include "parity_file.hpp"

namespace ssi::ckpt {

// The ranks of a group, ascending, and which of them this one is.
struct ParityGroup {
    std::vector<int> ranks;
    std::size_t place = 0;
};

// Sends the units of this rank's member, as it is written.
class ParitySender final : public io::SealedLogMirror {
public:
    ParitySender(Copies& copies, const ParityGroup& group) : copies_(copies), group_(group) {}
    Result<void> write(std::string_view file, std::uint64_t most, std::uint64_t place,
                       std::span<const std::byte> bytes) override;
    Result<void> end(std::string_view file, std::uint64_t bytes) override;
    // What the member is, in whose parity; or why it is not, which all others hear of.
    Result<ParityMember> finish(const Result<MemberInfo>& saved);

private:
    Result<void> open();
    PieceSender& keeper();               // of the unit that comes
    Result<void> send_unit();
    Result<ParityMember> close(const Result<MemberInfo>& saved);

    Copies& copies_;
    const ParityGroup group_;
    std::vector<std::optional<PieceSender>> senders_;   // by place; none for this one
    std::uint64_t unit_ = 0;             // the number of the one that comes
    std::size_t filled_ = 0;             // so much of it has come
    std::vector<std::uint64_t> files_;   // bytes that were written
};

// Keeps the parity of what the others send.
class ParityKeeper {
public:
    ParityKeeper(Copies& copies, const ParityGroup& group, Store& into, const CopyOf& own)
        : copies_(copies), group_(group), into_(into), own_(own), members_(group.ranks.size()),
          ended_(group.ranks.size()) {}
    // By a task of its own: until all others have ended. What went wrong, here or at one of them.
    Result<void> receive();
    // Durable. Without it nothing is left.
    Result<void> finish(ParityMember mine);

private:
    Result<void> receive_all();
    // One of the row, from each that has not ended: whether any came.
    Result<bool> receive_row(std::uint64_t row);
    Result<void> add(std::size_t place, const Piece& piece, std::uint64_t row);
    void keep(Result<void> outcome);     // the first failure

    Copies& copies_;
    const ParityGroup group_;
    Store& into_;
    const CopyOf own_;
    std::unique_ptr<ParityWriter> writer_;
    std::vector<std::optional<PieceReceiver>> receivers_;   // by place
    std::vector<ParityMember> members_;  // the same
    std::vector<bool> ended_;
    std::span<std::byte> sum_;           // of the row, as far as it was received
    std::size_t length_ = 0;             // of that
    std::optional<UnitBuffer> unit_;     // of a group of more than two
    Result<void> kept_;
};

}  // namespace ssi::ckpt
