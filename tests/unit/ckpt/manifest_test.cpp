// SPDX-License-Identifier: BSD-3-Clause
// The small files: the bytes in docs/formats/dataset.md are what the code writes, and decoders take
// nothing that nobody wrote.
#include "manifest.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "golden.hpp"
#include "manifest_mutations.hpp"
#include "support.hpp"

namespace ssi::ckpt {
namespace {

using namespace test;

TEST(ManifestGolden, files_are_as_documented) {
    std::ifstream file(SSI_TEST_SOURCE "/docs/formats/dataset.md");
    std::ostringstream text;
    text << file.rdbuf();
    const Manifest manifest = example_manifest();
    for (const auto& bytes : {encode_manifest(manifest), encode_member(manifest.members[1]),
                              encode_newest(258)}) {
        const std::string shown = ssi::test::dump_bytes(bytes);
        EXPECT_NE(text.str().find("\n" + shown), std::string::npos) << shown;
    }
}

TEST(ManifestTest, what_was_encoded_is_decoded) {
    const Manifest manifest = example_manifest();
    const auto back = decode_manifest(encode_manifest(manifest));
    ASSERT_FINE(back);
    EXPECT_TRUE(*back == manifest);
    for (const MemberInfo& member : manifest.members) {
        const auto one = decode_member(encode_member(member));
        ASSERT_FINE(one);
        EXPECT_TRUE(*one == member);
    }
    EXPECT_EQ(*decode_newest(encode_newest(77)), 77u);
    EXPECT_EQ(manifest.chain(), 2u);
    EXPECT_EQ(manifest.bases().size(), 2u);
}

TEST(ManifestTest, a_newer_format_is_refused_as_such) {
    auto bytes = encode_manifest(example_manifest());
    bytes[8] = std::byte{2};
    EXPECT_EQ(decode_manifest(bytes).error().code, Errc::io) << "damage of the version's byte";
    renew_hash(bytes);
    const auto newer = decode_manifest(bytes);
    EXPECT_EQ(newer.error().code, Errc::unsupported);
    EXPECT_NE(newer.error().text.find("format version 2, this program reads version 1"),
              std::string::npos);
}

TEST(ManifestTest, what_makes_no_sense_is_not_encoded) {
    const auto wrong = [](auto change) {
        Manifest manifest = example_manifest();
        change(manifest);
        return check_manifest(manifest).error().code;
    };
    EXPECT_TRUE(check_manifest(example_manifest()));
    EXPECT_EQ(wrong([](Manifest& m) { m.version = 0; }), Errc::invalid_argument);
    EXPECT_EQ(wrong([](Manifest& m) { m.members[1].member = 0; }), Errc::invalid_argument);
    EXPECT_EQ(wrong([](Manifest& m) { m.members[1].version = 1; }), Errc::invalid_argument);
    EXPECT_EQ(wrong([](Manifest& m) { m.members[1].dataset.low = 1; }), Errc::invalid_argument);
    EXPECT_EQ(wrong([](Manifest& m) { m.members[1].chain = max_chain + 1; }),
              Errc::invalid_argument);
    EXPECT_EQ(wrong([](Manifest& m) { m.members[1].bases[0].version = 300; }),
              Errc::invalid_argument);
    EXPECT_EQ(wrong([](Manifest& m) { m.members[0].chain = 1; }), Errc::invalid_argument);
    EXPECT_EQ(wrong([](Manifest& m) { m.items[0].kind = ItemKind{9}; }), Errc::invalid_argument);
    EXPECT_EQ(wrong([](Manifest& m) { m.description.resize(1 << 20); }), Errc::invalid_argument);
}

#if defined(__SANITIZE_THREAD__)
constexpr int mutations = 5'000;
#else
constexpr int mutations = 100'000;
#endif

TEST(ManifestMutation, decoders_take_nothing_that_was_changed) {
    Random random(42);
    const Manifest manifest = example_manifest();
    for (int i = 0; i < mutations; ++i) {
        const bool member = random.chance(1, 3);
        const Bytes good = member ? encode_member(manifest.members[1]) : encode_manifest(manifest);
        Bytes bytes = good;
        for (std::uint64_t n = random.below(4); n > 0; --n) {
            const std::size_t at = random.below(bytes.size() < 700 ? bytes.size() : 700);
            switch (random.below(4)) {
                case 0: bytes[at] ^= std::byte{1} << random.below(8); break;
                case 1: bytes[at] = static_cast<std::byte>(random.below(256)); break;
                case 2: bytes.resize(at + 1); break;
                default:
                    for (std::size_t b = at; b < std::min(bytes.size(), at + 8); ++b)
                        bytes[b] = std::byte{0xff};
            }
        }
        // With a hash that fits, so that more than the hash is put to the test.
        if (random.chance(1, 2)) renew_hash(bytes);
        bytes.shrink_to_fit();
        ASSERT_EQ(decode_all(bytes), "") << i;
        if (bytes != good) continue;
        ASSERT_TRUE(member ? decode_member(bytes).has_value() : decode_manifest(bytes).has_value());
    }
}

}  // namespace
}  // namespace ssi::ckpt
