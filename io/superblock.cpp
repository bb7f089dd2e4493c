// SPDX-License-Identifier: BSD-3-Clause
#include "superblock.hpp"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "block_buffer.hpp"

namespace ssi::io {
namespace {

constexpr char magic[8] = {'S', 'S', 'I', 'V', 'O', 'L', 'U', 'M'};
constexpr const char* file_name = "superblock";
constexpr const char* new_name = "superblock.new";
constexpr std::size_t head_bytes = 80;
constexpr std::size_t entry_bytes = 16 + label_bytes;
constexpr std::size_t hash_bytes = 16;

std::size_t content_bytes(std::size_t volumes, std::size_t slots) {
    return head_bytes + volumes * entry_bytes + slots * 2 + hash_bytes;
}

// Little endian, as every machine we run on.
template <class T>
void put(std::vector<std::byte>& bytes, std::size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
}
template <class T>
T take(std::span<const std::byte> bytes, std::size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}

XXH128_canonical_t hash_of(std::span<const std::byte> bytes) {
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
    return canonical;
}

tl::unexpected<Failure> damaged(const std::string& what) {
    return fail(Errc::parse, "the superblock is damaged: " + what);
}

}  // namespace

std::vector<std::byte> encode(const Superblock& s) {
    const std::size_t length = content_bytes(s.volumes.size(), s.slots.size());
    std::vector<std::byte> bytes((length + block_bytes - 1) / block_bytes * block_bytes);
    std::memcpy(bytes.data(), magic, sizeof magic);
    put(bytes, 8, superblock_format);
    put(bytes, 12, static_cast<std::uint32_t>(s.state));
    put(bytes, 16, s.whole.high);
    put(bytes, 24, s.whole.low);
    put(bytes, 32, s.map_version);
    put(bytes, 40, s.index);
    put(bytes, 44, static_cast<std::uint32_t>(s.volumes.size()));
    put(bytes, 48, static_cast<std::uint32_t>(s.slots.size()));
    put(bytes, 52, static_cast<std::uint32_t>(s.has_data ? 2 : 0));
    std::size_t at = head_bytes;
    for (const Superblock::Entry& volume : s.volumes) {
        put(bytes, at, volume.id.high);
        put(bytes, at + 8, volume.id.low);
        const std::size_t shown = std::min(volume.label.size(), label_bytes - 1);
        std::memcpy(bytes.data() + at + 16, volume.label.data(), shown);
        at += entry_bytes;
    }
    std::memcpy(bytes.data() + at, s.slots.data(), s.slots.size() * 2);
    at += s.slots.size() * 2;
    const auto hash = hash_of(std::span(bytes).first(at));
    std::memcpy(bytes.data() + at, &hash, hash_bytes);
    return bytes;
}

Result<Superblock> decode_superblock(std::span<const std::byte> bytes) {
    if (bytes.size() < block_bytes) return damaged(fmt::format("{} bytes", bytes.size()));
    if (std::memcmp(bytes.data(), magic, sizeof magic) != 0)
        return damaged("it does not begin as one");
    const auto format = take<std::uint32_t>(bytes, 8);
    const auto volumes = take<std::uint32_t>(bytes, 44), slots = take<std::uint32_t>(bytes, 48);
    if (format > superblock_format)
        return fail(Errc::unsupported,
                    fmt::format("the superblock has format {}, this build knows {}: use a newer "
                                "one", format, superblock_format));
    if (format == 0 || volumes == 0 || volumes > most_volumes || slots > most_slots ||
        !std::has_single_bit(slots))
        return damaged(fmt::format("format {}, {} volumes, {} slots", format, volumes, slots));
    const std::size_t length = content_bytes(volumes, slots);
    if (bytes.size() < length)
        return damaged(fmt::format("{} of {} bytes are there", bytes.size(), length));
    const auto hash = hash_of(bytes.first(length - hash_bytes));
    if (std::memcmp(&hash, bytes.data() + length - hash_bytes, hash_bytes) != 0)
        return damaged("its checksum is wrong");
    Superblock s;
    s.state = static_cast<Superblock::State>(take<std::uint32_t>(bytes, 12));
    s.whole = {take<std::uint64_t>(bytes, 16), take<std::uint64_t>(bytes, 24)};
    s.map_version = take<std::uint64_t>(bytes, 32);
    s.index = take<std::uint32_t>(bytes, 40);
    s.has_data = take<std::uint32_t>(bytes, 52) == 2;
    std::size_t at = head_bytes;
    for (std::uint32_t i = 0; i < volumes; ++i, at += entry_bytes) {
        const auto* label = reinterpret_cast<const char*>(bytes.data() + at + 16);
        s.volumes.push_back({{take<std::uint64_t>(bytes, at), take<std::uint64_t>(bytes, at + 8)},
                             std::string(label, ::strnlen(label, label_bytes))});
    }
    s.slots.resize(slots);
    std::memcpy(s.slots.data(), bytes.data() + at, slots * 2);
    const bool known = s.state == Superblock::State::forming ||
                       s.state == Superblock::State::formed;
    if (!known || s.index >= volumes || std::ranges::any_of(s.slots, [&](std::uint16_t volume) {
            return volume >= volumes;
        }))
        return damaged("it names what it does not have");
    return s;
}

Result<std::optional<Superblock>> read_superblock(Disk& disk) {
    auto file = disk.open(file_name, OpenMode::read);
    if (!file && file.error().code == Errc::not_found) return std::nullopt;
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    auto size = (*file)->size();
    if (!size) return tl::unexpected<Failure>(std::move(size).error());
    const std::size_t most = content_bytes(most_volumes, most_slots) + block_bytes;
    const std::size_t length = std::min<std::size_t>(*size, most) / block_bytes * block_bytes;
    if (length == 0) return damaged("it is empty");
    BlockBuffer buffer(length);
    auto moved = read(disk, **file, buffer.first(length), 0);
    if (!moved) return tl::unexpected<Failure>(std::move(moved).error());
    auto decoded = decode_superblock(buffer.first(*moved));
    if (!decoded) return tl::unexpected<Failure>(std::move(decoded).error());
    return std::optional(std::move(*decoded));
}

Result<void> write_superblock(Disk& disk, const Superblock& superblock) {
    const std::vector<std::byte> bytes = encode(superblock);
    BlockBuffer buffer(bytes.size());
    std::ranges::copy(bytes, buffer.data());
    {
        auto file = disk.open(new_name, OpenMode::create);
        if (!file) return tl::unexpected<Failure>(std::move(file).error());
        SSI_TRY((*file)->truncate(bytes.size()));
        SSI_TRY(write(disk, **file, buffer.first(bytes.size()), 0));
        SSI_TRY(sync(disk, **file));
    }
    SSI_TRY(disk.rename(new_name, file_name));
    return disk.sync_directory("");
}

}  // namespace ssi::io
