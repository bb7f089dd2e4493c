// SPDX-License-Identifier: BSD-3-Clause
// SegmentLog on a disk in memory: order, recovery, room.
#include "log_tools.hpp"

namespace ssi::io {
namespace {

using namespace test;

std::size_t found_after_cut(const MemoryDisk& disk) {
    const auto after = disk.after_power_cut(1);
    return open_log(options_for(*after)).found.size();
}

TEST(SegmentLog, keeps_batches_over_a_clean_end_and_needs_no_scan) {
    const auto disk = make_memory_disk();
    LogPlace place;
    {
        auto opened = open_log(options_for(*disk));
        ASSERT_TRUE(opened.log) << opened.failure_text();
        put(*opened.log, 1, "one");
        place = put(*opened.log, 2, "two");
        ASSERT_TRUE(opened.log->close());
    }
    auto again = open_log(options_for(*disk));
    ASSERT_TRUE(again.log) << again.failure_text();
    ASSERT_EQ(again.found.size(), 2u);
    EXPECT_EQ(again.found[1].id, ObjectId(2));
    EXPECT_EQ(again.found[1].place, place);
    EXPECT_EQ(value_at(*again.log, place), "two");
    EXPECT_EQ(again.log->recovery().segments_scanned, 0u);
    EXPECT_EQ(again.log->last(), 2u);
}

TEST(SegmentLog, keeps_what_was_committed_over_a_power_cut) {
    const auto disk = make_memory_disk();
    auto opened = open_log(options_for(*disk));
    std::vector<LogPlace> places;
    for (std::uint64_t i = 0; i < 50; ++i)
        places.push_back(put(*opened.log, i, fmt::format("value {}", i)));
    const auto after = disk->after_power_cut(7);
    auto again = open_log(options_for(*after));
    ASSERT_TRUE(again.log) << again.failure_text();
    ASSERT_EQ(again.found.size(), 50u);
    for (std::uint64_t i = 0; i < 50; ++i) {
        EXPECT_EQ(again.found[i].place, places[i]);
        EXPECT_EQ(value_at(*again.log, places[i]), fmt::format("value {}", i));
    }
    EXPECT_FALSE(again.log->recovery().torn);
}

TEST(SegmentLog, reads_what_is_not_durable_yet) {
    const auto disk = make_memory_disk();
    auto opened = open_log(options_for(*disk));
    const auto appended = opened.log->append(std::vector{raw(1, "a"), raw(2, "b")});
    ASSERT_TRUE(appended);
    EXPECT_EQ(opened.log->durable(), 0u);
    EXPECT_EQ(value_at(*opened.log, appended->places[1]), "b");
    EXPECT_EQ(found_after_cut(*disk), 0u);
    EXPECT_TRUE(opened.log->commit(appended->batch));
    EXPECT_EQ(value_at(*opened.log, appended->places[0]), "a");
}

TEST(SegmentLog, goes_on_in_new_segments_when_one_is_full) {
    const auto disk = make_memory_disk();
    auto opened = open_log(options_for(*disk));
    const std::string value(1500, 'v');
    std::vector<LogPlace> places;
    for (std::uint64_t i = 0; i < 100; ++i) places.push_back(put(*opened.log, i, value));
    EXPECT_GT(opened.log->segments().size(), 3u);
    const auto after = disk->after_power_cut(3);
    auto again = open_log(options_for(*after));
    ASSERT_TRUE(again.log) << again.failure_text();
    ASSERT_EQ(again.found.size(), 100u);
    EXPECT_EQ(again.log->recovery().segments_scanned, 1u);   // the newest; the others have footers
    for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(again.found[i].place, places[i]);
}

TEST(SegmentLog, gives_a_batch_that_is_larger_than_a_segment_one_of_its_own) {
    const auto disk = make_memory_disk();
    auto opened = open_log(options_for(*disk));
    put(*opened.log, 1, "small");
    const std::string large(300'000, 'L');
    const LogPlace place = put(*opened.log, 2, large);
    const LogPlace behind = put(*opened.log, 3, "behind");
    EXPECT_NE(place.segment, behind.segment);
    const auto after = disk->after_power_cut(5);
    auto again = open_log(options_for(*after));
    ASSERT_TRUE(again.log) << again.failure_text();
    EXPECT_EQ(again.found.size(), 3u);
    EXPECT_EQ(value_at(*again.log, place), large);
}

TEST(SegmentLog, refuses_batches_that_no_log_takes) {
    const auto disk = make_memory_disk();
    auto opened = open_log(options_for(*disk));
    EXPECT_EQ(opened.log->append({}).error().code, Errc::invalid_argument);
    const std::string huge(max_value_bytes + 1, 'x');
    const auto refused = opened.log->append(std::vector{raw(9, huge)});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::too_large);
    EXPECT_NE(refused.error().text.find("object 0:9"), std::string::npos);
    EXPECT_EQ(opened.log->commit(17).error().code, Errc::invalid_argument);
}

TEST(SegmentLog, takes_an_object_of_the_largest_size) {
    const auto disk = make_memory_disk();
    auto opened = open_log(options_for(*disk));
    std::string huge(max_value_bytes, 'x');
    huge.back() = 'y';
    const LogPlace place = put(*opened.log, 1, huge);
    const auto after = disk->after_power_cut(1);
    auto again = open_log(options_for(*after));
    ASSERT_TRUE(again.log) << again.failure_text();
    EXPECT_EQ(value_at(*again.log, place), huge);
}

TEST(SegmentLog, is_not_found_where_there_is_none) {
    const auto disk = make_memory_disk();
    auto options = options_for(*disk);
    options.create = false;
    EXPECT_EQ(open_log(options).failure->code, Errc::not_found);
    ASSERT_TRUE(disk->make_directory("log"));
    EXPECT_EQ(open_log(options).failure->code, Errc::not_found);
}

TEST(SegmentLog, of_another_volume_is_refused_by_name) {
    const auto disk = make_memory_disk();
    { put(*open_log(options_for(*disk)).log, 1, "x"); }
    auto options = options_for(*disk);
    options.identity.volume.low = 0x3333;
    const auto opened = open_log(options);
    ASSERT_FALSE(opened.log);
    EXPECT_EQ(opened.failure->code, Errc::mismatch);
    EXPECT_NE(opened.failure->text.find("volume 00000000000011110000000000002222"),
              std::string::npos)
        << opened.failure->text;
}

TEST(SegmentLog, reuses_freed_segments_and_forgets_their_records) {
    const auto disk = make_memory_disk();
    std::vector<std::uint64_t> released;
    auto options = options_for(*disk);
    options.released = [&](std::uint64_t generation) { released.push_back(generation); };
    auto opened = open_log(options);
    const std::string value(1500, 'v');
    const LogPlace first = put(*opened.log, 0, value);
    for (std::uint64_t i = 1; i < 60; ++i) put(*opened.log, i, value);
    EXPECT_EQ(opened.log->free_segment(opened.log->segments().back().generation).error().code,
              Errc::invalid_argument);   // it is not complete
    ASSERT_TRUE(opened.log->free_segment(1));
    EXPECT_EQ(opened.log->free_segment(1).error().code, Errc::invalid_argument);
    EXPECT_TRUE(released.empty());
    // Until the next header recovery still finds it.
    EXPECT_EQ(found_after_cut(*disk), 60u);
    ASSERT_TRUE(opened.log->roll());
    EXPECT_EQ(released, std::vector<std::uint64_t>{1});
    EXPECT_EQ(opened.log->read(first).error().code, Errc::not_found);
    const auto after = disk->after_power_cut(2);
    auto again = open_log(options_for(*after));
    ASSERT_TRUE(again.log) << again.failure_text();
    EXPECT_LT(again.found.size(), 60u);
    EXPECT_GT(again.found.size(), 20u);
    // Its file serves again.
    for (std::uint64_t i = 0; i < 200; ++i) put(*opened.log, i, value);
    EXPECT_GT(opened.log->statistics().segments_reused, 0u);
}

TEST(SegmentLog, knows_that_there_is_no_room_before_a_batch_is_accepted) {
    const auto disk = make_memory_disk();
    auto options = options_for(*disk);
    options.limit_bytes = 8 * options.segment_bytes;
    auto opened = open_log(options);
    const std::string value(1500, 'v');
    std::uint64_t accepted = 0;
    std::optional<Failure> failure;
    while (!failure) {
        const auto appended = opened.log->append(std::vector{raw(accepted, value)});
        if (appended)
            ++accepted;
        else
            failure = appended.error();
    }
    EXPECT_EQ(failure->code, Errc::io);
    EXPECT_EQ(failure->sys_errno, ENOSPC);
    EXPECT_GT(accepted, 100u);
    // What was accepted is kept, and who makes room may still append.
    ASSERT_TRUE(opened.log->commit_all());
    ASSERT_TRUE(opened.log->append(std::vector{raw(accepted, value)}, Urgency::reserve));
    ASSERT_TRUE(opened.log->commit_all());
    EXPECT_EQ(found_after_cut(*disk), accepted + 1);
    for (const SegmentInfo& segment : opened.log->segments())
        if (segment.complete) {
            ASSERT_TRUE(opened.log->free_segment(segment.generation));
        }
    ASSERT_TRUE(opened.log->roll());
    EXPECT_TRUE(opened.log->append(std::vector{raw(1, value)}));
}

TEST(SegmentLog, a_full_disk_leaves_the_log_as_it_was) {
    MemoryDiskOptions small;
    small.capacity_bytes = 10 * (64 << 10);
    const auto disk = make_memory_disk(small);
    auto opened = open_log(options_for(*disk));
    const std::string value(3000, 'v');
    std::uint64_t accepted = 0;
    while (opened.log->append(std::vector{raw(accepted, value)})) ++accepted;
    const auto failed = opened.log->append(std::vector{raw(accepted, value)});
    EXPECT_EQ(failed.error().sys_errno, ENOSPC) << failed.error().to_string();
    EXPECT_NE(failed.error().text.find("needs a segment"), std::string::npos);
    ASSERT_TRUE(opened.log->commit_all());
    EXPECT_EQ(found_after_cut(*disk), accepted);
}

}  // namespace
}  // namespace ssi::io
