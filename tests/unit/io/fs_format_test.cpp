// SPDX-License-Identifier: BSD-3-Clause
// The bytes of docs/formats/kdfs.md, and buckets beside a map.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <bit>
#include <map>
#include <set>
#include <string>

#include <fmt/format.h>

#include "fs_bucket.hpp"
#include "fs_inode.hpp"
#include "ssi/base/random.hpp"

namespace ssi::fs {
namespace {

std::string hex(std::span<const std::byte> bytes) {
    std::string text;
    for (const std::byte b : bytes) text += fmt::format("{:02x}", static_cast<unsigned>(b));
    return text;
}

TEST(FsFormat, has_inodes_as_documented) {
    InodeHead head;
    head.mode = S_IFREG | 0640;
    head.uid = 0x11;
    head.gid = 0x22;
    head.size = 0x1234;
    head.links = 2;
    head.access_ns = 3;
    head.modify_ns = 4;
    head.change_ns = 5;
    head.cuts = 6;
    head.parent = 7;
    head.layout = Layout{0x0102, 4, 3}.packed();
    head.flags = InodeHead::in_pages;
    head.unit_shift = 20;
    head.count = 2;
    head.xattr_bytes = 8;
    head.inline_bytes = 9;
    head.placement = 1;
    head.writer = 0x44;
    EXPECT_EQ(hex(make_inode_value(head)),
              "01000000" "a0810000" "11000000" "22000000" "3412000000000000" "0200000000000000"
              "0300000000000000" "0400000000000000" "0500000000000000" "0600000000000000"
              "0700000000000000" "03241000" "0100" "14" "02" "08000000" "09000000" "01" "000000"
              "44000000");
    EXPECT_EQ(hex(pack_xattrs({{"user.a", std::as_bytes(std::span("xy", 2))}})),
              "0600" "02000000" "757365722e61" "7879");
}

TEST(FsFormat, has_buckets_as_documented) {
    const BucketView empty({});
    const Edit first = empty.insert({"ab", 0x0102030405060708, InodeId(9), 8, NodeId(3)}, 5);
    EXPECT_EQ(first.object_bytes, 256u);
    EXPECT_EQ(hex(std::span(first.bytes).first(160)),
              "01000000" "0000" "0000" "a0000000" "00000000" "01000000" "00000000"
              "0500000000000000" "04000000" + std::string(56 + 128, '0') +
              "0807060504030201" "0900000000000000" "2000" "02" "08" "00000000" "6162000000000000");
    EXPECT_EQ(name_hash("file"), 0x34ba11dfe8f0d786ull);
    EXPECT_EQ(cookie_of(1), (std::uint64_t{1} << 62) + 1);
    EXPECT_EQ(hash_at(cookie_of(0x1234)), 0x1234u);
}

TEST(FsFormat, places_objects_as_documented) {
    EXPECT_EQ(make_inode(SlotId(3), 5).value, (std::uint64_t{3} << 48) + 5);
    const Layout layout{10, 1, 3};   // two pages on each of three slots
    const InodeId inode(77);
    const std::uint32_t wanted[] = {10, 10, 11, 11, 12, 12, 10};
    for (std::uint64_t page = 0; page < std::size(wanted); ++page)
        EXPECT_EQ(slot_of_page({}, page_id(inode, layout, page), 16).value, wanted[page]);
    EXPECT_EQ(page_id(inode, layout, 4).lo, (std::uint64_t{layout.packed()} << 36) + 4);
    const InodeId directory = make_inode(SlotId(3), 5);
    EXPECT_EQ(bucket_id(directory, {6, 2}).lo, (std::uint64_t{6} << 16) + 2);
    EXPECT_EQ(slot_of_bucket({}, bucket_id(directory, {}), 16).value, 3u);
    EXPECT_EQ(slot_of_bucket({}, bucket_id(directory, {6, 2}), 16).value, 1u);
    EXPECT_EQ(slot_of_bucket({}, bucket_id(directory, {6, 0}), 16).value,
              (mix64(directory.value ^ mix64(6)) >> 16) % 16);
    // 6 is 110: split off by bit 2 from 2, which was split off by bit 1 from 0.
    const BucketPlaces places{0, 9, 7};
    EXPECT_EQ(elder_of(6, places), (BucketKey{2, 9}));
    EXPECT_EQ(elder_of(2, places), BucketKey{});
    EXPECT_EQ(key_on_way(6, 2, places), (BucketKey{6, 7}));
    EXPECT_EQ(key_on_way(6, 1, places), (BucketKey{2, 9}));
}

// A directory of buckets without sets: splits as Core::split does, to places by chance.
struct Buckets {
    std::map<BucketKey, std::vector<std::byte>> values{{BucketKey{}, {}}};
    Random random{7};

