// SPDX-License-Identifier: BSD-3-Clause
// Parity of a group of members (level 3), as pure functions: which byte of whose is added to which,
// and the small file that says so. docs/formats/dataset.md has the words.
//
// The files of a member, one after the other, are cut into units. Rows are numbered from 0; of row
// r the member at place r mod n of the group keeps the parity, each other one gives its next unit.
// So each keeps a share of 1 in n - 1, and of each row any one unit, or the parity, may be lost.
#pragma once

#include <span>
#include <vector>

#include "manifest.hpp"

namespace ssi::ckpt {

inline constexpr std::uint32_t parity_level = 3;
inline constexpr std::size_t parity_unit_bytes = std::size_t{512} << 10;

// A member, as its parity needs it to be.
struct ParityMember {
    MemberIndex member = 0;
    io::LogDigest digest;
    std::vector<std::uint64_t> file_bytes;   // of its segments, whole blocks
    std::uint64_t bytes() const;
    friend bool operator==(const ParityMember&, const ParityMember&) = default;
};

// What one member of a group keeps.
struct ParityInfo {
    DatasetId dataset;
    VersionNumber version = 0;
    MemberIndex member = 0;              // that keeps it
    std::vector<ParityMember> group;     // ascending, that one among it
    std::vector<io::LogDigest> rows;     // the hash of each row's parity
    friend bool operator==(const ParityInfo&, const ParityInfo&) = default;

    std::size_t place() const;           // of `member` in the group
    std::uint64_t bytes() const;         // of all rows
};

std::vector<std::byte> encode_parity(const ParityInfo& info);
Result<ParityInfo> decode_parity(std::span<const std::byte> bytes);
// As it is in there, for messages, too.
void put_member(Writer& out, const ParityMember& member);
ParityMember get_parity_member(Reader& in);
// io: the manifest names other members than this was made of.
Result<void> check_parity(const ParityInfo& info, const Manifest& manifest);

// ---- the layout of a group of `size`

constexpr std::size_t keeper_of(std::uint64_t row, std::size_t size) { return row % size; }
// Of the unit-th unit of the member at `place`.
constexpr std::uint64_t row_of(std::uint64_t unit, std::size_t place, std::size_t size) {
    const std::uint64_t keeper = unit % (size - 1);
    return unit / (size - 1) * size + keeper + (keeper >= place ? 1 : 0);
}
// The other way round; the row is kept by another one.
constexpr std::uint64_t unit_in(std::uint64_t row, std::size_t place, std::size_t size) {
    const std::uint64_t keeper = row % size;
    return row / size * (size - 1) + keeper - (keeper > place ? 1 : 0);
}

// Bytes of a stream: of a member, or of the parity that is kept with one.
struct UnitPlace {
    std::uint64_t place = 0;
    std::size_t length = 0;              // 0: there is nothing
};
// What the member at `place` has of the row, when the members have `bytes`, by place: its own unit,
// or the parity of the others'.
UnitPlace unit_of(std::span<const std::uint64_t> bytes, std::uint64_t row, std::size_t place);
// Of the parity that the one at `place` keeps.
std::uint64_t parity_bytes_of(std::span<const std::uint64_t> bytes, std::size_t place);
std::uint64_t rows_of(std::span<const std::uint64_t> bytes);

// sum[i] ^= bytes[i]. `sum` is at least as long.
void add_to_parity(std::span<std::byte> sum, std::span<const std::byte> bytes);
io::LogDigest hash_of_row(std::span<const std::byte> bytes);

}  // namespace ssi::ckpt
