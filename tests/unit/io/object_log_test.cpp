// SPDX-License-Identifier: BSD-3-Clause
// ObjectLog on a disk in memory: values, transactions, deltas, removals, intents, compaction.
#include <algorithm>
#include <map>

#include "log_tools.hpp"
#include "ssi/base/random.hpp"
#include "ssi/io/object_log.hpp"

namespace ssi::io {
namespace {

using namespace test;
const SetId set{5};

std::unique_ptr<ObjectLog> open_objects(Disk& disk, std::uint64_t segment_bytes = 64 << 10) {
    ObjectLogOptions options;
    options.log = options_for(disk, segment_bytes);
    auto opened = ObjectLog::open(options);
    EXPECT_TRUE(opened) << opened.error().to_string();
    return opened ? std::move(*opened) : nullptr;
}

std::string get(ObjectLog& log, ObjectId id, SetId in = set) {
    const auto value = log.get(in, id);
    return value ? text(value->bytes) : value.error().to_string();
}

Sequence put(ObjectLog& log, ObjectId id, const std::string& value, SetId in = set) {
    LogTransaction transaction;
    transaction.put(in, id, bytes(value));
    const auto applied = log.apply(transaction);
    EXPECT_TRUE(applied) << applied.error().to_string();
    return applied.value_or(0);
}

Sequence change(ObjectLog& log, ObjectId id, std::uint32_t length, std::uint32_t offset,
                const std::string& part) {
    LogTransaction transaction;
    transaction.change(set, id, length, {{offset, bytes(part)}});
    const auto applied = log.apply(transaction);
    EXPECT_TRUE(applied) << applied.error().to_string();
    return applied.value_or(0);
}

Sequence remove(ObjectLog& log, ObjectId id) {
    LogTransaction transaction;
    transaction.remove(set, id);
    return log.apply(transaction).value_or(0);
}

void fill(ObjectLog& log, int count) {   // unneeded bytes, in a set of their own
    for (int i = 0; i < count; ++i) put(log, 1, std::string(1500, 'f'), SetId{99});
    ASSERT_TRUE(log.commit_all());
}

TEST(ObjectLog, has_the_newest_value_of_each_object_after_reopening) {
    const auto disk = make_memory_disk();
    {
        const auto log = open_objects(*disk);
        put(*log, 1, "old");
        put(*log, {7, 1}, "other");
        put(*log, 1, "new");
        EXPECT_EQ(get(*log, 1), "new");
        EXPECT_EQ(get(*log, {7, 1}), "other");
        EXPECT_EQ(log->get(set, 2).error().code, Errc::not_found);
    }
    const auto log = open_objects(*disk);
    EXPECT_EQ(get(*log, 1), "new");
    EXPECT_EQ(get(*log, {7, 1}), "other");
    EXPECT_EQ(log->objects(set).size(), 2u);
    EXPECT_EQ(log->objects(set)[0].id, ObjectId(1));
    EXPECT_EQ(log->sets(), std::vector<SetId>{set});
}

TEST(ObjectLog, keeps_zeroes_references_and_empty_values) {
    const auto disk = make_memory_disk();
    {
        const auto log = open_objects(*disk);
        LogTransaction transaction;
        transaction.put_zero(set, 1, 10000);
        transaction.put_ref(set, 2, bytes("extent 4"), 4096);
        transaction.put(set, 3, {});
        ASSERT_TRUE(log->apply(transaction));
    }
    const auto log = open_objects(*disk);
    EXPECT_EQ(get(*log, 1), std::string(10000, '\0'));
    const auto ref = log->get(set, 2);
    ASSERT_TRUE(ref);
    EXPECT_TRUE(ref->is_ref);
    EXPECT_EQ(ref->value_bytes, 4096u);
    EXPECT_EQ(text(ref->bytes), "extent 4");
    EXPECT_EQ(get(*log, 3), "");
    LogTransaction transaction;
    transaction.change(set, 2, 4096, {});
    EXPECT_EQ(log->apply(transaction).error().code, Errc::invalid_argument);
}

TEST(ObjectLog, logs_a_small_change_as_a_delta) {
    const auto disk = make_memory_disk();
    {
        const auto log = open_objects(*disk);
        put(*log, 1, std::string(4096, 'a'));
        const auto before = log->statistics().log.appended_bytes;
        change(*log, 1, 4096, 100, "xyz");
        EXPECT_LT(log->statistics().log.appended_bytes - before, 200u);
        change(*log, 1, 50, 0, "first");
        change(*log, 1, 60, 58, "!!");
    }
    const auto log = open_objects(*disk);
    const std::string value = "first" + std::string(45, 'a') + std::string(8, '\0') + "!!";
    EXPECT_EQ(get(*log, 1), value);
}

TEST(ObjectLog, writes_the_whole_value_when_there_are_many_deltas) {
    const auto disk = make_memory_disk();
    const auto log = open_objects(*disk);
    std::string value(4096, 'a');
    put(*log, 1, value);
    for (int i = 0; i < 100; ++i) {
        const std::string part(1, static_cast<char>('A' + i % 26));
        value[static_cast<std::size_t>(i)] = part[0];
        change(*log, 1, 4096, static_cast<std::uint32_t>(i), part);
        ASSERT_EQ(get(*log, 1), value);
    }
    EXPECT_EQ(log->statistics().folded_deltas, 5u);   // one in 17
}

// One that is not what the changes say tells which of the two was logged.
TEST(ObjectLog, writes_the_whole_value_that_comes_with_a_change_unread) {
    const auto disk = make_memory_disk();
    std::string value(4096, 'a');
    {
        const auto log = open_objects(*disk);
        put(*log, 1, value);
        std::string other = value;
        other[4000] = 'Z';
        for (std::size_t i = 0; i < 17; ++i) {
            EXPECT_EQ(get(*log, 1)[4000], 'a');
            other[i] = static_cast<char>('A' + i);
            LogTransaction transaction;
            const std::string_view part = std::string_view(other).substr(i, 1);
            transaction.change(set, 1, 4096, {{static_cast<std::uint32_t>(i), bytes(part)}},
                               bytes(other));
            ASSERT_TRUE(log->apply(transaction));
        }
        EXPECT_EQ(log->statistics().folded_deltas, 1u);
        EXPECT_EQ(get(*log, 1), other);
        value = other;
    }
    const auto log = open_objects(*disk);
    EXPECT_EQ(get(*log, 1), value);
    LogTransaction wrong;
    wrong.change(set, 1, 4096, {}, bytes(value).first(4095));
    EXPECT_EQ(log->apply(wrong).error().code, Errc::invalid_argument);
}

TEST(ObjectLog, refuses_what_makes_no_sense_and_applies_nothing_of_it) {
    const auto disk = make_memory_disk();
    const auto log = open_objects(*disk);
    EXPECT_EQ(log->apply({}).error().code, Errc::invalid_argument);
    LogTransaction twice;
    twice.put(set, 1, bytes("a"));
    twice.remove(set, 1);
    EXPECT_EQ(log->apply(twice).error().code, Errc::invalid_argument);
    LogTransaction missing;
    missing.put(set, 1, bytes("a"));
    missing.change(set, 2, 10, {{0, bytes("x")}});
    EXPECT_EQ(log->apply(missing).error().code, Errc::not_found);
    EXPECT_FALSE(log->contains(set, 1));
    put(*log, 2, "0123456789");
    LogTransaction beyond;
    beyond.change(set, 2, 10, {{8, bytes("xyz")}});
    EXPECT_EQ(log->apply(beyond).error().code, Errc::invalid_argument);
    EXPECT_EQ(get(*log, 2), "0123456789");
}

TEST(ObjectLog, a_removed_set_is_gone_and_may_be_filled_again) {
    const auto disk = make_memory_disk();
    {
        const auto log = open_objects(*disk);
        for (std::uint64_t i = 0; i < 20; ++i) put(*log, i, "x");
        put(*log, 1, "stays", SetId{6});
        LogTransaction transaction;
        transaction.remove_set(set);
        transaction.put(set, 3, bytes("new"));
        ASSERT_TRUE(log->apply(transaction));
        EXPECT_EQ(log->objects(set).size(), 1u);
    }
    const auto log = open_objects(*disk);
    EXPECT_EQ(log->objects(set).size(), 1u);
    EXPECT_EQ(get(*log, 3), "new");
    EXPECT_EQ(get(*log, 1, SetId{6}), "stays");
}

TEST(ObjectLog, hands_out_intents_until_they_are_done) {
    const auto disk = make_memory_disk();
    {
        const auto log = open_objects(*disk);
        LogTransaction transaction;
        transaction.intent(set, 1, bytes("rename a b"));
        transaction.intent(set, 2, bytes("rename c d"));
        transaction.put(set, 1, bytes("an object of the same name"));
        ASSERT_TRUE(log->apply(transaction));
        LogTransaction done;
        done.done(set, 1);
        ASSERT_TRUE(log->apply(done));
    }
    const auto log = open_objects(*disk);
    const auto intents = log->intents();
    ASSERT_TRUE(intents);
    ASSERT_EQ(intents->size(), 1u);
    EXPECT_EQ(intents->at(0).id, ObjectId(2));
    EXPECT_EQ(text(intents->at(0).bytes), "rename c d");
    EXPECT_EQ(get(*log, 1), "an object of the same name");
}

TEST(ObjectLog, compaction_wins_room_and_changes_no_value) {
    const auto disk = make_memory_disk();
    {
        const auto log = open_objects(*disk);
        for (std::uint64_t i = 0; i < 40; ++i) put(*log, i, fmt::format("value {}", i));
        change(*log, 7, 10, 0, "V");
        const Version before = log->get(set, 7)->version;
        fill(*log, 300);
        const auto full = log->statistics();
        const auto freed = log->compact();
        ASSERT_TRUE(freed) << freed.error().to_string();
        EXPECT_GT(*freed, 3u);
        EXPECT_LT(log->statistics().content_bytes, full.content_bytes / 3);
        EXPECT_EQ(log->get(set, 7)->version, before);
    }
    const auto log = open_objects(*disk);
    for (std::uint64_t i = 0; i < 40; ++i) {
        if (i != 7) {
            EXPECT_EQ(get(*log, i), fmt::format("value {}", i));
        }
    }
    EXPECT_EQ(get(*log, 7).substr(0, 7), "Value 7");
}

// The value in segment 1 stays there, beside others; its removal is in a segment that is compacted.
void remove_and_compact(Disk& disk, const LogPlants* plants) {
    ObjectLogOptions options;
    options.log = options_for(disk);
    options.log.plants = plants;
    auto log = std::move(*ObjectLog::open(options));
    put(*log, 1000, "goes");
    put(*log, 2000, "of a set that goes", SetId{6});
    for (std::uint64_t i = 0; i < 30; ++i) put(*log, i, std::string(1800, 's'));
    fill(*log, 20);
    remove(*log, 1000);
    LogTransaction transaction;
    transaction.remove_set(SetId{6});
    ASSERT_TRUE(log->apply(transaction));
    fill(*log, 200);
    const auto freed = log->compact();
    ASSERT_TRUE(freed) << freed.error().to_string();
    ASSERT_GT(*freed, 2u);
    // The older value is still in the log: that is what makes this a test.
    ASSERT_EQ(log->statistics().objects, 31u);
}

TEST(ObjectLog, compaction_keeps_a_removal_while_an_older_value_is_in_the_log) {
    const auto disk = make_memory_disk();
    remove_and_compact(*disk, nullptr);
    const auto log = open_objects(*disk);
    EXPECT_FALSE(log->contains(set, 1000));
    EXPECT_TRUE(log->objects(SetId{6}).empty());
    EXPECT_EQ(log->objects(set).size(), 30u);
}

TEST(ObjectLog, a_removal_dropped_too_early_brings_the_value_back) {   // so the test above can fail
    const auto disk = make_memory_disk();
    const LogPlants plants{.tombstones_dropped = true};
    remove_and_compact(*disk, &plants);
    const auto log = open_objects(*disk);
    EXPECT_TRUE(log->contains(set, 1000));
    EXPECT_FALSE(log->objects(SetId{6}).empty());
}

TEST(ObjectLog, removals_are_forgotten_when_nothing_older_is_left) {
    const auto disk = make_memory_disk();
    const auto log = open_objects(*disk);
    for (std::uint64_t i = 0; i < 200; ++i) put(*log, i, std::string(500, 'v'));
    for (std::uint64_t i = 0; i < 200; ++i) remove(*log, i);
    fill(*log, 50);
    for (int round = 0; round < 4; ++round) {
        ASSERT_TRUE(log->compact());
        fill(*log, 50);
    }
    ASSERT_TRUE(log->compact());
    ASSERT_TRUE(log->compact());
    EXPECT_LT(log->statistics().live_bytes, 4000u);   // of the filling: no removal is carried on
    EXPECT_EQ(log->statistics().objects, 1u);
}

TEST(ObjectLog, a_full_log_compacts_itself_and_goes_on) {
    const auto disk = make_memory_disk();
    ObjectLogOptions options;
    options.log = options_for(*disk);
    options.log.limit_bytes = 12 * options.log.segment_bytes;
    auto log = std::move(*ObjectLog::open(options));
    put(*log, 500, "kept");
    for (int i = 0; i < 3000; ++i) put(*log, 1 + i % 20, fmt::format("{:01500}", i));
    EXPECT_EQ(get(*log, 500), "kept");
    EXPECT_EQ(get(*log, 20), fmt::format("{:01500}", 2999));
    EXPECT_GT(log->statistics().compacted_segments, 20u);
    // Full of what is needed: refused, and removing still works.
    std::uint64_t id = 1000;
    Result<Sequence> applied;
    while (applied) {
        LogTransaction transaction;
        const std::string value(1500, 'n');
        transaction.put(set, ++id, bytes(value));
        applied = log->apply(transaction);
    }
    EXPECT_EQ(applied.error().sys_errno, ENOSPC) << applied.error().to_string();
    EXPECT_FALSE(log->contains(set, id));
    for (std::uint64_t gone = 1001; gone < id; ++gone) ASSERT_NE(remove(*log, gone), 0u);
    put(*log, 501, "there is room again");
    EXPECT_EQ(get(*log, 500), "kept");
}

TEST(ObjectLog, compacts_in_the_background_while_it_is_written) {
    const auto disk = make_memory_disk();
    const auto tasks = sys::make_thread_tasks();
    ObjectLogOptions options;
    options.log = options_for(*disk);
    options.tasks = tasks.get();
    auto log = std::move(*ObjectLog::open(options));
    for (int i = 0; i < 4000; ++i) {
        put(*log, i % 50, fmt::format("{:0800}", i));
        if (i % 16 == 0) {
            ASSERT_TRUE(log->commit_all());
        }
    }
    EXPECT_TRUE(log->health());
    EXPECT_GT(log->statistics().compacted_segments, 0u);
    for (int i = 3950; i < 4000; ++i) EXPECT_EQ(get(*log, i % 50), fmt::format("{:0800}", i));
}

// Segments are opened when they are read: one that has gone since is no missing object.
TEST(ObjectLog, a_segment_that_somebody_removed_is_an_error_and_no_absence) {
    const auto disk = make_memory_disk();
    {
        const auto log = open_objects(*disk);
        for (std::uint64_t id = 0; id < 100; ++id) put(*log, id, std::string(3000, 'v'));
        ASSERT_TRUE(log->close());
    }
    const auto log = open_objects(*disk);
    const auto files = *disk->list("log");
    const auto first = std::ranges::find_if(files, [](const std::string& name) {
        return name.ends_with(".seg");
    });
    ASSERT_NE(first, files.end());
    ASSERT_TRUE(disk->remove("log/" + *first));
    const auto value = log->get(set, 0);
    ASSERT_FALSE(value);
    EXPECT_EQ(value.error().code, Errc::io) << value.error().to_string();
    EXPECT_NE(value.error().text.find(*first), std::string::npos) << value.error().text;
    EXPECT_EQ(log->get(set, 100).error().code, Errc::not_found);
}

// So many that an index of them would not fit behind a value that takes the rest of its segment.
TEST(ObjectLog, a_batch_of_many_small_values_and_one_large_one_is_sealed_in_its_room) {
    const auto disk = make_memory_disk();
    {
        const auto log = open_objects(*disk);
        const std::string large(300 << 10, 'l');
        LogTransaction transaction;
        for (std::uint64_t id = 0; id < 500; ++id) transaction.put(set, id, bytes("small"));
        transaction.put(set, 1000, bytes(large));
        for (int i = 0; i < 3; ++i) ASSERT_TRUE(log->apply(transaction));
        put(*log, 1001, "after");
        ASSERT_TRUE(log->commit_all());
    }
    const auto log = open_objects(*disk);
    EXPECT_EQ(get(*log, 499), "small");
    EXPECT_EQ(get(*log, 1000).size(), 300u << 10);
    EXPECT_EQ(get(*log, 1001), "after");
}

TEST(ObjectLog, damage_to_a_value_is_named_by_set_object_file_and_byte) {
    const auto disk = make_memory_disk();
    const auto log = open_objects(*disk);
    put(*log, 1, "something");
    ASSERT_TRUE(log->commit_all());
    flip(*disk, segment_path(1), 4096 + batch_head_bytes + record_head_bytes + 2);
    const std::string failed = get(*log, 1);
    for (const char* part : {"io: ", "set 5 object 0:1", "0000000000000001.seg", "byte 4144"})
        EXPECT_NE(failed.find(part), std::string::npos) << part << " in " << failed;
}

}  // namespace
}  // namespace ssi::io
