// SPDX-License-Identifier: BSD-3-Clause
#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>

#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

constexpr std::size_t block = io::block_bytes;
constexpr char magics[][9] = {"ssi-data", "ssi-memb", "ssi-newv", "ssi-pari"};

struct Head {
    char magic[8];
    std::uint32_t version;
    std::uint32_t reserved;
    std::uint64_t bytes;   // head, body and hash
};
static_assert(sizeof(Head) == 24);

struct Hash {
    std::uint64_t low;
    std::uint64_t high;
    friend bool operator==(const Hash&, const Hash&) = default;
};

Hash hash_of(std::span<const std::byte> bytes) {
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), bytes.size());
    return {hash.low64, hash.high64};
}

std::size_t whole_blocks(std::size_t bytes) { return (bytes + block - 1) / block * block; }

}  // namespace

std::vector<std::byte> frame(FrameKind kind, std::span<const std::byte> body) {
    Head head{};
    std::memcpy(head.magic, magics[static_cast<std::size_t>(kind)], sizeof head.magic);
    head.version = dataset_format_version;
    head.bytes = sizeof head + body.size() + sizeof(Hash);
    std::vector<std::byte> bytes(whole_blocks(head.bytes));
    std::memcpy(bytes.data(), &head, sizeof head);
    std::ranges::copy(body, bytes.begin() + sizeof head);
    const Hash hash = hash_of(std::span(bytes).first(head.bytes - sizeof(Hash)));
    std::memcpy(bytes.data() + head.bytes - sizeof hash, &hash, sizeof hash);
    return bytes;
}

Result<std::span<const std::byte>> unframe(FrameKind kind, std::span<const std::byte> bytes) {
    Head head;
    if (bytes.size() < sizeof head + sizeof(Hash))
        return fail(Errc::io, fmt::format("damaged: it ends after {} bytes", bytes.size()));
    std::memcpy(&head, bytes.data(), sizeof head);
    if (std::memcmp(head.magic, magics[static_cast<std::size_t>(kind)], sizeof head.magic) != 0)
        return fail(Errc::io, "damaged: it does not begin as one (magic)");
    if (head.bytes < sizeof head + sizeof(Hash) || head.bytes > bytes.size())
        return fail(Errc::io, fmt::format("damaged: {} of {} bytes are there", bytes.size(),
                                          head.bytes));
    Hash hash;
    std::memcpy(&hash, bytes.data() + head.bytes - sizeof hash, sizeof hash);
    if (hash != hash_of(bytes.first(head.bytes - sizeof hash)))
        return fail(Errc::io, "damaged: its hash does not match");
    // The hash holds: it is as it was written, by this release or by another one.
    if (head.version != dataset_format_version || head.reserved != 0)
        return fail(Errc::unsupported,
                    fmt::format("format version {}, this program reads version {}: use the release "
                                "that wrote it, or a newer one",
                                head.version, dataset_format_version));
    const auto rest = bytes.subspan(head.bytes);
    if (bytes.size() != whole_blocks(head.bytes) ||
        !std::ranges::all_of(rest, [](std::byte b) { return b == std::byte{0}; }))
        return fail(Errc::io, "damaged: something stands behind its end");
    return bytes.first(head.bytes - sizeof hash).subspan(sizeof head);
}

}  // namespace ssi::ckpt
