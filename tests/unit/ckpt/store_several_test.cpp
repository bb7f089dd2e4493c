// SPDX-License-Identifier: BSD-3-Clause
// Versions whose members lie in several stores: removed from all of them, or from one for the rest.
#include <cerrno>

#include "ssi/io/faulty_disk.hpp"
#include "support.hpp"

namespace ssi::ckpt {
namespace {

using namespace test;
using Versions = std::vector<VersionNumber>;

// A member in each store, of one object that changed or is as the version before has it; the
// manifest in all of them.
void take(std::span<Store* const> stores, VersionNumber version, VersionNumber base = 0,
          std::vector<std::unique_ptr<MemberWriter>>* keep = nullptr, std::uint32_t level = 1) {
    std::vector<MemberInfo> infos;
    std::vector<std::unique_ptr<MemberWriter>> writers;
    for (MemberIndex i = 0; i < stores.size(); ++i) {
        auto member = good(stores[i]->begin({.dataset = dataset_of(version), .version = version,
                                             .member = i}));
        if (base != 0)
            good(member->put_ref(part_of({1, i}, 1, 10), 10, {base, i}));
        else
            good(member->put(part_of({1, i}, 1, 10), Bytes(10, std::byte{1})));
        infos.push_back(good(member->finish()));
        writers.push_back(std::move(member));
    }
    Manifest manifest = manifest_of(version, infos);
    manifest.level = level;
    for (Store* store : stores) good(store->commit(manifest));
    if (keep) *keep = std::move(writers);
}

Versions complete(std::span<Store* const> stores) {
    Versions versions;
    for (const VersionInfo& info : good(list_versions(stores)))
        if (info.state == VersionState::complete) versions.push_back(info.version);
    return versions;
}

// Those of which it has a folder.
Versions folders(Store& store) {
    Versions versions;
    for (const VersionInfo& info : good(store.list())) versions.push_back(info.version);
    return versions;
}

class StoreSeveral : public ::testing::Test {
protected:
    std::unique_ptr<io::MemoryDisk> disks[2] = {io::make_memory_disk({.name = "disk0"}),
                                                io::make_memory_disk({.name = "disk1"})};
    std::unique_ptr<Store> first = open_store(*disks[0]), second = open_store(*disks[1]);
    Store* const both[2] = {first.get(), second.get()};
    Store* const only[1] = {first.get()};
};

TEST_F(StoreSeveral, a_base_of_another_dataset_is_no_base) {
    take(only, 1);
    take(only, 2, 1);
    EXPECT_TRUE(good(verify_version(both, 2)).faults.empty());
    for (const char* name : {"v1/m0/0000000000000001.seg", "v1/m0/member", "v1/manifest"})
        ASSERT_FINE(disks[0]->remove(name));
    auto member = good(second->begin({.dataset = dataset_of(9), .version = 1}));
    good(member->put(part_of({1, 0}, 1, 10), Bytes(10, std::byte{1})));
    Manifest other = manifest_of(1, {good(member->finish())});
    other.dataset = dataset_of(9);
    good(second->commit(other));
    const auto faults = good(verify_version(both, 2)).faults;
    ASSERT_FALSE(faults.empty());
    EXPECT_NE(faults[0].find("another version 1"), std::string::npos) << faults[0];
}

TEST_F(StoreSeveral, prunes_a_version_from_all_of_them) {
    take(both, 1);
    take(both, 2);
    take(both, 3, 2);
    take(both, 4);
    take(both, 5, 3);
    auto pruned = good(prune_versions(both, {.keep = 1}));
    EXPECT_EQ(pruned.removed, (Versions{1, 4}));
    EXPECT_EQ(pruned.needed, (Versions{2, 3}));
    EXPECT_EQ(complete(both), (Versions{2, 3, 5}));
    for (Store* store : both) EXPECT_EQ(folders(*store), (Versions{2, 3, 5}));
    EXPECT_TRUE(verify_version(both, 5)->faults.empty());
    take(both, 6);
    EXPECT_EQ(good(prune_versions(both, {.keep = 1})).removed, (Versions{2, 3, 5}));
    EXPECT_EQ(complete(both), Versions{6});
    EXPECT_EQ(good(prune_versions(both, {.keep = 0})).removed, Versions{6});
    for (Store* store : both) EXPECT_EQ(*store->next_version(), 7u);
}

TEST_F(StoreSeveral, levels_that_are_named_keep_versions_of_their_own) {
    const std::uint32_t levels[] = {2, 1, 1, 2, 3, 1, 1, 3, 1};
    for (VersionNumber version = 1; version <= 9; ++version)
        take(both, version, version == 7 ? 3 : 0, nullptr, levels[version - 1]);
    const auto dry = [&](PruneOptions options) {
        options.dry_run = true;
        return good(prune_versions(both, options)).removed;
    };
    EXPECT_EQ(dry({.keep = 2}), (Versions{1, 2, 3, 4, 5, 6, 7}));
    EXPECT_EQ(dry({.keep = 2, .of_level = {{2, 1}}}), (Versions{1, 2, 3, 5, 6, 7}));
    EXPECT_EQ(dry({.keep = 1, .of_level = {{1, 2}, {2, 5}}}), (Versions{2, 5, 6}))
        << "3 is needed by 7";
    EXPECT_EQ(dry({.keep = 1, .of_level = {{1, 1}, {2, 1}, {3, 1}}}),
              (Versions{1, 2, 3, 5, 6, 7}));
}

TEST_F(StoreSeveral, one_of_them_prunes_nothing_unless_the_others_are_said_to_be_elsewhere) {
    for (const VersionNumber version : {1, 2, 3}) take(both, version, version == 3 ? 2 : 0);
    const auto alone = good(prune_versions(only, {.keep = 1}));
    EXPECT_TRUE(alone.removed.empty());
    EXPECT_TRUE(alone.needed.empty());
    const auto pruned = good(prune_versions(only, {.keep = 1, .elsewhere = true}));
    EXPECT_EQ(pruned.removed, Versions{1});
    EXPECT_EQ(pruned.needed, Versions{2});
    EXPECT_EQ(folders(*first), (Versions{2, 3}));
    EXPECT_EQ(folders(*second), (Versions{1, 2, 3}));
    EXPECT_EQ(complete(both), (Versions{2, 3}));
    // What the first has removed is no more complete, and goes with the others' next turn.
    Store* const other[] = {second.get()};
    EXPECT_EQ(good(prune_versions(other, {.keep = 1, .elsewhere = true})).removed, Versions{1});
}

TEST_F(StoreSeveral, what_is_damaged_or_not_committed_is_not_taken_for_elsewhere) {
    for (const VersionNumber version : {1, 2, 3}) take(both, version);
    flip(*disks[0], "v2/m0/member", 60);
    ASSERT_FINE(disks[0]->remove("v3/manifest"));
    // Version 1 is the only one that counts.
    auto pruned = good(prune_versions(only, {.keep = 1, .elsewhere = true}));
    EXPECT_TRUE(pruned.removed.empty());
    EXPECT_EQ(folders(*first), (Versions{1, 2, 3}));
    // The other store has the manifest that is missing here.
    pruned = good(prune_versions(both, {.keep = 1}));
    EXPECT_EQ(pruned.removed, Versions{1});
    EXPECT_EQ(complete(both), Versions{3});
}

TEST_F(StoreSeveral, a_dry_run_tells_and_removes_nothing) {
    for (const VersionNumber version : {1, 2, 3}) take(both, version, version == 3 ? 2 : 0);
    const auto pruned = good(prune_versions(both, {.keep = 1, .dry_run = true}));
    EXPECT_EQ(pruned.removed, Versions{1});
    EXPECT_EQ(pruned.needed, Versions{2});
    EXPECT_EQ(complete(both), (Versions{1, 2, 3}));
}

TEST_F(StoreSeveral, what_the_manifest_of_any_store_refers_to_stays) {
    take(both, 1);
    take(both, 2, 1);
    // The first has lost its copy, and its member cannot tell.
    ASSERT_FINE(disks[0]->remove("v2/manifest"));
    flip(*disks[0], "v2/m0/member", 60);
    const auto refused = remove_version(both, 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::exists);
    EXPECT_EQ(refused.error().text, "version 2 refers to version 1: remove 2 first");
    EXPECT_EQ(good(prune_versions(both, {.keep = 0})).removed, Versions{});
    // With no manifest anywhere it cannot be told.
    ASSERT_FINE(disks[1]->remove("v2/manifest"));
    EXPECT_NE(remove_version(both, 1).error().text.find("may refer to version 1"),
              std::string::npos);
    EXPECT_EQ(prune_versions(both, {.keep = 0}).error().code, Errc::io);
    EXPECT_EQ(folders(*second), (Versions{1, 2}));
    ASSERT_FINE(remove_version(both, 2));
    ASSERT_FINE(remove_version(both, 1));
    for (Store* store : both) EXPECT_TRUE(folders(*store).empty());
}

TEST_F(StoreSeveral, what_is_being_written_in_one_of_them_is_left_alone) {
    take(both, 1);
    auto writing = good(second->begin({.dataset = dataset_of(2), .version = 2, .member = 1}));
    auto refused = remove_version(both, 2);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::would_block);
    EXPECT_EQ(refused.error().text, "version 2 of disk1 is being written");
    // What it will refer to is known only when it is done.
    refused = remove_version(both, 1);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::would_block);
    EXPECT_EQ(refused.error().text,
              "version 2 of disk1 is being written and may refer to version 1");
    writing->abandon();
    writing.reset();
    ASSERT_FINE(remove_version(both, 1));
    EXPECT_EQ(remove_version(both, 1).error().code, Errc::not_found);
    EXPECT_EQ(remove_version(both, 1).error().text, "no version 1 in disk0 and 1 more");
}

