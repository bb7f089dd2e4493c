// SPDX-License-Identifier: BSD-3-Clause
#include "parity.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <numeric>


namespace ssi::ckpt {
namespace {

constexpr std::size_t least_member = 28;
constexpr std::size_t block = io::block_bytes;

void put(Writer& out, const io::LogDigest& hash) {
    out.put(hash.low);
    out.put(hash.high);
}
io::LogDigest get_hash(Reader& in) {
    io::LogDigest hash;
    hash.low = in.get<std::uint64_t>();
    hash.high = in.get<std::uint64_t>();
    return hash;
}

std::vector<std::uint64_t> lengths_of(std::span<const ParityMember> group) {
    std::vector<std::uint64_t> bytes;
    for (const ParityMember& one : group) bytes.push_back(one.bytes());
    return bytes;
}

std::string wrong_with(const ParityInfo& info) {
    if (info.version == 0) return "version 0";
    if (info.group.size() < 2) return fmt::format("a group of {}", info.group.size());
    for (std::size_t i = 1; i < info.group.size(); ++i)
        if (info.group[i].member <= info.group[i - 1].member)
            return fmt::format("member {} behind {}", info.group[i].member,
                               info.group[i - 1].member);
    if (info.place() == info.group.size())
        return fmt::format("member {}, which is not of the group", info.member);
    const std::uint64_t rows = (info.bytes() + parity_unit_bytes - 1) / parity_unit_bytes;
    if (info.rows.size() != rows)
        return fmt::format("{} rows of {}", info.rows.size(), rows);
    return "";
}

}  // namespace

std::uint64_t ParityMember::bytes() const {
    return std::accumulate(file_bytes.begin(), file_bytes.end(), std::uint64_t{0});
}

std::size_t ParityInfo::place() const {
    return static_cast<std::size_t>(
        std::ranges::find(group, member, &ParityMember::member) - group.begin());
}

std::uint64_t ParityInfo::bytes() const { return parity_bytes_of(lengths_of(group), place()); }

void put_member(Writer& out, const ParityMember& member) {
    out.put(member.member);
    out.put(std::uint32_t{0});   // reserved
    put(out, member.digest);
    out.put(static_cast<std::uint32_t>(member.file_bytes.size()));
    for (const std::uint64_t bytes : member.file_bytes)
        out.put(static_cast<std::uint32_t>(bytes / block));
}

ParityMember get_parity_member(Reader& in) {
    ParityMember member;
    member.member = in.get<MemberIndex>();
    in.expect_zero(in.get<std::uint32_t>());
    member.digest = get_hash(in);
    for (auto files = in.count(sizeof(std::uint32_t)); files > 0; --files)
        member.file_bytes.push_back(std::uint64_t{in.get<std::uint32_t>()} * block);
    return member;
}

std::vector<std::byte> encode_parity(const ParityInfo& info) {
    Writer out;
    out.put(info.dataset.high);
    out.put(info.dataset.low);
    out.put(info.version);
    out.put(info.member);
    out.put(static_cast<std::uint32_t>(parity_unit_bytes / block));
    out.put(std::uint64_t{0});   // reserved
    out.put(static_cast<std::uint32_t>(info.group.size()));
    for (const ParityMember& one : info.group) put_member(out, one);
    out.put(static_cast<std::uint32_t>(info.rows.size()));
    for (const io::LogDigest& row : info.rows) put(out, row);
    return frame(FrameKind::parity, out.bytes());
}

Result<ParityInfo> decode_parity(std::span<const std::byte> bytes) {
    const auto body = unframe(FrameKind::parity, bytes);
    if (!body) return tl::unexpected<Failure>(body.error());
    Reader in(*body);
    ParityInfo info;
    info.dataset.high = in.get<std::uint64_t>();
    info.dataset.low = in.get<std::uint64_t>();
    info.version = in.get<std::uint64_t>();
    info.member = in.get<MemberIndex>();
    const std::uint64_t unit = std::uint64_t{in.get<std::uint32_t>()} * block;
    in.expect_zero(in.get<std::uint64_t>());
    for (auto left = in.count(least_member); left > 0 && in.ok(); --left)
        info.group.push_back(get_parity_member(in));
    for (auto rows = in.count(sizeof(io::LogDigest)); rows > 0; --rows)
        info.rows.push_back(get_hash(in));
    std::string wrong = in.ok() && in.at_end() ? "" : "a length in it";
    if (wrong.empty() && unit != parity_unit_bytes) wrong = fmt::format("units of {}", unit);
    if (wrong.empty()) wrong = wrong_with(info);
    if (!wrong.empty()) return fail(Errc::io, "damaged: it makes no sense: " + wrong);
    return info;
}

Result<void> check_parity(const ParityInfo& info, const Manifest& manifest) {
    const auto other = [](const std::string& what) {
        return fail(Errc::io, "it was not made of the members that the manifest names: " + what);
    };
    if (info.dataset != manifest.dataset || info.version != manifest.version)
        return other("another dataset");
    const auto group = manifest.group_of(info.member);
    if (!std::ranges::equal(group, info.group, {}, {}, &ParityMember::member))
        return other("another group");
    for (const ParityMember& one : info.group) {
        const io::SealedLogSummary& log = manifest.members[one.member].log;
        if (one.digest != log.digest || one.file_bytes.size() != log.segments ||
            one.bytes() != log.bytes)
            return other(fmt::format("member {}", one.member));
    }
    return {};
}

UnitPlace unit_of(std::span<const std::uint64_t> bytes, std::uint64_t row, std::size_t place) {
    constexpr std::uint64_t unit = parity_unit_bytes;
    const std::size_t size = bytes.size();
    const auto own = [&](std::size_t of) {
        const std::uint64_t from = unit_in(row, of, size) * unit;
        const std::uint64_t length = from < bytes[of] ? std::min(unit, bytes[of] - from) : 0;
        return UnitPlace{from, static_cast<std::size_t>(length)};
    };
    if (keeper_of(row, size) != place) return own(place);
    UnitPlace kept{row / size * unit, 0};
    for (std::size_t other = 0; other < size; ++other)
        if (other != place) kept.length = std::max(kept.length, own(other).length);
    return kept;
}

// All rows but the last one are of whole units.
std::uint64_t parity_bytes_of(std::span<const std::uint64_t> bytes, std::size_t place) {
    std::uint64_t rows = rows_of(bytes);
    while (rows > 0 && keeper_of(rows - 1, bytes.size()) != place) --rows;
    for (; rows > 0; rows -= std::min<std::uint64_t>(rows, bytes.size()))
        if (const UnitPlace last = unit_of(bytes, rows - 1, place); last.length != 0)
            return last.place + last.length;
    return 0;
}

std::uint64_t rows_of(std::span<const std::uint64_t> bytes) {
    std::uint64_t rows = 0;
    for (std::size_t place = 0; place < bytes.size(); ++place) {
        const std::uint64_t units = (bytes[place] + parity_unit_bytes - 1) / parity_unit_bytes;
        if (units != 0) rows = std::max(rows, row_of(units - 1, place, bytes.size()) + 1);
    }
    return rows;
}

void add_to_parity(std::span<std::byte> sum, std::span<const std::byte> bytes) {
    std::byte* __restrict to = sum.data();
    const std::byte* __restrict from = bytes.data();
    const std::size_t length = bytes.size();
    for (std::size_t i = 0; i < length; ++i) to[i] ^= from[i];
}

io::LogDigest hash_of_row(std::span<const std::byte> bytes) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return {hash.low64, hash.high64};
}

}  // namespace ssi::ckpt
