// SPDX-License-Identifier: BSD-3-Clause
// What a power cut leaves of a disk in memory, over many seeds.
#include "ssi/io/memory_disk.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <thread>

#include "pages.hpp"
#include "ssi/sys/fiber.hpp"

namespace ssi::io {
namespace {

constexpr std::uint64_t seeds = 200;
constexpr std::size_t sectors_of_block = block_bytes / sector_bytes;

// Tags of the sectors of a file, as a reader sees them; "" when there is no such file.
std::string tags(Disk& disk, const std::string& name, std::size_t blocks = 4) {
    auto file = disk.open(name, OpenMode::read);
    if (!file) return "";
    Pages pages(blocks);
    const auto got = read(disk, **file, pages.span(), 0);
    EXPECT_FINE(got);
    std::string all;
    for (std::size_t sector = 0; sector < *got / sector_bytes; ++sector) {
        const std::uint64_t tag = pages.tag_of_sector(sector);
        all += tag == UINT64_MAX ? '?' : static_cast<char>('0' + tag);
    }
    return all;
}

struct Outcomes {
    std::map<std::string, int> seen;
    std::set<char> tags;            // of all sectors of all outcomes
    Outcomes(const MemoryDisk& disk, const std::string& name) {
        for (std::uint64_t seed = 0; seed < seeds; ++seed) {
            const auto left = disk.after_power_cut(seed);
            const std::string text = io::tags(*left, name);
            ++seen[text];
            tags.insert(text.begin(), text.end());
        }
    }
};

class PowerCut : public testing::Test {
protected:
    // A file of two blocks with tag 1, synced, in a synced directory.
    void SetUp() override {
        file_ = open_file(*disk_, "a", OpenMode::create);
        put(1);
        ASSERT_FINE(sync(*disk_, *file_));
        ASSERT_FINE(disk_->sync_directory(""));
    }
    void put(std::uint64_t tag, bool durable = false) {
        Pages pages(2, tag);
        ASSERT_FINE(write(*disk_, *file_, pages.span(), 0, durable));
    }
    std::unique_ptr<MemoryDisk> disk_ = make_memory_disk();
    std::unique_ptr<DiskFile> file_;
};

const std::string whole(char tag) { return std::string(2 * sectors_of_block, tag); }

TEST_F(PowerCut, leaves_what_was_synced) {
    const Outcomes after(*disk_, "a");
    EXPECT_EQ(after.seen.size(), 1u);
    EXPECT_EQ(after.seen.begin()->first, whole('1'));
}

TEST_F(PowerCut, leaves_each_sector_old_or_new) {
    put(2);
    const Outcomes after(*disk_, "a");
    EXPECT_EQ(after.tags, (std::set<char>{'1', '2'}));
    EXPECT_TRUE(after.seen.contains(whole('1'))) << "never lost as a whole";
    EXPECT_TRUE(after.seen.contains(whole('2'))) << "never kept as a whole";
    EXPECT_GT(after.seen.size(), 50u) << "hardly ever torn";
    ASSERT_FINE(sync(*disk_, *file_));
    EXPECT_EQ(Outcomes(*disk_, "a").tags, (std::set<char>{'2'}));
}

TEST_F(PowerCut, brings_back_an_older_write_but_none_from_before_the_sync) {
    put(2);
    put(3);
    EXPECT_EQ(Outcomes(*disk_, "a").tags, (std::set<char>{'1', '2', '3'}));
    ASSERT_FINE(sync(*disk_, *file_));
    put(4);
    EXPECT_EQ(Outcomes(*disk_, "a").tags, (std::set<char>{'3', '4'}));
    for (int i = 0; i < 20; ++i) put(5 + static_cast<std::uint64_t>(i) % 4);
    EXPECT_TRUE(Outcomes(*disk_, "a").tags.contains('3'));
}

TEST_F(PowerCut, keeps_a_durable_write_and_only_that) {
    Pages pages(2, 2);
    put(2);
    pages.fill(3);
    ASSERT_FINE(write(*disk_, *file_, pages.blocks(0, 1), 0, true));
    const Outcomes after(*disk_, "a");
    for (const auto& [text, count] : after.seen) {
        EXPECT_EQ(text.substr(0, sectors_of_block), std::string(sectors_of_block, '3'));
        EXPECT_EQ(text.find_first_not_of("12", sectors_of_block), std::string::npos) << text;
    }
    EXPECT_GT(after.seen.size(), 10u);
}

TEST_F(PowerCut, keeps_the_size_with_a_durable_write) {
    ASSERT_FINE(disk_->sync_directory(""));
    auto file = open_file(*disk_, "b", OpenMode::create);
    ASSERT_FINE(disk_->sync_directory(""));
    Pages pages(2, 6);
    ASSERT_FINE(write(*disk_, *file, pages.span(), 0, true));
    EXPECT_EQ(Outcomes(*disk_, "b").seen.begin()->first, whole('6'));
    EXPECT_EQ(Outcomes(*disk_, "b").seen.size(), 1u);
}

TEST_F(PowerCut, a_durable_write_makes_sure_of_the_size_up_to_its_end_only) {
    Pages pages(2, 7);
    ASSERT_FINE(write(*disk_, *file_, pages.span(), 2 * block_bytes));
    const auto sizes = [&] {
        std::set<std::size_t> seen;
        for (const auto& [text, count] : Outcomes(*disk_, "a").seen) seen.insert(text.size() / 8);
        return seen;
    };
    ASSERT_FINE(write(*disk_, *file_, pages.blocks(0, 1), 0, true));
    EXPECT_EQ(sizes(), (std::set<std::size_t>{2, 4}));
    ASSERT_FINE(write(*disk_, *file_, pages.blocks(0, 1), 2 * block_bytes, true));
    EXPECT_EQ(sizes(), (std::set<std::size_t>{3, 4}));
}

TEST_F(PowerCut, may_lose_the_growth_of_a_file) {
    Pages pages(2, 7);
    ASSERT_FINE(write(*disk_, *file_, pages.span(), 2 * block_bytes));
    bool short_seen = false, long_seen = false;
    const Outcomes after(*disk_, "a");
    for (const auto& [text, count] : after.seen) {
        EXPECT_EQ(text.substr(0, 16), whole('1'));
        EXPECT_EQ(text.find_first_not_of("07", 16), std::string::npos) << text;
        (text.size() == 16 ? short_seen : long_seen) = true;
    }
    EXPECT_TRUE(short_seen && long_seen);
}

TEST_F(PowerCut, may_lose_a_truncation_and_a_punched_hole) {
    ASSERT_FINE(file_->truncate(block_bytes));
    EXPECT_EQ(Outcomes(*disk_, "a").seen.count(std::string(8, '1')), 1u);
    EXPECT_EQ(Outcomes(*disk_, "a").seen.count(whole('1')), 1u);
    ASSERT_FINE(sync(*disk_, *file_));
    EXPECT_EQ(Outcomes(*disk_, "a").seen.size(), 1u);
    ASSERT_FINE(file_->punch(0, block_bytes));
    EXPECT_EQ(Outcomes(*disk_, "a").tags, (std::set<char>{'0', '1'}));
    ASSERT_FINE(sync(*disk_, *file_));
    EXPECT_EQ(Outcomes(*disk_, "a").tags, (std::set<char>{'0'}));
}

// A sync promises nothing for a write that was still under way when it was submitted.
TEST_F(PowerCut, sync_covers_only_what_was_done_before_it) {
    Pages pages(2, 2);
    DiskRequest writing, syncing;
    writing.kind = DiskRequest::Kind::write;
    writing.file = syncing.file = file_.get();
    writing.memory = pages.data();
    writing.length = pages.size();
    syncing.kind = DiskRequest::Kind::sync;
    DiskRequest* const both[] = {&writing, &syncing};
    disk_->submit(both);
    EXPECT_EQ(Outcomes(*disk_, "a").tags, (std::set<char>{'1', '2'})) << "under way";
    disk_->wait(syncing);
    disk_->wait(writing);
    EXPECT_EQ(Outcomes(*disk_, "a").tags, (std::set<char>{'1', '2'}));
}

TEST(PowerCutOfASync, keeps_the_newest_content_from_before_it_at_least) {
    std::set<char> of_runs;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const auto disk = make_memory_disk({.seed = seed});
        auto file = open_file(*disk, "a", OpenMode::create);
        ASSERT_FINE(disk->sync_directory(""));
        Pages pages(2);
        DiskRequest syncing;
        syncing.kind = DiskRequest::Kind::sync;
        syncing.file = file.get();
        DiskRequest* const batch[] = {&syncing};
        for (std::uint64_t tag = 1; tag <= 4; ++tag) {
            pages.fill(tag);
            ASSERT_FINE(write(*disk, *file, pages.span(), 0));
            if (tag == 2) disk->submit(batch);
        }
        disk->wait(syncing);
        const Outcomes after(*disk, "a");
        EXPECT_EQ(after.tags, (std::set<char>{'2', '3', '4'})) << "seed " << seed;
    }
}

TEST(PowerCutOfNames, keeps_a_file_whose_old_name_was_taken_by_another) {
    const auto disk = make_memory_disk();
    Pages pages(1);
    const auto make = [&](std::uint64_t tag) {
        auto file = open_file(*disk, "log", OpenMode::create_new);
        pages.fill(tag);
        ASSERT_FINE(write(*disk, *file, pages.span(), 0, true));
    };
    make(1);
    ASSERT_FINE(disk->sync_directory(""));
    ASSERT_FINE(disk->rename("log", "archive"));
    make(2);
    std::set<std::string> seen;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        const auto left = disk->after_power_cut(seed);
        seen.insert(tags(*left, "log") + "|" + tags(*left, "archive"));
    }
    const std::string one(8, '1'), two(8, '2');
    EXPECT_EQ(seen, (std::set<std::string>{one + "|", "|" + one, two + "|" + one}));
}

