// SPDX-License-Identifier: BSD-3-Clause
// The decoders on bytes that nobody wrote: mutations of good ones, from a seed. They never read
// outside what they are given (AddressSanitizer watches) and never take what was changed for good.
#include "log_tools.hpp"
#include "log_mutations.hpp"
#include "ssi/base/random.hpp"

namespace ssi::io {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr int mutations = 20'000;   // one thread only: nothing to find there but time
#else
constexpr int mutations = 200'000;
#endif

using namespace test;

// A copy of exactly so many bytes on the heap, so that one byte beyond is noticed.
std::vector<std::byte> mutated(const std::vector<std::byte>& good, Random& random) {
    std::vector<std::byte> out = good;
    for (std::uint64_t n = random.below(4); n > 0; --n) {
        const std::size_t at = random.below(out.size());
        switch (random.below(4)) {
            case 0: out[at] ^= std::byte{static_cast<std::uint8_t>(1 << random.below(8))}; break;
            case 1: out[at] = static_cast<std::byte>(random.below(256)); break;
            case 2: out.resize(at + 1); break;
            default:
                for (std::size_t i = at; i < std::min(out.size(), at + 8); ++i)
                    out[i] = std::byte{0xff};
        }
    }
    out.shrink_to_fit();
    return out;
}

TEST(LogMutation, decoders_take_nothing_that_was_changed) {
    const std::vector<std::byte> good = example_segment();
    Random random(42);
    for (int i = 0; i < mutations; ++i) {
        const auto bytes = mutated(good, random);
        const std::string wrong = decode_all(bytes, good);
        ASSERT_EQ(wrong, "") << i;
    }
}

TEST(LogMutation, an_unchanged_segment_is_taken_whole) {
    const auto good = example_segment();
    const auto header = decode_header(good);
    ASSERT_TRUE(header);
    std::size_t records = 0;
    const auto scan = scan_content(good, *header, {}, example_key,
                                   [&](const BatchView& b, std::uint64_t) {
                                       records += b.records.size();
                                   });
    EXPECT_FALSE(scan.damage);
    EXPECT_EQ(scan.batches, 3u);
    EXPECT_EQ(records, 12u);
    EXPECT_TRUE(decode_footer(good, example_key));
}

}  // namespace
}  // namespace ssi::io
