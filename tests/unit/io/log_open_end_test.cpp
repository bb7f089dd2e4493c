// SPDX-License-Identifier: BSD-3-Clause
// A segment that begins while the one before it is not durable: what recovery makes of it when the
// one before ends early.
#include "log_tools.hpp"
#include "ssi/io/faulty_disk.hpp"
#include "ssi/io/log_check.hpp"

namespace ssi::io {
namespace {

using namespace test;

// Two segments, and a header of the second that says that the first may end early. The batches of
// the first, and what the second has besides.
struct Two {
    std::unique_ptr<MemoryDisk> disk = make_memory_disk();
    std::vector<LogPlace> places;
    std::size_t in_second = 0;
    std::uint64_t first = 1;           // generation

    // `committed`: all of the first before the second has any. `freed`: there was one before, which
    // the second's header lists no more.
    explicit Two(bool committed, bool freed = false) {
        {
            SegmentLogOptions options = options_for(*disk);
            options.write_behind_bytes = 1;   // a write each
            auto opened = open_log(options);
            if (freed) {
                EXPECT_TRUE(opened.log->roll());
                EXPECT_TRUE(opened.log->free_segment(first++));
            }
            for (std::uint64_t i = 1; in_second < 3; ++i) {
                const auto appended =
                    opened.log->append(std::vector{raw(i, std::string(3000, 'v'))});
                EXPECT_TRUE(appended);
                if (appended->places[0].segment == first) {
                    places.push_back(appended->places[0]);
                } else if (++in_second == 1 && committed) {
                    EXPECT_TRUE(opened.log->commit_all());
                }
            }
            EXPECT_TRUE(opened.log->close());
        }
        open_end();
        remove_footer();
    }
    void remove_footer() {
        const auto file = disk->open(segment_path(first), OpenMode::write);
        BlockBuffer block(log_block_bytes);
        std::memset(block.data(), 0, log_block_bytes);
        ASSERT_TRUE(write(*disk, **file, block.first(log_block_bytes),
                          *(*file)->size() - log_block_bytes, true));
    }
    void open_end() {
        const auto file = disk->open(segment_path(first + 1), OpenMode::write);
        BlockBuffer block(log_block_bytes);
        ASSERT_TRUE(read(*disk, **file, block.first(log_block_bytes), 0));
        auto header = decode_header(block.first(log_block_bytes));
        ASSERT_TRUE(header);
        ASSERT_EQ(header->live.size(), 1u);
        header->last_open = true;
        std::memset(block.data(), 0, log_block_bytes);
        encode_header(*header, block.first(log_block_bytes));
        ASSERT_TRUE(write(*disk, **file, block.first(log_block_bytes), 0, true));
    }
    LogCheck check() {
        auto report = check_log({.disk = disk.get(), .directory = "log"});
        EXPECT_TRUE(report);
        return *report;
    }
};

TEST(LogOpenEnd, an_end_that_is_there_is_as_good_as_any) {
    Two two(false);
    auto opened = open_log(options_for(*two.disk));
    ASSERT_TRUE(opened.log) << opened.failure_text();
    EXPECT_EQ(opened.found.size(), two.places.size() + 3);
    EXPECT_EQ(opened.log->recovery().dropped_segments, 0u);
}

TEST(LogOpenEnd, behind_a_torn_end_nothing_counts_and_it_stays_so) {
    Two two(false);
    flip(*two.disk, segment_path(1), two.places.back().offset + 100);
    const LogCheck report = two.check();
    EXPECT_TRUE(report.faults.empty()) << report.faults[0].to_string();
    EXPECT_TRUE(report.torn);
    EXPECT_EQ(report.batches, two.places.size() - 1);
    const std::size_t kept = two.places.size() - 1;
    // Recovery alone changes nothing: twice the same, whatever it began.
    for (int life = 0; life < 2; ++life) {
        std::unique_ptr<MemoryDisk> left;
        auto opened = open_log(options_for(*two.disk));
        ASSERT_TRUE(opened.log) << opened.failure_text();
        EXPECT_EQ(opened.found.size(), kept);
        EXPECT_EQ(opened.log->last(), kept);
        EXPECT_EQ(opened.log->recovery().dropped_segments, 1u);
        EXPECT_TRUE(opened.log->recovery().torn);
        left = two.disk->after_power_cut(1);   // the log is not closed yet
        opened.log.reset();
        two.disk = std::move(left);
    }
    {
        std::unique_ptr<MemoryDisk> left;
        auto opened = open_log(options_for(*two.disk));
        ASSERT_TRUE(opened.log) << opened.failure_text();
        put(*opened.log, 500, "new");
        left = two.disk->after_power_cut(1);
        opened.log.reset();
        two.disk = std::move(left);
    }
    auto again = open_log(options_for(*two.disk));
    ASSERT_TRUE(again.log) << again.failure_text();
    ASSERT_EQ(again.found.size(), kept + 1);
    EXPECT_EQ(again.found.back().id, ObjectId(500));
    EXPECT_EQ(again.log->recovery().dropped_segments, 0u);
    EXPECT_TRUE(two.check().faults.empty());
}

// What the header of the segment that does not count says is needed until there is a newer one: the
// one before would list a segment whose file is gone.
TEST(LogOpenEnd, a_cut_at_any_moment_after_that_leaves_a_log) {
    for (std::uint64_t at = 1;; ++at) {
        Two two(false, true);
        flip(*two.disk, segment_path(two.first), two.places.back().offset + 100);
        const auto faulty = make_faulty_disk(*two.disk);
        faulty->set_plan({.fail_at = at});
        bool put_one = false;
        std::unique_ptr<MemoryDisk> left;
        {
            auto opened = open_log(options_for(*faulty));
            if (opened.log) {
                const auto appended = opened.log->append(std::vector{raw(500, "new")});
                put_one = appended && opened.log->commit(appended->batch);
            }
            left = two.disk->after_power_cut(at);
        }
        auto again = open_log(options_for(*left));
        ASSERT_TRUE(again.log) << at << ": " << again.failure_text();
        EXPECT_GE(again.found.size(), two.places.size() - (put_one ? 0 : 1)) << at;
        if (faulty->faults() == 0) break;
    }
}

TEST(LogOpenEnd, an_end_that_the_next_segment_calls_durable_is_damage) {
    Two two(true);
    flip(*two.disk, segment_path(1), two.places.back().offset + 100);
    const auto opened = open_log(options_for(*two.disk));
    ASSERT_FALSE(opened.log);
    EXPECT_EQ(opened.failure->code, Errc::io);
    const std::string batch = fmt::format("batch {} was committed", two.places.size());
    EXPECT_NE(opened.failure->text.find(batch), std::string::npos) << opened.failure->text;
    const LogCheck report = two.check();
    ASSERT_EQ(report.faults.size(), 1u);
    EXPECT_NE(report.faults[0].text.find(batch), std::string::npos) << report.faults[0].text;
}

}  // namespace
}  // namespace ssi::io
