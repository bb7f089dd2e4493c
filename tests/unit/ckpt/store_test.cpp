// SPDX-License-Identifier: BSD-3-Clause
// Stores: which versions are there, who may write, and what is removed.
#include "ssi/ckpt/store.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>

#include "ssi/io/faulty_disk.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "support.hpp"

namespace ssi::ckpt {
namespace {

using namespace test;
using Versions = std::vector<VersionNumber>;

class StoreTest : public ::testing::Test {
protected:
    // One object, that changed or is as the version before has it.
    void take(VersionNumber version, VersionNumber base = 0) {
        auto member = good(store->begin({.dataset = dataset_of(version), .version = version}));
        if (base != 0)
            good(member->put_ref(part_of({1, 1}, 1, 10), 10, {base, 0}));
        else
            good(member->put(part_of({1, 1}, 1, 10), Bytes(10, std::byte{1})));
        const MemberInfo info = good(member->finish());
        good(store->commit(manifest_of(version, {info})));
    }
    Versions complete() {
        Versions versions;
        for (const VersionInfo& info : good(store->list()))
            if (info.state == VersionState::complete) versions.push_back(info.version);
        return versions;
    }
    std::unique_ptr<io::MemoryDisk> disk = io::make_memory_disk();
    std::unique_ptr<Store> store = open_store(*disk);
};

TEST_F(StoreTest, lists_what_is_there_and_why_it_is_not_complete) {
    EXPECT_TRUE(store->list()->empty());
    EXPECT_EQ(*store->newest(), std::nullopt);
    take(1);
    take(2);
    std::unique_ptr<MemberWriter> kept;
    ASSERT_FINE(write_member(*store, 3, 0, {}, &kept));
    auto writing = store->begin({.dataset = dataset_of(3), .version = 3, .member = 1});
    ASSERT_FINE(writing);
    auto list = good(store->list());
    ASSERT_EQ(list.size(), 3u);
    EXPECT_EQ(list[1].state, VersionState::complete);
    EXPECT_EQ(list[1].manifest->description, "version 2");
    EXPECT_FALSE(list[1].writing);
    EXPECT_EQ(list[2].state, VersionState::incomplete);
    EXPECT_TRUE(list[2].writing);
    EXPECT_EQ(list[2].why, "it is being written");
    kept.reset();
    (*writing)->abandon();
    writing->reset();
    list = good(store->list());
    EXPECT_EQ(list[2].why, "it has no manifest: it was not committed");
    EXPECT_EQ(*store->newest(), 2u);
    EXPECT_EQ(*store->next_version(), 4u);
    flip(*disk, "v2/manifest", 50);
    list = good(store->list());
    EXPECT_EQ(list[1].state, VersionState::damaged);
    EXPECT_EQ(list[1].why, "memory disk/v2/manifest: damaged: its hash does not match");
    EXPECT_EQ(*store->newest(), 1u);
}

TEST_F(StoreTest, versions_grow_also_after_they_were_removed) {
    EXPECT_EQ(*store->next_version(), 1u);
    take(5);
    EXPECT_EQ(*store->next_version(), 6u);
    ASSERT_FINE(store->remove(5));
    EXPECT_TRUE(store->list()->empty());
    EXPECT_EQ(*store->next_version(), 6u);
    const auto again = store->begin({.dataset = dataset_of(5), .version = 5});
    EXPECT_EQ(again.error().code, Errc::exists);
    EXPECT_NE(again.error().text.find("versions only grow, take 6"), std::string::npos);
    take(6);
    EXPECT_EQ(store->begin({.dataset = dataset_of(4), .version = 4}).error().code, Errc::exists);
    EXPECT_EQ(store->begin({.dataset = dataset_of(0), .version = 0}).error().code,
              Errc::invalid_argument);
    // Also for a store that is opened anew.
    store = open_store(*disk);
    ASSERT_FINE(store->remove(6));
    store = open_store(*disk);
    EXPECT_EQ(*store->next_version(), 7u);
}

TEST_F(StoreTest, one_writer_for_a_member_and_one_dataset_for_a_version) {
    const auto begin = [&](VersionNumber version, MemberIndex member, std::uint64_t dataset) {
        return store->begin({.dataset = {0, dataset}, .version = version, .member = member});
    };
    auto first = good(begin(1, 0, 1));
    EXPECT_EQ(begin(1, 0, 1).error().code, Errc::would_block);
    const auto other = begin(1, 1, 2);
    EXPECT_EQ(other.error().code, Errc::exists);
    EXPECT_NE(other.error().text.find("another dataset's"), std::string::npos);
    auto second = begin(1, 1, 1);
    ASSERT_FINE(second);
    const MemberInfo infos[] = {good(first->finish()), good((*second)->finish())};
    first.reset();
    EXPECT_EQ(begin(1, 0, 1).error().code, Errc::exists) << "it is finished";
    ASSERT_FINE(store->commit({.dataset = {0, 1}, .version = 1, .members = {infos[0], infos[1]}}));
    EXPECT_EQ(begin(1, 2, 1).error().code, Errc::exists);
    EXPECT_EQ(store->newest()->value(), 1u) << "what was refused did no harm";
}

TEST_F(StoreTest, an_abandoned_member_leaves_nothing) {
    {
        auto member = good(store->begin({.dataset = dataset_of(1), .version = 1}));
        ASSERT_FINE(member->put(part_of({1, 1}, 1, 10), Bytes(10, std::byte{1})));
        member->abandon();
        EXPECT_EQ(member->finish().error().code, Errc::cancelled);
        EXPECT_EQ(member->put(part_of({1, 2}, 1, 10), Bytes(10)).error().code, Errc::cancelled);
        // One that goes out of scope before it is finished is abandoned, too.
        auto forgotten = good(store->begin({.dataset = dataset_of(2), .version = 2}));
    }
    EXPECT_TRUE(disk->list_directories("")->empty());
    EXPECT_TRUE(disk->list("")->empty());
}

TEST_F(StoreTest, what_another_version_needs_is_not_removed) {
    take(1);
    take(2, 1);
    take(3, 2);
    take(4);
    const auto refused = store->remove(1);
    EXPECT_EQ(refused.error().code, Errc::exists);
    EXPECT_EQ(refused.error().text, "version 2 refers to version 1: remove 2 first");
    EXPECT_EQ(store->remove(2).error().code, Errc::exists);
    EXPECT_EQ(store->remove(9).error().code, Errc::not_found);
    // Where that cannot be told nothing is removed.
    flip(*disk, "v3/manifest", 50);
    EXPECT_EQ(store->remove(2).error().code, Errc::exists) << "its member tells";
    flip(*disk, "v3/m0/member", 50);
    const auto unclear = store->remove(2);
    EXPECT_EQ(unclear.error().code, Errc::exists);
    EXPECT_NE(unclear.error().text.find("may refer to version 2"), std::string::npos);
    EXPECT_EQ(store->prune(1).error().code, Errc::io);
    ASSERT_FINE(store->remove(3));
    ASSERT_FINE(store->remove(2));
    ASSERT_FINE(store->remove(1));
    EXPECT_EQ(complete(), Versions{4});
}

TEST_F(StoreTest, prunes_all_but_the_newest_and_what_they_need) {
    take(1);
    take(2);
    take(3, 2);
    take(4);
    take(5, 3);
    auto pruned = good(store->prune(1));
    EXPECT_EQ(pruned.removed, (Versions{1, 4}));
    EXPECT_EQ(pruned.needed, (Versions{2, 3}));
    EXPECT_EQ(complete(), (Versions{2, 3, 5}));
    EXPECT_TRUE(store->verify(5)->faults.empty());
    take(6);
    pruned = good(store->prune(2));
    EXPECT_TRUE(pruned.removed.empty());
    pruned = good(store->prune(1));
    EXPECT_EQ(pruned.removed, (Versions{2, 3, 5}));
    EXPECT_EQ(complete(), Versions{6});
    EXPECT_EQ(good(store->prune(0)).removed, Versions{6});
    EXPECT_EQ(*store->next_version(), 7u);
}

TEST_F(StoreTest, cleans_up_what_nobody_writes_any_more) {
    take(1);
    std::unique_ptr<MemberWriter> kept;
    ASSERT_FINE(write_member(*store, 2, 0, {{{1, 1}, Bytes(5)}}, &kept));
    auto writing = good(store->begin({.dataset = dataset_of(3), .version = 3}));
    EXPECT_TRUE(store->clean()->empty());
    EXPECT_EQ(store->remove(2).error().code, Errc::would_block);
    kept.reset();
    EXPECT_EQ(*store->clean(), Versions{2});
    ASSERT_FINE(writing->finish());
    writing.reset();
    EXPECT_EQ(*store->clean(), Versions{3});
    EXPECT_EQ(complete(), Versions{1});
    EXPECT_EQ(*store->next_version(), 4u);
}

TEST_F(StoreTest, a_manifest_is_committed_once_and_only_with_its_members) {
    std::unique_ptr<MemberWriter> kept;
    const MemberInfo info = good(write_member(*store, 1, 0, {}, &kept));
    auto wrong = manifest_of(1, {info});
    wrong.members[0].log.digest.low ^= 1;
    EXPECT_EQ(store->commit(wrong).error().code, Errc::mismatch);
    wrong = manifest_of(1, {info});
    wrong.members[0].member = 1;
    EXPECT_EQ(store->commit(wrong).error().code, Errc::invalid_argument);
    auto unfinished = good(store->begin({.dataset = dataset_of(1), .version = 1, .member = 1}));
    EXPECT_FALSE(store->commit(manifest_of(1, {info})));
    unfinished->abandon();
    ASSERT_FINE(store->commit(manifest_of(1, {info})));
    EXPECT_EQ(store->commit(manifest_of(1, {info})).error().code, Errc::exists);
}

TEST_F(StoreTest, verify_tells_how_far_it_is) {
    Random random(3);
    ASSERT_FINE(checkpoint(*store, 1, {random_state(random, 9, 900'000)}));
    std::uint64_t last = 0, all_bytes = 0;
    const auto verified = store->verify(1, [&](std::uint64_t done, std::uint64_t all) {
        EXPECT_GE(done, last);
        EXPECT_LE(done, all);
        last = done;
        all_bytes = all;
    });
    ASSERT_FINE(verified);
    EXPECT_EQ(last, all_bytes);
    EXPECT_EQ(verified->bytes, all_bytes);
    EXPECT_GT(verified->records, 0u);
    EXPECT_EQ(store->verify(2).error().code, Errc::not_found);
}

TEST_F(StoreTest, a_full_disk_is_named_and_can_be_cleaned) {
    const auto small = io::make_memory_disk({.name = "small", .capacity_bytes = 40 << 20});
    const auto full = open_store(*small);
    Random random(4);
    const State state{{{1, 1}, random_bytes(random, 12 << 20)}};
    ASSERT_FINE(checkpoint(*full, 1, {state}));
    std::unique_ptr<MemberWriter> kept;
    const State large{{{1, 1}, random_bytes(random, 30 << 20)}};
    const auto failed = write_member(*full, 2, 0, large, &kept);
    ASSERT_FALSE(failed);
    EXPECT_EQ(failed.error().sys_errno, ENOSPC);
    EXPECT_NE(failed.error().text.find("small"), std::string::npos) << failed.error().text;
    EXPECT_TRUE(full->list()->size() == 1) << "what was abandoned is gone";
    EXPECT_TRUE(*dump(*full, 1) == std::vector{state});
    ASSERT_FINE(checkpoint(*full, 3, {state}));
}

// ---- directories of the operating system

class Temporary {
public:
    Temporary() {
        path_ = (std::filesystem::temp_directory_path() / "ssi-store-XXXXXX").string();
        EXPECT_NE(::mkdtemp(path_.data()), nullptr) << path_;
    }
    ~Temporary() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

TEST(StoreDirectory, another_process_does_not_touch_what_is_being_written) {
    const Temporary directory;
    const auto mine = good(io::make_libaio_disk(directory.path()));
    const auto theirs = good(io::make_libaio_disk(directory.path()));
    const auto store = good(Store::open({.disk = mine.get(), .lock = true}));
    // A store of its own has nothing in common with this one but the directory.
    const auto other = good(Store::open({.disk = theirs.get(), .lock = true}));
    std::unique_ptr<MemberWriter> kept;
    Random random(5);
    const State state = random_state(random, 20, 200'000);
    const MemberInfo info = good(write_member(*store, 1, 0, state, &kept));
    EXPECT_TRUE(other->clean()->empty());
    EXPECT_TRUE(other->list()->at(0).writing);
    EXPECT_EQ(other->remove(1).error().code, Errc::would_block);
    EXPECT_EQ(other->begin({.dataset = dataset_of(1), .version = 1}).error().code,
              Errc::would_block);
    ASSERT_FINE(store->commit(manifest_of(1, {info})));
    kept.reset();
    EXPECT_EQ(*other->newest(), 1u);
    EXPECT_TRUE(*dump(*other, 1) == std::vector{state});
    EXPECT_TRUE(other->verify(1)->faults.empty());
    ASSERT_FINE(other->remove(1));
    EXPECT_EQ(*store->next_version(), 2u);
}

TEST(StoreDirectory, a_store_that_vanished_or_cannot_be_written_is_named) {
    const Temporary directory;
    const auto disk = good(io::make_libaio_disk(directory.path()));
    const auto store = good(Store::open({.disk = disk.get(), .lock = true}));
    ASSERT_FINE(checkpoint(*store, 1, {{{{1, 1}, Bytes(5, std::byte{1})}}}));
    if (::geteuid() != 0) {   // root may write everywhere
        ::chmod(directory.path().c_str(), 0500);
        const auto refused = store->begin({.dataset = dataset_of(2), .version = 2});
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().sys_errno, EACCES);
        EXPECT_NE(refused.error().text.find(directory.path()), std::string::npos);
        EXPECT_TRUE(dump(*store, 1)) << "reading needs no right to write";
        ::chmod(directory.path().c_str(), 0700);
    }
    std::filesystem::remove_all(directory.path());
    const auto gone = store->begin({.dataset = dataset_of(2), .version = 2});
    ASSERT_FALSE(gone);
    EXPECT_NE(gone.error().text.find(directory.path()), std::string::npos) << gone.error().text;
    EXPECT_FALSE(io::make_libaio_disk(directory.path()));
}

// As from a file system that is mounted to be read only.
TEST(StoreDirectory, reading_changes_nothing_on_the_disk) {
    std::uint64_t changes = 0;
    const auto disk = io::make_memory_disk(
        {.observe = [&](const io::MemoryDisk&, std::uint64_t) { ++changes; }});
    const auto store = open_store(*disk);
    Random random(6);
    const std::vector<State> states{random_state(random, 10, 100'000)};
    ASSERT_FINE(checkpoint(*store, 1, states));
    ASSERT_GT(changes, 0u);
    changes = 0;
    const auto reader = open_store(*disk);
    EXPECT_EQ(*reader->newest(), 1u);
    EXPECT_TRUE(*dump(*reader, 1) == states);
    EXPECT_TRUE(reader->verify(1)->faults.empty());
    EXPECT_TRUE(reader->list()->at(0).why.empty());
    EXPECT_EQ(changes, 0u);
}

}  // namespace
}  // namespace ssi::ckpt
