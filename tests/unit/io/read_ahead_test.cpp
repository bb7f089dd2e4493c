// SPDX-License-Identifier: BSD-3-Clause
// Pieces of segments read ahead: who reads in order gets them, nobody gets another's bytes.
#include "read_ahead.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "ssi/base/random.hpp"

namespace ssi::io {
namespace {

constexpr std::uint64_t block = log_block_bytes;

// A segment whose bytes tell its number and their place.
std::byte byte_at(std::uint64_t segment, std::uint64_t place) {
    return static_cast<std::byte>(mix64(segment << 40 ^ place / 8));
}

struct Segments {
    ReadAhead ahead;
    std::atomic<std::uint64_t> loads{0}, loaded_bytes{0};
    std::atomic<bool> fails{false};

    // False: it has to be read by itself.
    bool read(std::uint64_t segment, std::uint64_t first, std::uint64_t end,
              std::uint64_t segment_end) {
        const auto load = [&](std::uint64_t place, std::span<std::byte> out) {
            ++loads;
            loaded_bytes += out.size();
            EXPECT_LE(place + out.size(), segment_end);
            for (std::size_t i = 0; i < out.size(); ++i) out[i] = byte_at(segment, place + i);
            return !fails;
        };
        const auto piece = ahead.find(segment, first, end, segment_end, load);
        if (!piece) return false;
        const auto part = piece->part(first, end);
        EXPECT_EQ(part.size(), end - first);
        for (std::size_t i = 0; i < part.size(); i += 7)
            EXPECT_EQ(part[i], byte_at(segment, first + i));
        return true;
    }
};

TEST(ReadAhead, serves_who_reads_in_order_with_long_reads) {
    Segments segments;
    constexpr std::uint64_t end = 16u << 20, record = 65608;
    std::uint64_t alone = 0;
    // Two readers of two segments in turn.
    for (std::uint64_t at = 0; at + record <= end; at += record)
        for (const std::uint64_t segment : {1, 2})
            alone += !segments.read(segment, at / block * block,
                                    (at + record + block - 1) / block * block, end);
    EXPECT_LE(alone, 2u) << "the first of each";
    EXPECT_LE(segments.loads, 2 * (end / (1u << 20)));
    EXPECT_LE(segments.loaded_bytes, 2 * end * 11 / 10);
}

TEST(ReadAhead, leaves_alone_who_reads_here_and_there) {
    Segments segments;
    Random random(3);
    for (int i = 0; i < 500; ++i) {
        const std::uint64_t first = random.below(1u << 18) * block;
        (void)segments.read(1 + random.below(50), first, first + 17 * block, 1ull << 31);
    }
    EXPECT_LT(segments.loads, 20u);
}

TEST(ReadAhead, is_no_cache_for_who_reads_the_same_again) {
    Segments segments;
    for (int i = 0; i < 5; ++i) EXPECT_FALSE(segments.read(1, 7 * block, 9 * block, 100 * block));
    EXPECT_EQ(segments.loads, 0u);
    // Nor for who scans twice.
    for (int round = 1; round <= 2; ++round) {
        for (std::uint64_t at = 0; at < 4096; ++at)
            (void)segments.read(2, at * block, (at + 1) * block, 4096 * block);
        EXPECT_GE(segments.loaded_bytes, static_cast<unsigned>(round) * 4000 * block);
    }
}

TEST(ReadAhead, is_no_reason_to_fail_and_forgets_what_was_wrong) {
    Segments segments;
    constexpr std::uint64_t end = 4u << 20;
    segments.fails = true;
    for (std::uint64_t at = 0; at < end; at += block)
        EXPECT_FALSE(segments.read(1, at, at + block, end));
    segments.fails = false;
    EXPECT_FALSE(segments.read(1, 0, block, end)) << "it begins anew";
    EXPECT_TRUE(segments.read(1, block, 2 * block, end));
    const auto none = [](std::uint64_t, std::span<std::byte>) { return false; };
    const auto piece = segments.ahead.find(1, block, 2 * block, end, none);
    ASSERT_TRUE(piece);
    segments.ahead.drop(piece);
    EXPECT_FALSE(segments.ahead.find(1, block, 2 * block, end, none));
}

TEST(ReadAhead, serves_many_tasks_that_share_a_stream) {
    Segments segments;
    constexpr std::uint64_t end = 16u << 20, step = 16 * block;
    std::atomic<std::uint64_t> next{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (std::uint64_t at = next.fetch_add(step); at < end; at = next.fetch_add(step))
                (void)segments.read(3, at, at + step, end);
        });
    for (auto& thread : threads) thread.join();
    EXPECT_LE(segments.loaded_bytes, 2 * end);
}

}  // namespace
}  // namespace ssi::io
