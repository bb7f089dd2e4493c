// SPDX-License-Identifier: BSD-3-Clause
// Writing members and reading them back.
#include "ssi/ckpt/dataset.hpp"

#include "support.hpp"

namespace ssi::ckpt {
namespace {

using namespace test;

class DatasetTest : public ::testing::Test {
protected:
    std::unique_ptr<MemberWriter> begin(VersionNumber version, MemberIndex member = 0) {
        return good(store->begin({.dataset = dataset_of(version), .version = version,
                                  .member = member}));
    }
    void commit(MemberWriter& member) {
        const MemberInfo info = good(member.finish());
        good(store->commit(manifest_of(info.version, {info})));
    }
    std::unique_ptr<Dataset> open(VersionNumber version, const Expected& expected = {}) {
        Store* const stores[] = {store.get()};
        return good(Dataset::open(stores, version, expected));
    }
    std::unique_ptr<io::MemoryDisk> disk = io::make_memory_disk();
    std::unique_ptr<Store> store = open_store(*disk);
};

TEST_F(DatasetTest, gives_back_what_was_put) {
    Random random(1);
    for (VersionNumber version = 1; version <= 20; ++version) {
        const std::vector<State> states{random_state(random, random.below(40), 100'000),
                                        random_state(random, random.below(5), 5'000'000)};
        ASSERT_FINE(checkpoint(*store, version, states));
        const auto back = dump(*store, version);
        ASSERT_FINE(back);
        // Objects of no bytes come back, too.
        ASSERT_TRUE(*back == states) << version;
        const auto verified = store->verify(version);
        ASSERT_FINE(verified);
        EXPECT_TRUE(verified->faults.empty()) << verified->faults[0];
        if (version > 3) ASSERT_FINE(store->remove(version - 3));
    }
}

TEST_F(DatasetTest, reads_single_objects) {
    Random random(2);
    const State state = random_state(random, 30, 3'000'000);
    ASSERT_FINE(checkpoint(*store, 1, {state}));
    const auto dataset = open(1);
    for (const auto& [name, bytes] : state) {
        const auto read = dataset->read(0, SetId{name.first}, name.second);
        ASSERT_FINE(read);
        EXPECT_TRUE(*read == bytes);
    }
    EXPECT_EQ(dataset->read(0, SetId{9}, 1).error().code, Errc::not_found);
    EXPECT_EQ(dataset->read(1, SetId{1}, 1).error().code, Errc::not_found);
}

TEST_F(DatasetTest, keeps_the_manifest) {
    auto member = begin(4);
    ASSERT_FINE(member->put(part_of({1, 2}, 9, 3), Bytes(3, std::byte{1})));
    const MemberInfo info = good(member->finish());
    EXPECT_EQ(info.objects, 1u);
    EXPECT_EQ(info.bytes, 3u);
    EXPECT_EQ(info.log.records, 1u);
    EXPECT_EQ(info.chain, 0u);
    const Manifest manifest = manifest_of(4, {info});
    ASSERT_FINE(store->commit(manifest));
    EXPECT_TRUE(open(4)->manifest() == manifest);
}

TEST_F(DatasetTest, tells_versions_of_objects_and_places_of_parts) {
    auto member = begin(1);
    const Bytes bytes = random_bytes(*std::make_unique<Random>(3), 2'500'000);
    ASSERT_FINE(member->put({SetId{7}, {1, 2}, 77, 0, 2'500'000}, bytes));
    commit(*member);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> parts;
    ASSERT_FINE(open(1)->stream(0, [&](const FoundPart& found) -> Result<void> {
        EXPECT_EQ(found.part.item, SetId{7});
        EXPECT_EQ(found.part.id, (ObjectId{1, 2}));
        EXPECT_EQ(found.part.version, 77u);
        EXPECT_EQ(found.part.total, 2'500'000u);
        EXPECT_EQ(found.from, 1u);
        EXPECT_FALSE(found.zero);
        parts.emplace_back(found.part.offset, found.length);
        return {};
    }));
    const std::vector<std::pair<std::uint64_t, std::uint64_t>> expected{
        {0, 1 << 20}, {1 << 20, 1 << 20}, {2 << 20, 2'500'000 - (2 << 20)}};
    EXPECT_EQ(parts, expected);
}

TEST_F(DatasetTest, zeroes_take_no_room) {
    auto member = begin(1);
    Bytes bytes(8 << 20);
    bytes[5 << 20] = std::byte{1};
    ASSERT_FINE(member->put(part_of({1, 1}, 1, bytes.size()), bytes));
    ASSERT_FINE(member->put(part_of({1, 2}, 1, 100), Bytes(100)));
    const std::uint64_t large = std::uint64_t{5} << 30;
    ASSERT_FINE(member->put_zero(part_of({1, 3}, 1, large), large));
    commit(*member);
    const auto dataset = open(1);
    EXPECT_LT(dataset->manifest().members[0].log.bytes, 64u << 10);
    EXPECT_EQ(dataset->manifest().members[0].bytes, bytes.size() + 100 + large);
    EXPECT_TRUE(*dataset->read(0, SetId{1}, 1) == bytes);
    EXPECT_TRUE(*dataset->read(0, SetId{1}, 2) == Bytes(100));
    std::uint64_t zeroes = 0;
    ASSERT_FINE(dataset->stream(0, [&](const FoundPart& found) -> Result<void> {
        if (found.part.id == 3) zeroes += found.zero ? found.length : 0;
        return {};
    }));
    EXPECT_EQ(zeroes, large);
}

TEST_F(DatasetTest, a_part_out_of_order_is_refused_and_ends_the_member) {
    const Bytes bytes(10, std::byte{1});
    const auto refused = [&](std::vector<Part> parts, const std::string& text) {
        auto member = begin(good(store->next_version()));
        Result<void> last;
        for (const Part& part : parts) last = member->put(part, bytes);
        ASSERT_FALSE(last);
        EXPECT_EQ(last.error().code, Errc::invalid_argument);
        EXPECT_NE(last.error().text.find(text), std::string::npos) << last.error().text;
        EXPECT_EQ(member->finish().error().text, last.error().text);
    };
    refused({part_of({1, 1}, 1, 30), part_of({1, 2}, 1, 10)}, "goes on at byte 10 first");
    refused({part_of({1, 1}, 1, 30), part_of({1, 1}, 1, 30, 20)}, "goes on at byte 10 first");
    refused({part_of({1, 1}, 1, 30, 10)}, "begins with its byte 0");
    refused({part_of({1, 1}, 1, 5)}, "do not lie in an object of 5");
    auto member = begin(good(store->next_version()));
    ASSERT_FINE(member->put(part_of({1, 1}, 1, 30), bytes));
    EXPECT_NE(member->finish().error().text.find("10 of them were put"), std::string::npos);
}

TEST_F(DatasetTest, references_are_followed_into_older_versions) {
    Random random(5);
    Bytes bytes = random_bytes(random, 3 << 20);
    ASSERT_FINE(checkpoint(*store, 1, {{{{1, 1}, bytes}, {{1, 2}, random_bytes(random, 50)}}}));
    const Bytes small = good(open(1)->read(0, SetId{1}, 2));
    // Each version changes 4 KiB of the object and refers to the one before for the rest.
    for (VersionNumber version = 2; version <= 1 + max_chain; ++version) {
        auto member = begin(version);
        const std::uint64_t at = version * 300'000 / 4096 * 4096, total = bytes.size();
        const Bytes changed = random_bytes(random, 4096);
        std::ranges::copy(changed, bytes.begin() + static_cast<std::ptrdiff_t>(at));
        ASSERT_FINE(member->put_ref(part_of({1, 1}, version, total), at, {version - 1, 0}));
        ASSERT_FINE(member->put(part_of({1, 1}, version, total, at), changed));
        ASSERT_FINE(member->put_ref(part_of({1, 1}, version, total, at + 4096), total - at - 4096,
                                    {version - 1, 0}));
        ASSERT_FINE(member->put_ref(part_of({1, 2}, 1, 50), 50, {version - 1, 0}));
        commit(*member);
        const auto dataset = open(version);
        EXPECT_EQ(dataset->manifest().chain(), version - 1);
        EXPECT_TRUE(*dataset->read(0, SetId{1}, 1) == bytes) << version;
        EXPECT_TRUE(*dataset->read(0, SetId{1}, 2) == small) << version;
        const auto whole = dump(*dataset, 0);
        ASSERT_FINE(whole);
        EXPECT_TRUE((*whole == State{{{1, 1}, bytes}, {{1, 2}, small}})) << version;
        const auto verified = store->verify(version);
        ASSERT_FINE(verified);
        EXPECT_TRUE(verified->faults.empty()) << verified->faults[0];
    }
    auto member = begin(2 + max_chain);
    const auto refused = member->put_ref(part_of({1, 2}, 1, 50), 50, {1 + max_chain, 0});
    EXPECT_EQ(refused.error().code, Errc::too_large);
    EXPECT_NE(refused.error().text.find("take a full checkpoint"), std::string::npos);
    ASSERT_FINE(member->put(part_of({1, 2}, 1, 50), small));   // it may be put instead
    commit(*member);
    EXPECT_EQ(open(2 + max_chain)->manifest().chain(), 0u);
}

TEST_F(DatasetTest, references_need_a_version_that_is_there) {
    ASSERT_FINE(checkpoint(*store, 3, {{{{1, 1}, Bytes(10, std::byte{1})}}}));
    auto member = begin(4);
    const auto refer = [&](const Base& base) {
        return member->put_ref(part_of({1, 1}, 1, 10), 10, base).error().code;
    };
    EXPECT_EQ(refer({2, 0}), Errc::not_found);
    EXPECT_EQ(refer({3, 1}), Errc::not_found);
    EXPECT_EQ(refer({4, 0}), Errc::invalid_argument);
    EXPECT_EQ(refer({0, 0}), Errc::invalid_argument);
    // An object that the base does not have is found when somebody looks.
    ASSERT_FINE(member->put_ref(part_of({1, 2}, 1, 10), 10, {3, 0}));
    commit(*member);
    const auto verified = store->verify(4);
    ASSERT_FINE(verified);
    ASSERT_EQ(verified->faults.size(), 1u);
    EXPECT_NE(verified->faults[0].find("v3/m0"), std::string::npos) << verified->faults[0];
    EXPECT_FALSE(dump(*store, 4));
}

TEST_F(DatasetTest, a_base_that_went_away_stops_the_commit) {
    ASSERT_FINE(checkpoint(*store, 1, {{{{1, 1}, Bytes(10, std::byte{1})}}}));
    auto member = begin(2);
    ASSERT_FINE(member->put_ref(part_of({1, 1}, 1, 10), 10, {1, 0}));
    EXPECT_EQ(store->remove(1).error().code, Errc::would_block);
    ASSERT_FINE(disk->remove("v1/manifest"));
    const MemberInfo info = good(member->finish());
    EXPECT_EQ(store->commit(manifest_of(2, {info})).error().code, Errc::not_found);
}

TEST_F(DatasetTest, belongs_to_an_application_and_a_session) {
    ASSERT_FINE(checkpoint(*store, 1, {{}}));
    Store* const stores[] = {store.get()};
    EXPECT_TRUE(Dataset::open(stores, 1, {"test", "session 1"}));
    EXPECT_EQ(Dataset::open(stores, 1, {"other", ""}).error().code, Errc::mismatch);
    EXPECT_EQ(Dataset::open(stores, 1, {"", "session 2"}).error().code, Errc::mismatch);
    EXPECT_EQ(Dataset::open(stores, 2).error().code, Errc::not_found);
}

TEST_F(DatasetTest, members_in_several_stores_make_one_version) {
    Random random(6);
    const auto far_disk = io::make_memory_disk({.name = "far"});
    const auto far = open_store(*far_disk);
    const State here = random_state(random, 5, 50'000), there = random_state(random, 5, 50'000);
    std::unique_ptr<MemberWriter> kept[2];
    const auto manifest = manifest_of(1, {good(write_member(*store, 1, 0, here, &kept[0])),
                                          good(write_member(*far, 1, 1, there, &kept[1]))});
    ASSERT_FINE(far->commit(manifest));   // then the power goes: one copy only
    Store* const both[] = {store.get(), far.get()};
    const auto dataset = Dataset::open(both, 1);
    ASSERT_FINE(dataset);
    EXPECT_TRUE(*dump(**dataset, 0) == here);
    EXPECT_TRUE(*dump(**dataset, 1) == there);
    EXPECT_EQ(far->list()->at(0).state, VersionState::incomplete);
    EXPECT_EQ(far->list()->at(0).why, "member 0 of 2 is not there");
    EXPECT_EQ(list_versions(both)->at(0).state, VersionState::complete);
    const VersionNumber committed[] = {1};
    for (auto& one : kept) one.reset();
    EXPECT_TRUE(store->clean(committed)->empty()) << "another store has the manifest";
    EXPECT_EQ(list_versions(both)->at(0).state, VersionState::complete);
}

TEST_F(DatasetTest, a_member_of_another_attempt_does_not_count) {
    const auto stale_disk = io::make_memory_disk();
    const auto stale = open_store(*stale_disk);
    auto old = good(stale->begin({.dataset = {9, 9}, .version = 1}));
    ASSERT_FINE(old->finish());
    std::unique_ptr<MemberWriter> kept;
    const MemberInfo info = good(write_member(*store, 1, 0, {{{1, 1}, Bytes(5)}}, &kept));
    ASSERT_FINE(store->commit(manifest_of(1, {info})));
    ASSERT_FINE(disk->remove("v1/m0/member"));
    Store* const both[] = {stale.get(), store.get()};
    EXPECT_EQ(list_versions(both)->at(0).state, VersionState::incomplete);
}

TEST_F(DatasetTest, a_throttled_member_takes_its_time) {
    Random random(7);
    const double rate = 50e6;
    auto member = good(store->begin({.dataset = dataset_of(1), .version = 1,
                                     .bytes_per_second = static_cast<std::uint64_t>(rate)}));
    const Bytes bytes = random_bytes(random, 10 << 20);
    const RealClock clock;
    const Nanoseconds begun = clock.now();
    ASSERT_FINE(member->put(part_of({1, 1}, 1, bytes.size()), bytes));
    commit(*member);
    EXPECT_GE(static_cast<double>(clock.now() - begun) / 1e9, 0.9 * (10 << 20) / rate);
    EXPECT_EQ(member->put_bytes(), bytes.size());
    EXPECT_TRUE(*open(1)->read(0, SetId{1}, 1) == bytes);
}

}  // namespace
}  // namespace ssi::ckpt
