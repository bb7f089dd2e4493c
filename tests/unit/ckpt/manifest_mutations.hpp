// SPDX-License-Identifier: BSD-3-Clause
// A manifest with something of everything, and what its decoders make of changed bytes.
#pragma once

#include <xxhash.h>

#include <cstring>

#include "manifest.hpp"

namespace ssi::ckpt::test {

inline Manifest example_manifest() {
    const DatasetId id{0x0011223344556677, 0x8899aabbccddeeff};
    Manifest manifest{.dataset = id,
                      .version = 258,
                      .application = "jacobi",
                      .build = "0.1.0",
                      .session = "s1",
                      .time = 1'700'000'000'000'000'000,
                      .level = 1,
                      .description = "step 12",
                      .user_number = 12,
                      .user_bytes = {std::byte{1}, std::byte{2}},
                      .ranks = 2,
                      .members = {},
                      .items = {}};
    manifest.members.push_back({.dataset = id,
                                .version = 258,
                                .member = 0,
                                .rank = 0,
                                .host = "n0",
                                .device = "sda",
                                .log = {1, 10, 20480, {1, 2}},
                                .objects = 9,
                                .bytes = 9000,
                                .chain = 0,
                                .bases = {}});
    manifest.members.push_back({.dataset = id,
                                .version = 258,
                                .member = 1,
                                .rank = 1,
                                .host = "n1",
                                .device = "sda",
                                .log = {2, 11, 40960, {3, 4}},
                                .objects = 10,
                                .bytes = 10000,
                                .chain = 2,
                                .bases = {{256, {5, 6}}, {257, {7, 8}}}});
    manifest.items.push_back({ItemKind::set, SetId{3}, "field", {std::byte{9}}, 19, 19000});
    manifest.items.push_back({ItemKind::span, SetId{4}, "step", {}, 1, 8});
    return manifest;
}

// Puts the hash right, where the length that the bytes tell allows it.
inline void renew_hash(std::span<std::byte> bytes) {
    std::uint64_t length = 0;
    if (bytes.size() < 40) return;
    std::memcpy(&length, bytes.data() + 16, sizeof length);
    if (length < 40 || length > bytes.size()) return;
    const XXH128_hash_t hash = XXH3_128bits(bytes.data(), length - 16);
    std::memcpy(bytes.data() + length - 16, &hash.low64, 8);
    std::memcpy(bytes.data() + length - 8, &hash.high64, 8);
}

// "" or what is wrong: what is taken must be what its bytes say, and nothing else.
inline std::string decode_all(std::span<const std::byte> bytes) {
    const auto same = [&](const std::vector<std::byte>& again) {
        return std::ranges::equal(again, bytes);
    };
    if (const auto manifest = decode_manifest(bytes))
        if (!same(encode_manifest(*manifest))) return "a manifest that is encoded otherwise";
    if (const auto member = decode_member(bytes))
        if (!same(encode_member(*member))) return "a member that is encoded otherwise";
    if (const auto newest = decode_newest(bytes))
        if (!same(encode_newest(*newest))) return "a number that is encoded otherwise";
    return "";
}

}  // namespace ssi::ckpt::test