TEST(PowerCutOfNames, undoes_what_was_not_synced_or_not) {
    const auto disk = make_memory_disk();
    Pages pages(1, 1);
    const auto make = [&](const std::string& name, std::uint64_t tag) {
        auto file = open_file(*disk, name, OpenMode::create);
        pages.fill(tag);
        ASSERT_FINE(write(*disk, *file, pages.span(), 0));
        ASSERT_FINE(sync(*disk, *file));
    };
    make("old", 1);
    make("gone", 2);
    make("current", 3);
    ASSERT_FINE(disk->sync_directory(""));
    make("fresh", 4);
    make("temporary", 5);
    ASSERT_FINE(disk->rename("temporary", "current"));
    ASSERT_FINE(disk->remove("gone"));
    std::set<std::string> current, seen;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        const auto left = disk->after_power_cut(seed);
        EXPECT_EQ(tags(*left, "old"), std::string(8, '1'));
        const std::string now = tags(*left, "current"), before = tags(*left, "temporary");
        EXPECT_TRUE(now == std::string(8, '3') || (now == std::string(8, '5') && before == ""))
            << now << " and " << before;
        current.insert(now + "|" + before);
        std::string names;
        const auto list = left->list("");
        for (const std::string& name : *list) names += name + " ";
        seen.insert(names);
    }
    EXPECT_EQ(current.size(), 3u) << "not created, created, renamed";
    EXPECT_TRUE(seen.contains("current old ")) << "removed, and none created";
    EXPECT_TRUE(seen.contains("current fresh gone old "));
    ASSERT_FINE(disk->sync_directory(""));
    for (std::uint64_t seed = 0; seed < seeds; ++seed)
        EXPECT_EQ(*disk->after_power_cut(seed)->list(""),
                  (std::vector<std::string>{"current", "fresh", "old"}));
}

