// SPDX-License-Identifier: BSD-3-Clause
// A disk that fails at its n-th operation, for every n: the log says so, goes on reading, and what
// a restart finds is what was committed.
#include <map>

#include "log_tools.hpp"
#include "ssi/io/faulty_disk.hpp"
#include "ssi/io/object_log.hpp"

namespace ssi::io {
namespace {

using namespace test;
const SetId set{1};

struct Outcome {
    std::map<std::uint64_t, std::string> committed;   // by object
    std::map<std::uint64_t, std::string> applied;     // the newest, committed or not
    std::optional<Failure> failure;                   // the first
    bool met = false;                                 // a fault of the disk
};

Result<std::unique_ptr<ObjectLog>> open_objects(Disk& disk) {
    ObjectLogOptions options;
    options.log = options_for(disk, 32 << 10);
    return ObjectLog::open(options);
}

// Puts, commits, compacts, until something fails.
Outcome work(FaultyDisk& disk) {
    Outcome out;
    auto log = open_objects(disk);
    if (!log) {
        out.failure = log.error();
        out.met = true;
        return out;
    }
    for (std::uint64_t i = 0; i < 60 && !out.failure; ++i) {
        LogTransaction transaction;
        const std::string value = fmt::format("{:01200}", i);
        transaction.put(set, i % 7, bytes(value));
        const auto applied = (*log)->apply(transaction);
        Result<void> done;
        if (applied) {
            out.applied[i % 7] = value;
            done = (*log)->commit(*applied);
            if (done) out.committed = out.applied;
        } else {
            done = tl::unexpected(applied.error());
        }
        if (done && i % 25 == 24)
            if (const auto compacted = (*log)->compact(); !compacted)
                done = tl::unexpected(compacted.error());
        if (!done) out.failure = done.error();
    }
    // Whatever failed, values are still read when the disk reads.
    out.met = disk.faults() > 0;
    disk.set_plan({});
    if (out.failure)
        for (const auto& [id, value] : out.applied) {
            const auto read = (*log)->get(set, id);
            EXPECT_TRUE(read) << read.error().to_string();
            if (read) {
                EXPECT_EQ(text(read->bytes), value);
            }
        }
    return out;
}

void expect_committed(const MemoryDisk& disk, const Outcome& outcome, std::uint64_t at) {
    const auto after = disk.after_power_cut(at);
    auto log = open_objects(*after);
    ASSERT_TRUE(log) << at << ": " << log.error().to_string();
    for (const auto& [id, value] : outcome.committed) {
        const auto read = (*log)->get(set, id);
        ASSERT_TRUE(read) << at << ": " << read.error().to_string();
        // A later value that was written and not yet acknowledged may be there instead.
        EXPECT_GE(text(read->bytes), value) << at;
    }
}

TEST(LogFault, every_operation_may_fail_and_nothing_committed_is_lost) {
    for (const bool for_good : {false, true}) {
        std::uint64_t at = 1;
        for (;; ++at) {
            const auto disk = make_memory_disk();
            const auto faulty = make_faulty_disk(*disk);
            faulty->set_plan({.fail_at = at, .fail_after = for_good});
            const Outcome outcome = work(*faulty);
            if (outcome.met && outcome.failure) {
                EXPECT_NE(outcome.failure->sys_errno, 0) << outcome.failure->to_string();
            }
            expect_committed(*disk, outcome, at);
            if (!outcome.met || testing::Test::HasFailure()) break;
        }
        EXPECT_GT(at, 60u);
    }
}

TEST(LogFault, after_a_failed_write_it_takes_nothing_and_says_why) {
    const auto disk = make_memory_disk();
    const auto faulty = make_faulty_disk(*disk);
    auto log = open_log(options_for(*faulty));
    const LogPlace place = put(*log.log, 1, "before");
    faulty->set_plan({.fail_at = 1});
    const auto lost = log.log->append(std::vector{raw(2, "lost")});
    ASSERT_TRUE(lost);
    const auto failed = log.log->commit(lost->batch);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().sys_errno, EIO);
    // The disk works again; what it has of the failed write is not known, so nothing goes on.
    for (const auto& refused : {log.log->append(std::vector{raw(3, "no")}).error(),
                                log.log->commit(lost->batch).error(), log.log->roll().error()}) {
        EXPECT_EQ(refused.sys_errno, EIO);
        EXPECT_NE(refused.text.find("takes nothing any more"), std::string::npos) << refused.text;
    }
    EXPECT_EQ(value_at(*log.log, place), "before");
    EXPECT_EQ(value_at(*log.log, lost->places[0]), "lost");
    EXPECT_FALSE(log.log->close());
    const auto after = disk->after_power_cut(1);
    auto again = open_log(options_for(*after));
    ASSERT_TRUE(again.log) << again.failure_text();
    ASSERT_GE(again.found.size(), 1u);
    EXPECT_EQ(again.found[0].id, ObjectId(1));
}

TEST(LogFault, a_read_that_fails_is_no_damage_and_works_again) {
    const auto disk = make_memory_disk();
    const auto faulty = make_faulty_disk(*disk);
    auto log = open_log(options_for(*faulty));
    const LogPlace place = put(*log.log, 1, "value");
    faulty->set_plan({.fail_at = 1});
    EXPECT_EQ(log.log->read(place).error().sys_errno, EIO);
    EXPECT_EQ(value_at(*log.log, place), "value");
    put(*log.log, 2, "goes on");
}

TEST(LogFault, a_bit_that_flips_on_the_way_is_found) {
    const auto disk = make_memory_disk();
    const auto faulty = make_faulty_disk(*disk);
    auto log = open_log(options_for(*faulty));
    const std::string value(3900, 'v');   // nearly the whole block
    const LogPlace place = put(*log.log, 1, value);
    unsigned found = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        faulty->set_plan({.seed = seed, .flipped_reads = 10000});
        const auto read = log.log->read(place);
        if (read) {
            EXPECT_EQ(text(read->payload), value);   // it hit what is none of the record's
        } else {
            ++found;
        }
    }
    EXPECT_GT(found, 150u);
}

}  // namespace
}  // namespace ssi::io
