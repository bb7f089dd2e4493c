// SPDX-License-Identifier: BSD-3-Clause
// What file data is counted with: sets of pages, what was written, room, what nodes ask each other.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "page_ranges.hpp"
#include "page_room.hpp"
#include "page_wire.hpp"
#include "page_written.hpp"
#include "pages.hpp"
#include "pages_state.hpp"
#include "ssi/base/random.hpp"

namespace ssi::fs {
namespace {

constexpr InodeId inode = make_inode(SlotId(3), 7);
constexpr Layout striped{.start = 3, .unit_shift = 1, .count = 4};

TEST(PageRanges, are_a_set_of_pages) {
    Random random(5);
    for (int round = 0; round < 50; ++round) {
        PageRanges ranges;
        std::vector<bool> model(64);
        for (int n = 0; n < 40; ++n) {
            const std::uint64_t first = random.below(64), last = first + random.below(64 - first);
            const bool adds = random.below(3) != 0;
            std::uint64_t fresh = 0;
            for (std::uint64_t i = first; i < last; ++i) {
                fresh += !model[i];
                model[i] = adds;
            }
            if (adds)
                ASSERT_EQ(ranges.add({first, last}), fresh);
            else
                ranges.remove({first, last});
            ASSERT_EQ(ranges.count(),
                      static_cast<std::uint64_t>(std::ranges::count(model, true)));
            std::uint64_t before = UINT64_MAX;
            std::vector<bool> listed(64);
            for (const PageRange& range : ranges.list()) {
                ASSERT_LT(range.first, range.last);
                ASSERT_TRUE(before == UINT64_MAX || before < range.first) << "they touch";
                before = range.last;
                for (std::uint64_t i = range.first; i < range.last; ++i) listed[i] = true;
            }
            ASSERT_EQ(listed, model);
            for (std::uint64_t i = 0; i < 64; ++i) ASSERT_EQ(ranges.contains(i), model[i]);
            std::vector<bool> absent(64);
            for (const PageRange& range : ranges.missing({first, last}))
                for (std::uint64_t i = range.first; i < range.last; ++i) absent[i] = true;
            for (std::uint64_t i = 0; i < 64; ++i)
                ASSERT_EQ(absent[i], i >= first && i < last && !model[i]);
        }
    }
}

TEST(PageWire, tells_what_it_was_told_and_refuses_the_rest) {
    const std::vector<PageRange> ranges{{0, 1}, {5, 9}, {100, most_page_index}};
    const auto bytes = encode({inode, striped}, ranges);
    auto request = decode_request(bytes);
    ASSERT_FINE(request);
    EXPECT_EQ(request->file, (FileKey{inode, striped}));
    EXPECT_EQ(request->ranges, ranges);
    const auto map_bytes = encode(PageMap{ranges, {{5, 6}}, 77});
    const auto map = decode_map(map_bytes);
    ASSERT_FINE(map);
    EXPECT_EQ(map->present, ranges);
    EXPECT_EQ(map->next, 77u);
    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_FALSE(decode_request(std::span(bytes).first(length))) << length;
    for (std::size_t length = 0; length < map_bytes.size(); ++length)
        EXPECT_FALSE(decode_map(std::span(map_bytes).first(length))) << length;
    EXPECT_FALSE(decode_request(encode({inode, striped}, std::vector<PageRange>{{5, 5}})));
    EXPECT_FALSE(decode_request(encode({inode, striped}, std::vector<PageRange>{{5, 9}, {8, 10}})));
}

using Ranges = WrittenPages::Ranges;

TEST(WrittenPages, are_taken_by_one_at_a_time_and_come_back_when_they_were_not_synced) {
    WrittenPages written;
    const FileKey file{inode, striped};
    EXPECT_FALSE(written.take(file));
    written.add(file, {3, 5}, 10);
    written.add(file, {5, 6}, 20);
    EXPECT_EQ(written.pages(), 3u);
    EXPECT_FALSE(written.oldest(10));
    EXPECT_EQ(written.oldest(11), file);
    EXPECT_EQ(written.take(file), (Ranges{{3, 6}}));
    EXPECT_FALSE(written.oldest(INT64_MAX)) << "somebody has it";
    written.add(file, {3, 4}, 30);   // written again meanwhile
    std::optional<Ranges> second;
    std::thread other([&] { second = written.take(file); });
    EXPECT_EQ(written.settle(file, false), Ranges());
    other.join();
    EXPECT_EQ(second, (Ranges{{3, 6}})) << "what failed, and what came since";
    EXPECT_EQ(written.settle(file, true), (Ranges{{3, 6}}));
    EXPECT_EQ(written.pages(), 0u);
    EXPECT_TRUE(written.files().empty());
}

TEST(WrittenPages, of_many_files_are_told_oldest_first_and_taken_without_waiting) {
    WrittenPages written;
    const auto file = [](std::uint64_t i) { return FileKey{InodeId(100 + i), striped}; };
    for (const std::uint64_t i : {3, 1, 4, 2})
        written.add(file(i), {0, 1}, static_cast<Nanoseconds>(10 * i));
    EXPECT_EQ(written.oldest(100, 2), (std::vector{file(1), file(2)}));
    EXPECT_EQ(written.oldest(30, 9), (std::vector{file(1), file(2)}));
    bool busy = true;
    EXPECT_EQ(written.take_now(file(1), busy), (Ranges{{0, 1}}));
    EXPECT_FALSE(busy);
    EXPECT_FALSE(written.take_now(file(1), busy));
    EXPECT_TRUE(busy) << "somebody has it";
    EXPECT_EQ(written.settle(file(1), true), (Ranges{{0, 1}}));
    EXPECT_FALSE(written.take_now(file(1), busy));
    EXPECT_FALSE(busy) << "nothing is left of it";
}

TEST(WrittenPages, are_charged_once_from_before_they_are_written_until_they_are_synced) {
    WrittenPages written;
    const FileKey file{inode, striped};
    EXPECT_EQ(written.charge(file, {0, 4}), (Ranges{{0, 4}}));
    EXPECT_EQ(written.charge(file, {2, 6}), (Ranges{{4, 6}}));
    EXPECT_EQ(written.add(file, {0, 4}, 1), Ranges());
    // The second write failed: what it charged and nobody wrote.
    EXPECT_EQ(written.discharge(file, Ranges{{4, 6}}), (Ranges{{4, 6}}));
    EXPECT_EQ(written.discharge(file, Ranges{{0, 4}}), Ranges()) << "it is written";
    EXPECT_EQ(written.take(file), (Ranges{{0, 4}}));
    EXPECT_EQ(written.discharge(file, Ranges{{0, 4}}), Ranges()) << "it is being synced";
    EXPECT_EQ(written.charge(file, {1, 2}), Ranges()) << "charged still";
    EXPECT_EQ(written.add(file, {1, 2}, 2), Ranges());
    EXPECT_EQ(written.settle(file, true), (Ranges{{0, 1}, {2, 4}}));
    EXPECT_EQ(written.forget(file), (Ranges{{1, 2}}));
    EXPECT_EQ(written.pages(), 0u);
}

TEST(PageRoom, takes_no_more_than_is_there_and_gives_it_to_others_when_it_is_written) {
    RoomPromises home;
    std::uint64_t free_bytes = 100;
    const auto alive = [](NodeId) { return false; };
    const auto room_of = [&](std::uint32_t node) {
        return PageRoom([&, node](std::uint32_t volume, std::uint64_t least, std::uint64_t wanted,
                                  std::uint64_t returned) -> Result<std::uint64_t> {
            return home.grant(volume, NodeId(node), least, wanted, returned, free_bytes, alive);
        }, 8);
    };
    PageRoom a = room_of(1), b = room_of(2);
    EXPECT_TRUE(*a.take(0, 60));
    EXPECT_TRUE(*b.take(0, 36));
    EXPECT_FALSE(*a.take(0, 10)) << "96 are promised";
    a.give(0, 60);   // written: the log is so much fuller
    free_bytes -= 60;
    EXPECT_FALSE(*b.take(0, 10));
    free_bytes += 30;   // removed
    EXPECT_TRUE(*b.take(0, 10));
    EXPECT_LE(home.promised(0), free_bytes);
    // A node that died is promised nothing.
    const auto dead = [](NodeId node) { return node == NodeId(2); };
    EXPECT_EQ(home.grant(0, NodeId(1), 30, 30, 0, free_bytes, dead), 30u);
}

}  // namespace
}  // namespace ssi::fs