// Its members stay locked for a moment after the manifest is there.
TEST_F(StoreSeveral, a_version_that_is_not_let_go_of_yet_keeps_what_it_refers_to) {
    take(both, 1);
    std::vector<std::unique_ptr<MemberWriter>> kept;
    take(both, 2, 1, &kept);
    take(both, 3);
    auto pruned = good(prune_versions(both, {.keep = 1}));
    EXPECT_TRUE(pruned.removed.empty());
    EXPECT_EQ(complete(both), (Versions{1, 2, 3}));
    EXPECT_TRUE(verify_version(both, 2)->faults.empty());
    kept.clear();
    pruned = good(prune_versions(both, {.keep = 1}));
    EXPECT_EQ(pruned.removed, (Versions{1, 2}));
}

// "" or what is wrong with what a removal left that was interrupted: a version is whole or not
// committed, in all stores together, and what is left of it can be removed.
std::string check(io::Disk& one, io::Disk& other) {
    const auto first = open_store(one), second = open_store(other);
    Store* const both[] = {first.get(), second.get()};
    const auto list = list_versions(both);
    if (!list) return list.error().to_string();
    for (const VersionInfo& info : *list) {
        if (info.manifest && info.state != VersionState::complete)
            return fmt::format("version {} has a manifest: {}", info.version, info.why);
        if (info.state == VersionState::damaged) return info.why;
        if (info.state == VersionState::complete) {
            const auto verified = verify_version(both, info.version);
            if (!verified || !verified->faults.empty())
                return fmt::format("version {} lost what it refers to", info.version);
        }
    }
    if (list->empty() || list->back().version != 3) return "the newest is gone";
    // What is left of one may still refer to others: it goes first.
    const Versions committed = complete(both);
    for (Store* store : both)
        if (const auto cleaned = store->clean(committed); !cleaned)
            return cleaned.error().to_string();
    const auto pruned = prune_versions(both, {.keep = 1});
    if (!pruned) return pruned.error().to_string();
    for (Store* store : both) {
        if (folders(*store) != Versions{3})
            return fmt::format("{} has {} versions", store->name(), folders(*store).size());
    }
    return "";
}

