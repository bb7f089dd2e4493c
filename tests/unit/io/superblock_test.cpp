// SPDX-License-Identifier: BSD-3-Clause
#include "superblock.hpp"

#include <gtest/gtest.h>

#include "ssi/io/memory_disk.hpp"

namespace ssi::io {
namespace {

Superblock sample() {
    Superblock s;
    s.state = Superblock::State::formed;
    s.whole = {0x0102030405060708, 0x1112131415161718};
    s.map_version = 3;
    s.index = 1;
    s.volumes = {{{1, 2}, "host:/a"}, {{3, 4}, "host:/b"}};
    s.slots = {0, 1, 1, 0};
    return s;
}

// docs/formats/volume.md gives these places.
TEST(Superblock, is_written_as_its_format_says) {
    const auto bytes = encode(sample());
    ASSERT_EQ(bytes.size(), 4096u);
    const auto byte = [&](std::size_t at) { return static_cast<unsigned>(bytes[at]); };
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), 8), "SSIVOLUM");
    EXPECT_EQ(byte(8), 1u);                       // format
    EXPECT_EQ(byte(12), 2u);                      // formed
    EXPECT_EQ(byte(16), 0x08u);                   // the whole, little endian
    EXPECT_EQ(byte(24), 0x18u);
    EXPECT_EQ(byte(32), 3u);                      // version of the map
    EXPECT_EQ(byte(40), 1u);                      // index
    EXPECT_EQ(byte(44), 2u);                      // volumes
    EXPECT_EQ(byte(48), 4u);                      // slots
    EXPECT_EQ(byte(80), 1u);                      // first volume
    EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()) + 96), "host:/a");
    EXPECT_EQ(byte(208), 3u);                     // second volume
    EXPECT_EQ(byte(336 + 2), 1u);                 // slot 1
    EXPECT_EQ(byte(336 + 6), 0u);                 // slot 3
    // xxh3-128 of bytes 0 to 343, as XXH128_canonicalFromHash writes it
    const unsigned hash[16] = {0x98, 0x44, 0xe5, 0xa3, 0xfa, 0xc2, 0xa9, 0xc1,
                               0xbb, 0x5b, 0xe7, 0x40, 0x07, 0x1c, 0x43, 0xd0};
    for (std::size_t i = 0; i < 16; ++i) EXPECT_EQ(byte(344 + i), hash[i]) << i;
    for (std::size_t at = 360; at < 4096; ++at) ASSERT_EQ(byte(at), 0u);
    Superblock with_data = sample();
    with_data.has_data = true;
    EXPECT_EQ(byte(52), 0u);                      // log 2 is not there yet
    EXPECT_EQ(encode(with_data)[52], std::byte{2});
}

TEST(Superblock, comes_back_as_it_was) {
    Superblock many = sample();
    many.slots.assign(65536, 1);
    for (int i = 0; i < 500; ++i) many.volumes.push_back({{9, 9}, std::string(500, 'l')});
    many.has_data = true;
    for (Superblock s : {sample(), many}) {
        auto disk = make_memory_disk();
        EXPECT_FALSE(read_superblock(*disk)->has_value());
        ASSERT_TRUE(write_superblock(*disk, s));
        for (auto& volume : s.volumes) volume.label.resize(std::min<std::size_t>(
            volume.label.size(), label_bytes - 1));
        EXPECT_EQ(**read_superblock(*disk), s);
    }
}

TEST(Superblock, any_flipped_bit_is_noticed) {
    const auto bytes = encode(sample());
    for (std::size_t bit = 0; bit < 360 * 8; ++bit) {
        auto flipped = bytes;
        flipped[bit / 8] ^= std::byte{1} << (bit % 8);
        const auto decoded = decode_superblock(flipped);
        ASSERT_FALSE(decoded) << "bit " << bit;
        EXPECT_TRUE(decoded.error().code == Errc::parse ||
                    decoded.error().code == Errc::unsupported);
    }
    for (std::size_t length : {0u, 100u, 343u})
        EXPECT_FALSE(decode_superblock(std::span(bytes).first(length)));
}

TEST(Superblock, a_newer_format_is_named) {
    auto bytes = encode(sample());
    bytes[8] = std::byte{2};
    const auto decoded = decode_superblock(bytes);
    ASSERT_FALSE(decoded);
    EXPECT_EQ(decoded.error().code, Errc::unsupported);
}

TEST(Superblock, a_power_cut_leaves_the_old_one_or_the_new_one) {
    for (std::uint64_t seed = 0; seed < 40; ++seed) {
        Superblock old = sample(), now = sample();
        now.map_version = 4;
        std::vector<std::unique_ptr<MemoryDisk>> cuts;
        bool replacing = false;
        auto disk = make_memory_disk({.seed = seed + 1,
                                      .observe = [&](const MemoryDisk& at, std::uint64_t n) {
                                          if (replacing)
                                              cuts.push_back(at.after_power_cut(seed * 100 + n));
                                      }});
        ASSERT_TRUE(write_superblock(*disk, old));
        replacing = true;
        ASSERT_TRUE(write_superblock(*disk, now));
        EXPECT_GE(cuts.size(), 5u);
        for (auto& cut : cuts) {
            auto found = read_superblock(*cut);
            ASSERT_TRUE(found) << found.error().to_string();
            ASSERT_TRUE(found->has_value());
            EXPECT_TRUE(**found == old || **found == now);
        }
        EXPECT_EQ(**read_superblock(*cuts.back()), now);
    }
}

}  // namespace
}  // namespace ssi::io