    BucketKey key_of(std::uint64_t hash) const {
        BucketKey key;
        for (;;) {
            const BucketView view(values.at(key));
            if (view.covers(hash, key)) return key;
            key = view.next_key(hash, key);
        }
    }
    void apply(BucketKey key, const Edit& edit) {
        values[key] = edit.applied(values[key]);
        if (!BucketView(values[key]).should_split(4096)) return;
        const BucketView view(values[key]);
        const BucketKey other{key.index | std::uint32_t{1} << view.head().depth,
                              static_cast<std::uint16_t>(random.below(5))};
        auto halves = view.split(other.place);
        values[key] = std::move(halves.stays);
        values[other] = std::move(halves.goes);
    }
};

TEST(Bucket, has_what_a_map_has_through_splits_and_removals) {
    Buckets buckets;
    std::map<std::string, std::uint64_t> model;
    Random random(5);
    for (int i = 0; i < 40'000; ++i) {
        const std::string name = fmt::format("name-{}", random.below(6000));
        const std::uint64_t hash = name_hash(name);
        const BucketKey key = buckets.key_of(hash);
        const BucketView view(buckets.values[key]);
        const auto entry = view.find(name, hash);
        ASSERT_EQ(entry.has_value(), model.contains(name)) << name;
        if (entry) {
            ASSERT_EQ(entry->head.inode, model[name]);
        }
        if (entry && random.chance(1, 2)) {
            buckets.apply(key, view.erase(*entry, i));
            model.erase(name);
        } else if (entry) {
            buckets.apply(key, view.replace(*entry, InodeId(i + 1), 4, i));
            model[name] = static_cast<std::uint64_t>(i) + 1;
        } else {
            buckets.apply(key, view.insert({name, hash, InodeId(i + 1), 8}, i));
            model[name] = static_cast<std::uint64_t>(i) + 1;
        }
    }
    EXPECT_GT(buckets.values.size(), 10u);
    std::set<std::string> listed;
    for (std::uint64_t cookie = 1; cookie != 0;) {   // in the order of listings
        const BucketKey key = buckets.key_of(hash_at(cookie));
        const BucketView view(buckets.values[key]);
        EXPECT_TRUE(view.valid());
        view.for_each([&](const EntryView& e) {
            EXPECT_GE(cookie_of(e.head.hash), cookie);
            EXPECT_TRUE(listed.insert(std::string(e.name)).second);
        });
        cookie = view.end_cookie(key);
    }
    EXPECT_EQ(listed.size(), model.size());
    for (const auto& [key, value] : buckets.values) {   // each knows its elder, and it knows them
        if (key.index == 0) continue;
        const BucketKey elder = elder_of(key.index, BucketView(value).places());
        ASSERT_TRUE(buckets.values.contains(elder)) << key.index;
        const auto bit = static_cast<unsigned>(std::bit_width(key.index)) - 1;
        EXPECT_EQ(BucketView(buckets.values[elder]).places()[bit], key.place);
    }
}

TEST(Bucket, knows_whether_one_node_alone_has_filled_it) {
    std::vector<std::byte> value;
    const auto add = [&](std::uint64_t i, NodeId by) {
        const std::string name = fmt::format("name-{}", i);
        value = BucketView(value)
                    .insert({name, name_hash(name), InodeId(i + 1), 8, by}, 1)
                    .applied(value);
    };
    EXPECT_EQ(BucketView(value).only_writer(), no_node);
    for (std::uint64_t i = 0; i < 50; ++i) add(i, NodeId(4));
    EXPECT_EQ(BucketView(value).only_writer(), NodeId(4));
    add(50, NodeId(0));
    EXPECT_EQ(BucketView(value).only_writer(), no_node);
    add(51, NodeId(0));
    EXPECT_EQ(BucketView(value).only_writer(), no_node);
    value = BucketView(value).split(0).stays;
    EXPECT_EQ(BucketView(value).only_writer(), no_node);
    add(52, NodeId(0));
    EXPECT_EQ(BucketView(value).only_writer(), NodeId(0));
}

}  // namespace
}  // namespace ssi::fs