TEST(StoreSeveralCrash, a_power_cut_at_any_moment_leaves_versions_whole_or_uncommitted) {
    std::unique_ptr<io::MemoryDisk> disks[2];
    std::string wrong;
    bool cutting = false;
    std::uint64_t cuts = 0;
    const auto observe = [&](const io::MemoryDisk&, std::uint64_t operation) {
        if (!cutting || !wrong.empty()) return;
        for (std::uint64_t cut = 0; cut < 3 && wrong.empty(); ++cut, ++cuts) {
            const auto left = disks[0]->after_power_cut(operation * 10 + cut);
            const auto other = disks[1]->after_power_cut(operation * 10 + cut + 5);
            wrong = check(*left, *other);
        }
    };
    for (auto& disk : disks) disk = io::make_memory_disk({.observe = observe});
    const auto first = open_store(*disks[0]), second = open_store(*disks[1]);
    Store* const both[] = {first.get(), second.get()};
    take(both, 1);
    take(both, 2, 1);
    take(both, 3);
    cutting = true;
    EXPECT_EQ(good(prune_versions(both, {.keep = 1})).removed, (Versions{1, 2}));
    EXPECT_EQ(wrong, "");
    EXPECT_GT(cuts, 60u);
}

// One of the disks has died: what is left on it is there again after a restart.
TEST(StoreSeveralCrash, a_disk_that_dies_at_any_operation_leaves_versions_whole_or_uncommitted) {
    const auto one = io::make_memory_disk(), other = io::make_memory_disk();
    {
        const auto first = open_store(*one), second = open_store(*other);
        Store* const both[] = {first.get(), second.get()};
        take(both, 1);
        take(both, 2, 1);
        take(both, 3);
    }
    std::uint64_t points = 0;
    for (const std::size_t dying : {0, 1}) {
        bool met = true;
        for (std::uint64_t at = 1; met; ++at, ++points) {
            // All is synced: a power cut leaves the same.
            const std::unique_ptr<io::MemoryDisk> disks[] = {one->after_power_cut(1),
                                                             other->after_power_cut(1)};
            const auto faulty = io::make_faulty_disk(*disks[dying]);
            {
                const auto dies = open_store(*faulty), lives = open_store(*disks[1 - dying]);
                Store* const both[] = {dying == 0 ? dies.get() : lives.get(),
                                       dying == 0 ? lives.get() : dies.get()};
                faulty->set_plan({.fail_at = at, .fail_after = true, .sys_errno = EIO});
                const auto pruned = prune_versions(both, {.keep = 1});
                met = faulty->faults() != 0;
                // What cannot be looked at counts as damaged, and stays.
                EXPECT_TRUE(pruned || pruned.error().sys_errno == EIO)
                    << pruned.error().to_string();
            }
            ASSERT_EQ(check(*disks[0], *disks[1]), "") << "disk " << dying << ", operation " << at;
        }
    }
    EXPECT_GT(points, 40u);
}

}  // namespace
}  // namespace ssi::ckpt