TEST(PowerCutOfNames, a_lost_directory_takes_its_files_with_it) {
    const auto disk = make_memory_disk();
    ASSERT_FINE(disk->make_directory("d"));
    open_file(*disk, "d/a", OpenMode::create);
    ASSERT_FINE(disk->sync_directory("d"));
    std::set<bool> seen;
    for (std::uint64_t seed = 0; seed < seeds; ++seed) {
        const auto left = disk->after_power_cut(seed);
        const bool there = left->list("d").has_value();
        seen.insert(there);
        EXPECT_EQ(left->open("d/a", OpenMode::read).has_value(), there);
    }
    EXPECT_EQ(seen.size(), 2u);
}

TEST(PowerCutOfNames, a_rename_between_directories_needs_both_synced) {
    for (const bool both : {false, true}) {
        const auto disk = make_memory_disk();
        ASSERT_FINE(disk->make_directory("d"));
        open_file(*disk, "a", OpenMode::create);
        ASSERT_FINE(disk->sync_directory(""));
        ASSERT_FINE(disk->rename("a", "d/b"));
        ASSERT_FINE(disk->sync_directory("d"));
        if (both) {
            ASSERT_FINE(disk->sync_directory(""));
        }
        std::set<bool> renamed;
        for (std::uint64_t seed = 0; seed < seeds; ++seed) {
            const auto left = disk->after_power_cut(seed);
            const bool at_new = left->open("d/b", OpenMode::read).has_value();
            EXPECT_NE(at_new, left->open("a", OpenMode::read).has_value());
            renamed.insert(at_new);
        }
        EXPECT_EQ(renamed.size(), both ? 1u : 2u);
        EXPECT_TRUE(renamed.contains(true));
    }
}

