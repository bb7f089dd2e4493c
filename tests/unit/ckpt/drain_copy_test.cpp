// SPDX-License-Identifier: BSD-3-Clause
// Members copied from one store to another, with damage in the one, and power cuts, errors and no
// room in the other.
#include "drain_copy.hpp"

#include <cerrno>
#include <optional>

#include "ssi/io/faulty_disk.hpp"
#include "support.hpp"

namespace ssi::ckpt {
namespace {

using namespace test;

constexpr MemberIndex members = 2;

// A store with versions 1 to `versions` of two members, each referring to none.
struct Source {
    explicit Source(VersionNumber versions, std::size_t longest = 9'000, std::uint64_t seed = 3) {
        Random random(seed);
        for (VersionNumber version = 1; version <= versions; ++version) {
            for (MemberIndex m = 0; m < members; ++m)
                golden[version].push_back(random_state(random, 4, longest));
            good(checkpoint(*store, version, golden[version]));
        }
    }
    std::unique_ptr<io::MemoryDisk> disk = io::make_memory_disk();
    std::unique_ptr<Store> store = open_store(*disk);
    std::map<VersionNumber, std::vector<State>> golden;
};

struct Pace {
    std::uint64_t rate = 0;
    RealClock clock;
    std::unique_ptr<sys::Tasks> tasks = sys::make_thread_tasks();
    std::atomic<std::uint64_t> copied{0};
    DrainPace pace() { return {rate, clock, *tasks, copied}; }
};

// As all nodes together do it.
Result<void> drain(Store& from, Store& to, VersionNumber version) {
    Pace pace;
    const Manifest manifest = good(from.manifest(version));
    for (const MemberInfo& member : manifest.members)
        SSI_TRY(drain_member(from, to, member, pace.pace()));
    return to.commit(manifest);
}

Bytes bytes_in(io::Disk& disk, const std::string& path) {
    const std::uint64_t size = size_of(disk, path);
    Block block(size);
    const auto file = good(disk.open(path, io::OpenMode::read));
    EXPECT_EQ(good(io::read(disk, *file, block.span(), 0)), size);
    return {block.span().begin(), block.span().end()};
}

TEST(DrainCopy, is_the_same_files_byte_for_byte_and_a_valid_version) {
    for (const std::size_t longest : {3'000, 15'000'000}) {
        Source source(1, longest);
        const auto disk = io::make_memory_disk();
        const auto store = open_store(*disk);
        ASSERT_FINE(drain(*source.store, *store, 1));
        EXPECT_EQ(good(dump(*store, 1)), source.golden[1]);
        EXPECT_TRUE(good(store->verify(1)).faults.empty());
        for (const char* member : {"v1/m0", "v1/m1"}) {
            const auto names = good(source.disk->list(member));
            EXPECT_EQ(good(disk->list(member)), names);
            for (const std::string& name : names)
                EXPECT_EQ(bytes_in(*disk, member + ("/" + name)),
                          bytes_in(*source.disk, member + ("/" + name))) << name;
        }
    }
}

TEST(DrainCopy, counts_bytes_and_is_no_faster_than_it_may_be) {
    Source source(1, 2'000'000);
    const auto disk = io::make_memory_disk();
    const auto store = open_store(*disk);
    const MemberInfo member = good(source.store->member(1, 0));
    Pace pace;
    pace.rate = member.log.bytes * 5;
    const Nanoseconds begun = pace.clock.now();
    ASSERT_FINE(drain_member(*source.store, *store, member, pace.pace()));
    EXPECT_GE(pace.clock.now() - begun, 190'000'000);
    EXPECT_EQ(pace.copied.load(), member.log.bytes);
}

TEST(DrainCopy, what_is_damaged_is_not_copied_and_leaves_nothing) {
    const VersionNumber version = 1;
    const std::uint64_t length = size_of(*Source(1).disk, "v1/m1/0000000000000001.seg");
    Random random(5);
    for (int flips = 0; flips < 40; ++flips) {
        Source source(1);
        const std::uint64_t byte = random.below(length);
        flip(*source.disk, "v1/m1/0000000000000001.seg", byte,
             static_cast<std::uint8_t>(1u << random.below(8)));
        const auto disk = io::make_memory_disk();
        const auto store = open_store(*disk);
        const auto drained = drain(*source.store, *store, version);
        ASSERT_FALSE(drained) << "byte " << byte;
        EXPECT_EQ(drained.error().code, Errc::io) << drained.error().to_string();
        EXPECT_NE(drained.error().text.find("v1/m1"), std::string::npos);
        EXPECT_TRUE(good(store->list()).size() == 1 &&
                    good(store->list())[0].present == std::vector<MemberIndex>{0});
    }
}

TEST(DrainCopy, another_member_than_the_manifest_names_is_refused) {
    Source source(1);
    const auto disk = io::make_memory_disk();
    const auto store = open_store(*disk);
    MemberInfo other = good(source.store->member(1, 0));
    other.log.digest.low ^= 1;
    Pace pace;
    const auto drained = drain_member(*source.store, *store, other, pace.pace());
    ASSERT_FALSE(drained);
    EXPECT_EQ(drained.error().code, Errc::io);
    EXPECT_TRUE(good(store->list()).empty());
}

// "" or what is wrong: the versions up to `committed` are there, but those that were pruned, maybe
// the one after them; whole, and nothing of others after cleaning up.
std::string check(io::Disk& disk, Source& source, VersionNumber committed) {
    const auto store = Store::open({.disk = &disk});
    if (!store) return store.error().to_string();
    const auto list = (*store)->list();
    if (!list) return list.error().to_string();
    VersionNumber newest = 0;
    for (const VersionInfo& info : *list) {
        if (info.state == VersionState::damaged) return fmt::format("damaged: {}", info.why);
        if (info.state != VersionState::complete) continue;
        newest = info.version;
        const auto back = dump(**store, info.version);
        if (!back) return back.error().to_string();
        if (*back != source.golden[info.version])
            return fmt::format("version {} is another one", info.version);
    }
    if (newest != committed && newest != committed + 1)
        return fmt::format("version {} is the newest, {} was committed", newest, committed);
    if (const auto cleaned = (*store)->clean(); !cleaned) return cleaned.error().to_string();
    for (const VersionInfo& info : good((*store)->list()))
        if (info.state != VersionState::complete)
            return fmt::format("version {} is left after cleaning up", info.version);
    return "";
}

constexpr VersionNumber last_version = 3;

// One version after the other, of which two are kept. `committed`: those that are.
Result<void> drain_all(Source& source, Store& to, VersionNumber& committed) {
    for (VersionNumber version = committed + 1; version <= last_version; ++version) {
        SSI_TRY(drain(*source.store, to, version));
        committed = version;
        const auto pruned = to.prune(2);
        if (!pruned) return tl::unexpected<Failure>(pruned.error());
    }
    return {};
}

TEST(DrainCopy, a_power_cut_at_any_moment_leaves_the_version_before_or_the_new_one) {
    Source source(last_version);
    std::uint64_t cuts = 0;
    for (std::uint64_t seed = 1; seed <= 2; ++seed) {
        VersionNumber committed = 0;
        std::string wrong;
        bool checking = false;
        const auto observe = [&](const io::MemoryDisk& disk, std::uint64_t operation) {
            if (checking || !wrong.empty()) return;
            checking = true;
            for (std::uint64_t cut = 0; cut < 3 && wrong.empty(); ++cut, ++cuts) {
                const auto left = disk.after_power_cut(seed * 1000 + operation * 3 + cut);
                wrong = check(*left, source, committed);
                if (!wrong.empty())
                    wrong += fmt::format(", seed {}, operation {}", seed, operation);
            }
            checking = false;
        };
        const auto disk = io::make_memory_disk({.seed = seed, .observe = observe});
        const auto store = open_store(*disk);
        ASSERT_FINE(drain_all(source, *store, committed));
        ASSERT_EQ(wrong, "");
    }
    EXPECT_GT(cuts, 200u);
}

void every_error(int sys_errno, bool fail_after) {
    Source source(last_version);
    std::uint64_t points = 0;
    bool met = true;
    for (std::uint64_t at = 1; met; ++at, ++points) {
        const auto disk = io::make_memory_disk();
        const auto faulty = io::make_faulty_disk(*disk);
        VersionNumber committed = 0;
        {
            const auto store = open_store(*faulty);
            faulty->set_plan({.fail_at = at, .fail_after = fail_after, .sys_errno = sys_errno});
            const auto drained = drain_all(source, *store, committed);
            met = faulty->faults() != 0;
            if (!drained) {
                EXPECT_EQ(drained.error().sys_errno, sys_errno) << drained.error().to_string();
            }
        }
        ASSERT_EQ(check(*disk, source, committed), "") << "operation " << at;
        const auto store = open_store(*disk);
        committed = good(store->newest()).value_or(0);
        ASSERT_FINE(drain_all(source, *store, committed));
        EXPECT_EQ(good(dump(*store, last_version)), source.golden[last_version]);
    }
    EXPECT_GT(points, 30u);
}

TEST(DrainCopy, an_error_at_any_operation_leaves_the_others_and_the_next_try_succeeds) {
    every_error(EIO, false);
}
TEST(DrainCopy, a_disk_that_dies_at_any_operation_leaves_whole_versions) { every_error(EIO, true); }

TEST(DrainCopy, without_room_nothing_is_left_of_a_member) {
    Source source(1, 300'000);
    for (std::uint64_t room = 0; room < 10; ++room) {
        const auto disk = io::make_memory_disk({.capacity_bytes = 65536 + room * 32768});
        const auto store = open_store(*disk);
        Pace pace;
        const auto drained = drain_member(*source.store, *store, good(source.store->member(1, 0)),
                                          pace.pace());
        if (drained) continue;
        EXPECT_EQ(drained.error().sys_errno, ENOSPC) << drained.error().to_string();
        EXPECT_EQ(good(disk->list_directories("v1")), std::vector<std::string>());
    }
}

}  // namespace
}  // namespace ssi::ckpt
