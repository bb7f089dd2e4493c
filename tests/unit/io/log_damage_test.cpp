// SPDX-License-Identifier: BSD-3-Clause
// What is torn is dropped; what was committed and is damaged is named, never cut off.
#include "log_tools.hpp"
#include "ssi/io/log_check.hpp"

namespace ssi::io {
namespace {

using namespace test;

// Five batches in the newest segment, each a write of its own; not closed.
struct Five {
    std::unique_ptr<MemoryDisk> before = make_memory_disk();
    std::unique_ptr<MemoryDisk> disk;
    std::vector<LogPlace> places;
    Five() {
        auto opened = open_log(options_for(*before));
        for (std::uint64_t i = 1; i <= 5; ++i)
            places.push_back(put(*opened.log, i, fmt::format("value {}", i)));
        disk = before->after_power_cut(1);   // the log is not closed yet
    }
};

TEST(LogDamage, a_torn_last_batch_is_dropped_and_those_before_are_kept) {
    Five five;
    flip(*five.disk, segment_path(1), five.places[4].offset + 80);
    auto opened = open_log(options_for(*five.disk));
    ASSERT_TRUE(opened.log) << opened.failure_text();
    EXPECT_EQ(opened.found.size(), 4u);
    ASSERT_TRUE(opened.log->recovery().torn);
    EXPECT_NE(opened.log->recovery().torn->find("batch 5"), std::string::npos);
    // Its number is used again, in a new segment, and what was torn never comes back.
    EXPECT_EQ(opened.log->last(), 4u);
    put(*opened.log, 50, "new five");
    put(*opened.log, 60, "new six");
    const auto after = five.disk->after_power_cut(1);
    auto again = open_log(options_for(*after));
    ASSERT_TRUE(again.log) << again.failure_text();
    ASSERT_EQ(again.found.size(), 6u);
    EXPECT_EQ(again.found[4].id, ObjectId(50));
}

TEST(LogDamage, a_committed_batch_that_is_damaged_is_named) {
    Five five;
    flip(*five.disk, segment_path(1), five.places[2].offset + 74);
    const auto opened = open_log(options_for(*five.disk));
    ASSERT_FALSE(opened.log);
    EXPECT_EQ(opened.failure->code, Errc::io);
    for (const char* part : {"0000000000000001.seg", "byte", "batch 3", "record 0", "set 1",
                             "object 0:3", "hash"})
        EXPECT_NE(opened.failure->text.find(part), std::string::npos)
            << part << " in " << opened.failure->text;
}

// One write with three batches, the first torn: the whole ones behind it are dropped, too.
TEST(LogDamage, whole_batches_behind_a_torn_one_are_dropped) {
    const auto before = make_memory_disk();
    std::unique_ptr<MemoryDisk> disk;
    std::vector<LogPlace> places;
    {
        auto opened = open_log(options_for(*before));
        put(*opened.log, 1, "first");
        const std::string value(5000, 'v');
        for (std::uint64_t i = 2; i <= 4; ++i)
            places.push_back(opened.log->append(std::vector{raw(i, value)})->places[0]);
        ASSERT_TRUE(opened.log->commit_all());
        disk = before->after_power_cut(1);
    }
    flip(*disk, segment_path(1), places[0].offset + 200);
    auto opened = open_log(options_for(*disk));
    ASSERT_TRUE(opened.log) << opened.failure_text();
    EXPECT_EQ(opened.found.size(), 1u);
    EXPECT_TRUE(opened.log->recovery().torn);
    put(*opened.log, 9, "after");
    const auto after = disk->after_power_cut(1);
    auto again = open_log(options_for(*after));
    ASSERT_TRUE(again.log) << again.failure_text();
    ASSERT_EQ(again.found.size(), 2u);
    EXPECT_EQ(again.found[1].id, ObjectId(9));
}

TEST(LogDamage, a_damaged_header_of_the_newest_segment_is_no_segment_that_never_was) {
    Five five;
    for (const std::uint64_t byte : {0, 8, 12, 20, 40, 48, 56, 64, 100, 4095}) {
        const auto disk = five.disk->after_power_cut(1);
        flip(*disk, segment_path(1), byte);
        const auto opened = open_log(options_for(*disk));
        ASSERT_FALSE(opened.log) << byte;
        EXPECT_NE(opened.failure->text.find("0000000000000001.seg"), std::string::npos)
            << opened.failure->text;
    }
}

TEST(LogDamage, a_segment_that_is_gone_is_named) {
    auto disk = make_memory_disk();
    {
        auto opened = open_log(options_for(*disk));
        for (std::uint64_t i = 0; i < 100; ++i) put(*opened.log, i, std::string(1500, 'v'));
    }
    ASSERT_TRUE(disk->remove(segment_path(2)));
    const auto opened = open_log(options_for(*disk));
    ASSERT_FALSE(opened.log);
    EXPECT_EQ(opened.failure->code, Errc::io);
    EXPECT_NE(opened.failure->text.find("0000000000000002.seg"), std::string::npos)
        << opened.failure->text;
}

// The newest segment is listed by no header: the footer before it tells that it was there.
TEST(LogDamage, the_newest_segment_that_is_gone_is_named) {
    for (const bool closed : {false, true})
        for (const bool one_each : {false, true}) {
            auto disk = make_memory_disk();
            std::uint64_t newest = 0;
            // Of one session, or each of a session of its own: then the one before is found sealed.
            for (int session = 0; session < (one_each ? 3 : 1); ++session) {
                auto opened = open_log(options_for(*disk));
                ASSERT_TRUE(opened.log) << opened.failure_text();
                for (std::uint64_t i = 0; i < (one_each ? 2 : 100); ++i)
                    newest = put(*opened.log, i, std::string(1500, 'v')).segment;
                if (!closed) {
                    auto after = disk->after_power_cut(1);
                    opened.log.reset();
                    disk = std::move(after);
                }
            }
            ASSERT_TRUE(disk->remove(segment_path(newest)));
            const auto report = check_log({.disk = disk.get(), .directory = "log"});
            ASSERT_TRUE(report);
            EXPECT_EQ(report->faults.size(), 1u);
            const auto opened = open_log(options_for(*disk));
            ASSERT_FALSE(opened.log) << closed << one_each;
            EXPECT_EQ(opened.failure->code, Errc::io);
            EXPECT_NE(opened.failure->text.find("later segment"), std::string::npos)
                << opened.failure->text;
        }
}

// A file that is reused still has whole batches of its first life, with the very numbers that come
// next: what was torn took them, and they were given again. How many records are found at the end.
std::size_t found_in_a_reused_file(const LogPlants* plants) {
    const auto first = make_memory_disk();
    std::unique_ptr<MemoryDisk> disk;
    std::vector<LogPlace> places;
    auto options = options_for(*first);
    options.plants = plants;
    {
        auto opened = open_log(options);
        put(*opened.log, 1, "first");
        const std::string block(4096 - batch_head_bytes - commit_mark_bytes - record_head_bytes,
                                'o');
        for (std::uint64_t i = 2; i <= 4; ++i)
            places.push_back(opened.log->append(std::vector{raw(i, block)})->places[0]);
        EXPECT_TRUE(opened.log->commit_all());
        disk = first->after_power_cut(1);
    }
    EXPECT_EQ(places[1].offset % log_block_bytes, batch_head_bytes);   // they begin at blocks
    flip(*disk, segment_path(1), places[0].offset + 200);              // 2 is torn, 3 and 4 whole
    options.disk = disk.get();
    std::unique_ptr<MemoryDisk> after;
    {
        auto opened = open_log(options);
        EXPECT_EQ(opened.log->last(), 1u);
        EXPECT_TRUE(opened.log->free_segment(1));
        EXPECT_TRUE(opened.log->roll());                    // now its file is free
        EXPECT_TRUE(opened.log->roll());                    // and used again
        EXPECT_EQ(opened.log->statistics().segments_reused, 1u);
        put(*opened.log, 9, std::string(6000, 'n'));        // batch 2, up to where the old 3 is
        after = disk->after_power_cut(1);
    }
    options.disk = after.get();
    return open_log(options).found.size();
}

TEST(LogDamage, a_reused_file_does_not_replay_its_first_life) {
    EXPECT_EQ(found_in_a_reused_file(nullptr), 1u);
    const LogPlants plants{.unseeded_hashes = true};   // so this can fail
    EXPECT_EQ(found_in_a_reused_file(&plants), 3u);
}

TEST(LogDamage, the_footer_of_a_reused_files_first_life_is_no_fault) {
    const auto disk = make_memory_disk();
    auto opened = open_log(options_for(*disk));
    put(*opened.log, 1, std::string(55'000, 'o'));
    put(*opened.log, 2, std::string(55'000, 'o'));   // the first segment gets its footer
    ASSERT_TRUE(opened.log->free_segment(1));
    for (int i = 0; i < 10 && opened.log->statistics().segments_reused == 0; ++i)
        ASSERT_TRUE(opened.log->roll());
    ASSERT_EQ(opened.log->statistics().segments_reused, 1u);
    put(*opened.log, 3, "new");
    const auto after = disk->after_power_cut(1);
    const auto report = check_log({.disk = after.get(), .directory = "log"});
    ASSERT_TRUE(report) << report.error().to_string();
    for (const LogFault& fault : report->faults) ADD_FAILURE() << fault.to_string();
    const auto again = open_log(options_for(*after));
    ASSERT_TRUE(again.log) << again.failure_text();
    EXPECT_EQ(again.found.size(), 2u);
    EXPECT_TRUE(again.log->recovery().bad_footers.empty()) << again.log->recovery().bad_footers[0];
}

// Every bit of a log of two segments, the older with a footer, the newer without.
class Flips : public testing::Test {
protected:
    Flips() {
        auto opened = open_log(options_for(*before_, 32 << 10));
        for (std::uint64_t i = 1; i <= 8; ++i)
            places_.push_back(put(*opened.log, i, std::string(1200, static_cast<char>('a' + i))));
        newest_ = places_.back().segment;
        disk_ = before_->after_power_cut(1);
    }
    // Opens a copy with one bit changed.
    Opened flipped(const std::string& path, std::uint64_t byte, std::uint8_t mask) {
        copy_ = disk_->after_power_cut(1);   // the log on the last copy is closed by now
        flip(*copy_, path, byte, mask);
        return open_log(options_for(*copy_, 32 << 10));
    }
    std::unique_ptr<MemoryDisk> before_ = make_memory_disk();
    std::unique_ptr<MemoryDisk> disk_;
    std::unique_ptr<MemoryDisk> copy_;
    std::vector<LogPlace> places_;
    std::uint64_t newest_ = 0;
};

TEST_F(Flips, in_headers_are_found) {
    for (const std::uint64_t generation : {std::uint64_t{1}, newest_})
        for (std::uint64_t byte = 0; byte < log_block_bytes; byte += byte < 96 ? 1 : 61) {
            const auto opened =
                flipped(segment_path(generation), byte, static_cast<std::uint8_t>(1 << byte % 8));
            ASSERT_FALSE(opened.log) << generation << " " << byte;
            EXPECT_NE(opened.failure->text.find(segment_name(generation)), std::string::npos);
        }
}

TEST_F(Flips, in_footers_cost_a_scan_and_nothing_else) {
    const auto file = disk_->open(segment_path(1), OpenMode::read);
    const std::uint64_t size = *(*file)->size();
    for (std::uint64_t byte = size - log_block_bytes; byte < size;
         byte += byte < size - 4000 || byte > size - 80 ? 1 : 61) {
        const auto opened =
            flipped(segment_path(1), byte, static_cast<std::uint8_t>(1 << byte % 8));
        ASSERT_TRUE(opened.log) << byte << opened.failure_text();
        EXPECT_EQ(opened.found.size(), 8u);
        EXPECT_EQ(opened.log->recovery().segments_scanned, 2u) << byte;
    }
}

TEST_F(Flips, in_footers_would_mislead_if_they_were_trusted) {   // so the test above can fail
    const LogPlants plants{.footers_trusted = true};
    const auto file = disk_->open(segment_path(1), OpenMode::read);
    copy_ = disk_->after_power_cut(1);
    flip(*copy_, segment_path(1), *(*file)->size() - log_block_bytes + 16);   // an object's id
    auto options = options_for(*copy_, 32 << 10);
    options.plants = &plants;
    const auto opened = open_log(options);
    ASSERT_TRUE(opened.log) << opened.failure_text();
    EXPECT_NE(opened.found[0].id.hi, 0u);
}

TEST_F(Flips, in_committed_batches_are_found_when_they_are_read) {
    // Without its footer the older segment is scanned.
    const auto file = disk_->open(segment_path(1), OpenMode::read);
    flip(*disk_, segment_path(1), *(*file)->size() - 1);
    const std::uint64_t first = places_[0].offset - batch_head_bytes;
    const std::uint64_t last = places_[0].offset + record_bytes(1200) + commit_mark_bytes;
    for (std::uint64_t byte = first; byte < last; byte += byte < first + 130 ? 1 : 7) {
        const auto opened =
            flipped(segment_path(1), byte, static_cast<std::uint8_t>(1 << byte % 8));
        ASSERT_FALSE(opened.log) << byte;
        EXPECT_NE(opened.failure->text.find("batch 1"), std::string::npos)
            << opened.failure->text;
    }
}

TEST_F(Flips, in_a_record_fail_its_read_by_file_and_byte) {
    const std::uint64_t first = places_[0].offset, last = first + record_bytes(1200);
    for (std::uint64_t byte = first; byte < last; byte += byte < first + 80 ? 1 : 7) {
        auto opened = flipped(segment_path(1), byte, static_cast<std::uint8_t>(1 << byte % 8));
        ASSERT_TRUE(opened.log) << opened.failure_text();   // by the footer
        const auto read = opened.log->read(places_[0]);
        ASSERT_FALSE(read) << byte;
        EXPECT_EQ(read.error().code, Errc::io);
        EXPECT_NE(read.error().text.find(fmt::format("byte {}", first)), std::string::npos)
            << read.error().text;
        EXPECT_EQ(value_at(*opened.log, places_[1]).size(), 1200u);
    }
}

}  // namespace
}  // namespace ssi::io