TEST(MemoryDisk, is_full_when_its_capacity_is_used) {
    const auto disk = make_memory_disk({.capacity_bytes = 10 * block_bytes});
    auto file = open_file(*disk, "a", OpenMode::create);
    Pages pages(12, 1);
    EXPECT_EQ(file->allocate(0, 11 * block_bytes).error().sys_errno, ENOSPC);
    EXPECT_EQ(*file->size(), 0u);
    EXPECT_EQ(write(*disk, *file, pages.span(), 0).error().sys_errno, ENOSPC);
    EXPECT_EQ(disk->space()->free_bytes, 0u);
    ASSERT_FINE(write(*disk, *file, pages.blocks(0, 10), 0));
    ASSERT_FINE(file->punch(0, 4 * block_bytes));
    EXPECT_EQ(disk->space()->free_bytes, 4 * block_bytes);
    auto other = open_file(*disk, "b", OpenMode::create);
    ASSERT_FINE(other->allocate(0, 4 * block_bytes));
    EXPECT_EQ(write(*disk, *file, pages.blocks(0, 1), 0).error().sys_errno, ENOSPC);
    ASSERT_FINE(write(*disk, *other, pages.blocks(0, 4), 0));
    ASSERT_FINE(disk->rename("b", "a"));
    EXPECT_EQ(disk->space()->free_bytes, 6 * block_bytes);
    ASSERT_FINE(write(*disk, *file, pages.blocks(0, 4), 0));
    ASSERT_FINE(file->truncate(0));
    ASSERT_FINE(other->truncate(block_bytes));
    EXPECT_EQ(disk->space()->free_bytes, 9 * block_bytes) << "a removed file counts";
    EXPECT_EQ(disk->after_power_cut(1)->space()->total_bytes, 10 * block_bytes);
}

TEST(MemoryDisk, tells_of_each_operation_so_that_power_can_be_cut_after_any) {
    std::vector<std::string> after;
    const auto disk = make_memory_disk(
        {.observe = [&](const MemoryDisk& now, std::uint64_t) {
            after.push_back(tags(*now.after_power_cut(1), "a", 1));
        }});
    auto file = open_file(*disk, "a", OpenMode::create);
    ASSERT_FINE(disk->sync_directory(""));
    Pages pages(1, 1);
    ASSERT_FINE(write(*disk, *file, pages.span(), 0, true));
    ASSERT_FINE(read(*disk, *file, pages.span(), 0));
    ASSERT_FINE(disk->remove("a"));
    ASSERT_FINE(disk->sync_directory(""));
    ASSERT_EQ(after.size(), 5u);
    EXPECT_EQ(after[2], "11111111");
    EXPECT_EQ(after[4], "");
}

