// SPDX-License-Identifier: BSD-3-Clause
#include "object_entries.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace ssi::io {
namespace {

ObjectKey key(std::uint64_t hi, std::uint64_t lo, bool intent = false) {
    return {{hi, lo}, intent};
}

TEST(ObjectEntries, finds_what_a_map_finds) {
    ObjectEntries entries;
    std::map<ObjectKey, ObjectEntry*> expected;
    std::mt19937_64 random(1);
    for (std::uint32_t i = 0; i < 200'000; ++i) {
        const ObjectKey name = key(random() % 3, random() % 5'000, random() % 2 != 0);
        const auto known = expected.find(name);
        ASSERT_EQ(entries.find(name), known == expected.end() ? nullptr : known->second) << i;
        if (known != expected.end() && random() % 3 == 0) {
            entries.erase(*known->second);
            expected.erase(known);
        } else {
            ObjectEntry& entry = entries.find_or_add(name);
            if (known == expected.end()) {
                ASSERT_FALSE(entry.is_there());   // as new, whoever had it before
                ASSERT_EQ(entry.version, 0u);
            } else {
                ASSERT_EQ(&entry, known->second);   // entries stay where they are
            }
            entry.version = i + 1;
            entry.kind = RecordKind::raw;
            expected[name] = &entry;
        }
        ASSERT_EQ(entries.size(), expected.size());
    }
    std::map<ObjectKey, ObjectEntry*> seen;
    entries.for_each([&](ObjectEntry& entry) { seen[entry.key()] = &entry; });
    EXPECT_EQ(seen, expected);
}

TEST(ObjectEntries, do_not_grow_when_as_many_come_as_go) {
    ObjectEntries entries;
    for (std::uint64_t i = 0; i < 1'000; ++i) entries.find_or_add(key(0, i));
    const std::size_t before = entries.bytes();
    for (std::uint64_t i = 0; i < 1'000'000; ++i) {
        entries.erase(*entries.find(key(0, i)));
        entries.find_or_add(key(0, i + 1'000));
    }
    EXPECT_LT(entries.bytes(), before + before / 2);
}

TEST(ObjectEntry, keeps_places_of_large_segments_and_many_records) {
    ObjectEntry entry;
    const LogPlace far{0x123456789abc, (std::uint64_t{1} << 35) - 8, UINT32_MAX};
    entry.set_place(far);
    EXPECT_EQ(entry.place(), far);
    entry.records = entry.values = 0x7fffffff;
    entry.intent = 1;
    entry.covered = true;
    EXPECT_EQ(entry.records, 0x7fffffffu);
    EXPECT_EQ(entry.values, 0x7fffffffu);
    EXPECT_EQ(entry.place(), far);
    EXPECT_FALSE(entry.counted);
}

}  // namespace
}  // namespace ssi::io
