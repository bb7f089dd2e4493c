// SPDX-License-Identifier: BSD-3-Clause
// The bytes in docs/formats/segment-log.md are what the code writes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "golden.hpp"
#include "log_format.hpp"
#include "log_hash.hpp"

namespace ssi::io {
namespace {

const LogIdentity identity{{0x0011223344556677, 0x8899aabbccddeeff}, 7};

std::vector<std::byte> example() {
    std::vector<std::byte> file(12288);
    const std::span<std::byte> all(file);
    const HashKey key{identity, 3, {}};
    encode_header({identity, 3, 5, file.size(), 4096, {{1, 8192}}}, all.first(4096));
    const std::string text = "hello, log";
    const std::vector<LogRecord> records{
        {.kind = RecordKind::raw, .set = SetId{9}, .id = {1, 2}, .value_bytes = 10,
         .payload = std::as_bytes(std::span(text))},
        {.kind = RecordKind::zero, .set = SetId{9}, .id = 3, .value_bytes = 64},
        {.kind = RecordKind::remove, .set = SetId{9}, .id = 4},
    };
    const std::uint64_t length = batch_bytes(records);
    encode_batch(records, key, 5, 4, all.subspan(4096, length));
    SegmentFooter footer{5, 5, 4096 + length, true, {}};
    const auto batch = decode_batch(all.subspan(4096), key);
    for (const RecordView& record : batch->records) {
        footer.index.push_back(record.found);
        footer.index.back().place.offset += 4096;
    }
    encode_footer(footer, key, all.last(4096));
    return file;
}

TEST(LogGolden, a_segment_is_as_documented) {
    std::ifstream file(SSI_TEST_SOURCE "/docs/formats/segment-log.md");
    std::ostringstream text;
    text << file.rdbuf();
    const std::string bytes = test::dump_bytes(example());
    EXPECT_NE(text.str().find("\n" + bytes), std::string::npos) << bytes;
}

TEST(LogGolden, sizes_are_as_documented) {
    EXPECT_EQ(log_block_bytes, 4096u);
    EXPECT_EQ(batch_head_bytes, 48u);
    EXPECT_EQ(record_head_bytes, 72u);
    EXPECT_EQ(commit_mark_bytes, 24u);
    EXPECT_EQ(footer_entry_bytes, 48u);
    EXPECT_EQ(footer_trailer_bytes, 80u);
    EXPECT_EQ(version_of(5, 2), 5u * 65536 + 2);
    EXPECT_EQ(max_batch_records, 65536u);
}

// Leaves the seed where the hash's state will lie next, and garbage around it.
[[gnu::noinline]] std::uint64_t scribble(std::uint64_t seed) {
    volatile std::uint64_t stack[120];
    for (volatile std::uint64_t& word : stack) word = seed;
    return stack[7];
}

TEST(LogGolden, a_hash_over_parts_is_that_over_the_whole_whatever_lay_on_the_stack) {
    std::vector<std::byte> all(5000, std::byte{7});
    const std::span<const std::byte> whole(all);
    for (std::uint64_t seed : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}})
        for (const std::size_t length : {56, 60, 200, 300, 1024, 5000}) {
            ASSERT_EQ(scribble(seed), seed);
            const Hash128 parts = hash_of(whole.first(56), whole.first(length).subspan(56), seed);
            EXPECT_EQ(parts, hash_of(whole.first(length), seed)) << length;
        }
}

TEST(LogGolden, what_was_encoded_is_decoded) {
    const auto file = example();
    const std::span<const std::byte> all(file);
    const auto header = decode_header(all);
    ASSERT_TRUE(header) << header.error().text;
    EXPECT_EQ(header->identity, identity);
    EXPECT_EQ(header->generation, 3u);
    EXPECT_EQ(header->first_batch, 5u);
    EXPECT_EQ(header->live, (std::vector<LiveSegment>{{1, 8192}}));
    const HashKey key{identity, 3, {}};
    const auto batch = decode_batch(all.subspan(4096), key);
    ASSERT_TRUE(batch) << batch.error().text;
    EXPECT_EQ(batch->head.durable_before, 4u);
    ASSERT_EQ(batch->records.size(), 3u);
    EXPECT_EQ(batch->records[0].found.id, (ObjectId{1, 2}));
    EXPECT_EQ(batch->records[0].payload.size(), 10u);
    EXPECT_EQ(batch->records[1].found.value_bytes, 64u);
    EXPECT_EQ(batch->records[2].found.kind, RecordKind::remove);
    const auto footer = decode_footer(all, key);
    ASSERT_TRUE(footer) << footer.error().text;
    ASSERT_EQ(footer->index.size(), 3u);
    EXPECT_EQ(footer->index[1].version, version_of(5, 1));
    EXPECT_EQ(footer->last_batch, 5u);
}

}  // namespace
}  // namespace ssi::io