// In the simulator requests are done by themselves, in virtual time and in an order of the seed's.
std::string order_in_simulator(std::uint64_t seed) {
    sys::FiberScheduler scheduler({.seed = seed, .preempt_every = 7});
    const auto disk = make_memory_disk({.seed = seed, .scheduler = &scheduler});
    struct Told {
        DiskRequest request;
        char name;
        std::string* order;
    };
    std::string order;
    std::vector<Told> all(26);
    Pages pages(26, 1);
    std::unique_ptr<DiskFile> file;
    scheduler.spawn(0, [&] {
        file = open_file(*disk, "a", OpenMode::create);
        std::vector<DiskRequest*> batch;
        for (std::size_t i = 0; i < all.size(); ++i) {
            all[i].name = static_cast<char>('a' + i);
            all[i].order = &order;
            DiskRequest& one = all[i].request;
            one.kind = DiskRequest::Kind::write;
            one.file = file.get();
            one.place = i * block_bytes;
            one.memory = pages.data() + i * block_bytes;
            one.length = block_bytes;
            one.done = [](DiskRequest&, void* told) {
                static_cast<Told*>(told)->order->push_back(static_cast<Told*>(told)->name);
            };
            one.context = &all[i];
            batch.push_back(&one);
        }
        disk->submit(batch);
    });
    scheduler.spawn(1, [&] {
        scheduler.sleep_until(10'000);
        Pages page(1, 2);
        auto other = open_file(*disk, "b", OpenMode::create);
        EXPECT_FINE(write(*disk, *other, page.span(), 0));
        EXPECT_FINE(sync(*disk, *other));
        EXPECT_GT(scheduler.now(), 30'000);
    });
    EXPECT_EQ(scheduler.run(), sys::FiberScheduler::Outcome::idle);
    EXPECT_EQ(order.size(), 26u);
    EXPECT_LT(scheduler.now(), 1'000'000);
    return order;
}

TEST(MemoryDisk, does_requests_in_virtual_time_in_the_order_of_the_seed) {
    EXPECT_EQ(order_in_simulator(1), order_in_simulator(1));
    EXPECT_NE(order_in_simulator(1), order_in_simulator(2));
}

TEST(MemoryDisk, a_frozen_node_never_hears_of_its_requests_again) {
    sys::FiberScheduler scheduler({});
    const auto disk = make_memory_disk({.scheduler = &scheduler});
    Pages pages(1, 1);
    std::unique_ptr<DiskFile> file;
    DiskRequest one;
    bool heard = false;
    scheduler.spawn(3, [&] {
        file = open_file(*disk, "a", OpenMode::create);
        EXPECT_FINE(disk->sync_directory(""));
        one.kind = DiskRequest::Kind::write;
        one.file = file.get();
        one.memory = pages.data();
        one.length = block_bytes;
        one.done = [](DiskRequest&, void* told) { *static_cast<bool*>(told) = true; };
        one.context = &heard;
        DiskRequest* const batch[] = {&one};
        disk->submit(batch);
        scheduler.freeze(3);
        scheduler.sleep_until(1);
    });
    EXPECT_EQ(scheduler.run(), sys::FiberScheduler::Outcome::idle);
    EXPECT_FALSE(heard);
    std::set<std::string> left;
    for (std::uint64_t seed = 0; seed < seeds; ++seed)
        scheduler.spawn(4, [&, seed] { left.insert(tags(*disk->after_power_cut(seed), "a")); });
    EXPECT_EQ(scheduler.run(), sys::FiberScheduler::Outcome::idle);
    EXPECT_TRUE(left.contains(std::string(8, '1')) && left.contains("")) << left.size();
}

}  // namespace
}  // namespace ssi::io
