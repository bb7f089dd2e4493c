// SPDX-License-Identifier: BSD-3-Clause
// Parity: which unit lies where, what may be lost, and files of it with every kind of damage.
#include "parity.hpp"

#include <algorithm>
#include <fstream>
#include <numeric>
#include <set>
#include <sstream>

#include "golden.hpp"
#include "parity_file.hpp"
#include "support.hpp"

namespace ssi::ckpt::test {
namespace {

constexpr std::uint64_t unit = parity_unit_bytes;

// ---- the layout

TEST(ParityLayout, each_unit_has_a_row_of_its_own_and_no_row_is_skipped) {
    for (std::size_t size = 2; size <= 9; ++size)
        for (std::size_t place = 0; place < size; ++place) {
            std::uint64_t last = 0;
            for (std::uint64_t one = 0; one < 50; ++one) {
                const std::uint64_t row = row_of(one, place, size);
                EXPECT_NE(keeper_of(row, size), place);
                EXPECT_EQ(unit_in(row, place, size), one);
                EXPECT_TRUE(one == 0 || row == last + 1 || keeper_of(last + 1, size) == place);
                last = row;
            }
        }
}

// Streams, and the parity that each member keeps of them.
struct Group {
    explicit Group(const std::vector<std::uint64_t>& lengths) : bytes(lengths) {
        Random random(lengths.size() + lengths.front());
        for (const std::uint64_t length : lengths) {
            Bytes& stream = streams.emplace_back(length);
            for (std::byte& byte : stream) byte = static_cast<std::byte>(random.next());
        }
        for (std::size_t place = 0; place < bytes.size(); ++place) {
            Bytes& kept = parity.emplace_back(parity_bytes_of(bytes, place));
            for (std::uint64_t row = place; row < rows_of(bytes); row += bytes.size())
                for (std::size_t other = 0; other < bytes.size(); ++other)
                    if (other != place)
                        add_to_parity(part(kept, unit_of(bytes, row, place)),
                                      part(streams[other], unit_of(bytes, row, other)));
        }
    }
    static std::span<std::byte> part(Bytes& of, const UnitPlace& where) {
        return where.length == 0 ? std::span<std::byte>()
                                 : std::span(of).subspan(where.place, where.length);
    }
    // What the member at `lost` had, by what all others have.
    Group without(std::size_t lost) {
        Group again = *this;
        std::ranges::fill(again.streams[lost], std::byte{0});
        std::ranges::fill(again.parity[lost], std::byte{0});
        for (std::uint64_t row = 0; row < rows_of(bytes); ++row) {
            Bytes sum(unit);
            for (std::size_t other = 0; other < bytes.size(); ++other)
                if (other != lost)
                    add_to_parity(sum, part(keeper_of(row, bytes.size()) == other ? parity[other]
                                                                                  : streams[other],
                                            unit_of(bytes, row, other)));
            const auto made = unit_of(bytes, row, lost);
            std::ranges::copy(std::span(sum).first(made.length),
                              part(keeper_of(row, bytes.size()) == lost ? again.parity[lost]
                                                                        : again.streams[lost],
                                   made).begin());
        }
        return again;
    }
    std::vector<std::uint64_t> bytes;
    std::vector<Bytes> streams, parity;
};

TEST(ParityLayout, any_one_is_found_again_by_the_others) {
    const std::vector<std::vector<std::uint64_t>> cases{
        {4096, 4096}, {3 * unit + 4096, 8192}, {0, 0, 4096}, {0, 5 * unit},
        {unit, 2 * unit, 3 * unit}, {7 * unit + 4096, unit, 2 * unit + 8192},
        {4096, 9 * unit - 4096, 0, 4 * unit, 5 * unit + 4096}};
    for (const auto& lengths : cases) {
        Group group(lengths);
        for (std::size_t lost = 0; lost < lengths.size(); ++lost) {
            const Group again = group.without(lost);
            EXPECT_TRUE(again.streams == group.streams) << lost << " of " << lengths.size();
            EXPECT_TRUE(again.parity == group.parity) << lost << " of " << lengths.size();
        }
    }
}

TEST(ParityLayout, each_keeps_its_share) {
    for (std::size_t size = 2; size <= 8; ++size) {
        const std::vector<std::uint64_t> bytes(size, 100 * unit);
        for (std::size_t place = 0; place < size; ++place) {
            const std::uint64_t share = 100 * unit / (size - 1);
            EXPECT_GE(parity_bytes_of(bytes, place) + unit, share);
            EXPECT_LE(parity_bytes_of(bytes, place), share + 2 * unit);
        }
    }
}

// ---- the small file

ParityInfo example() {
    return {.dataset = {0x1122334455667788, 0x99aabbccddeeff00},
            .version = 258,
            .member = 3,
            .group = {{1, {5, 6}, {16 << 20, 4096}}, {3, {7, 8}, {8192}}},
            .rows = std::vector<io::LogDigest>(33, {9, 10})};
}

// As in the document's other examples.
TEST(ParityInfo, the_file_is_as_documented) {
    const ParityInfo info{.dataset = {0x0011223344556677, 0x8899aabbccddeeff},
                          .version = 258,
                          .member = 1,
                          .group = {{0, {1, 2}, {0x5000}}, {1, {3, 4}, {0xa000, 0x1000}}},
                          .rows = {{5, 6}}};
    std::ifstream file(SSI_TEST_SOURCE "/docs/formats/dataset.md");
    std::ostringstream text;
    text << file.rdbuf();
    const std::string shown = ssi::test::dump_bytes(encode_parity(info));
    EXPECT_NE(text.str().find("\n" + shown), std::string::npos) << shown;
}

TEST(ParityInfo, what_was_encoded_is_decoded) {
    const ParityInfo info = example();
    EXPECT_EQ(info.bytes(), (16u << 20) + 4096);
    const auto back = decode_parity(encode_parity(info));
    ASSERT_FINE(back);
    EXPECT_TRUE(*back == info);
}

TEST(ParityInfo, what_makes_no_sense_is_refused) {
    const auto refused = [](auto change) {
        ParityInfo info = example();
        change(info);
        return !decode_parity(encode_parity(info));
    };
    EXPECT_FALSE(refused([](ParityInfo&) {}));
    EXPECT_TRUE(refused([](ParityInfo& info) { info.version = 0; }));
    EXPECT_TRUE(refused([](ParityInfo& info) { info.member = 2; }));
    EXPECT_TRUE(refused([](ParityInfo& info) { info.group.pop_back(); }));
    EXPECT_TRUE(refused([](ParityInfo& info) { info.group[0].member = 3; }));
    EXPECT_TRUE(refused([](ParityInfo& info) { info.rows.pop_back(); }));
    EXPECT_TRUE(refused([](ParityInfo& info) { info.rows.emplace_back(); }));
}

TEST(ParityInfo, no_prefix_and_no_flipped_bit_is_accepted) {
    const auto bytes = encode_parity(example());
    for (std::size_t length = 0; length < bytes.size(); ++length)
        EXPECT_FALSE(decode_parity(std::span(bytes).first(length))) << length;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        auto flipped = bytes;
        flipped[at] ^= std::byte{4};
        EXPECT_FALSE(decode_parity(flipped)) << at;
    }
}

// ---- files

struct ParityFiles : testing::Test {
    std::unique_ptr<io::MemoryDisk> disk = io::make_memory_disk();
    std::unique_ptr<Store> store = open_store(*disk);
    Store* stores[1] = {store.get()};
    Manifest manifest;

    // A version with two members in one store, and what the first keeps of the other.
    void SetUp() override {
        Random random(1);
        std::vector<std::unique_ptr<MemberWriter>> writers;
        std::vector<MemberInfo> members;
        std::vector<ParityMember> group;
        for (MemberIndex i = 0; i < 2; ++i) {
            auto writer = good(store->begin({.dataset = dataset_of(1), .version = 1, .member = i,
                                             .rank = i, .host = "host", .device = "disk",
                                             .group = 1}));
            const Bytes bytes = random_bytes(random, 700'000 + 100'000 * i);
            good(writer->put(part_of({1, i}, 1, bytes.size()), bytes));
            members.push_back(good(writer->finish()));
            writers.push_back(std::move(writer));
        }
        manifest = manifest_of(1, members);
        manifest.level = parity_level;
        for (const MemberInfo& member : members)
            group.push_back(good(MemberStream(*store, member).open()));
        for (MemberIndex i = 0; i < 2; ++i) keep(group, i);
        good(store->commit(manifest));
    }
    void keep(const std::vector<ParityMember>& group, MemberIndex keeper) {
        const std::uint64_t bytes[] = {group[0].bytes(), group[1].bytes()};
        auto writer = good(ParityWriter::begin(*store, dataset_of(1), 1, keeper));
        MemberStream other(*store, manifest.members[1 - keeper]);
        (void)good(other.open());
        UnitBuffer buffer;
        for (std::uint64_t row = keeper; row < rows_of(bytes); row += 2) {
            const UnitPlace one = unit_of(bytes, row, 1 - keeper);
            if (one.length == 0) break;
            const auto sum = good(writer->next());
            good(other.read(one.place, buffer.bytes().first(one.length)));
            add_to_parity(sum, buffer.bytes().first(one.length));
            good(writer->add(one.length));
        }
        good(writer->finish(group));
    }
    std::vector<std::string> faults() { return good(verify_version(stores, 1)).faults; }
    std::uint64_t size_of(const std::string& path) {
        return good(good(disk->open(path, io::OpenMode::read))->size());
    }
    void flip(const std::string& path, std::uint64_t at) {
        const auto file = good(disk->open(path, io::OpenMode::write));
        UnitBuffer buffer;
        const std::uint64_t begin = at / 4096 * 4096;
        const auto block = buffer.bytes().first(4096);
        (void)good(io::read(*disk, *file, block, begin));
        block[at - begin] ^= std::byte{1};
        good(io::write(*disk, *file, block, begin));
    }
};

TEST_F(ParityFiles, verifying_tells_how_far_it_is_with_parity_and_all) {
    std::uint64_t last = 0, most = 0, steps = 0;
    std::uint64_t all = 0;
    for (const MemberInfo& member : manifest.members) all += member.log.bytes;
    good(verify_version(stores, 1, [&](std::uint64_t done, std::uint64_t of) {
        EXPECT_GE(done, last);
        // Members and parity end where they end, not all at once at the last call.
        EXPECT_LE(done - last, std::uint64_t{1} << 20);
        last = done;
        most = of;
        ++steps;
    }));
    EXPECT_EQ(last, most);
    EXPECT_GT(most, all);
    EXPECT_GT(steps, 4u);
}

TEST_F(ParityFiles, what_was_written_is_as_it_was) {
    EXPECT_EQ(faults(), std::vector<std::string>());
    EXPECT_EQ(place_parity(stores, manifest), (std::vector<Store*>{store.get(), store.get()}));
    EXPECT_EQ(good(store->list()).front().parity, (std::vector<MemberIndex>{0, 1}));
    // Of two, each keeps the other one.
    const auto info = good(parity_in(*store, 1, 0));
    EXPECT_EQ(info.bytes(), manifest.members[1].log.bytes);
}

// Each byte of the small file; with sanitizers, which take minutes for that, some.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::uint64_t sparser = 23;
#else
constexpr std::uint64_t sparser = 1;
#endif

TEST_F(ParityFiles, damage_in_every_byte_class_is_found) {
    for (const std::string path : {"v1/p0/parity", "v1/p0/rows", "v1/p1/rows"}) {
        const std::uint64_t bytes = size_of(path);
        const std::uint64_t step = path.ends_with("parity") ? sparser : sparser * 4095 * 3;
        for (std::uint64_t at = 0; at < bytes; at += step) {
            flip(path, at);
            const auto found = faults();
            ASSERT_EQ(found.size(), 1u) << path << " byte " << at;
            EXPECT_NE(found[0].find(path), std::string::npos) << found[0];
            flip(path, at);
        }
    }
    EXPECT_EQ(faults(), std::vector<std::string>());
}

TEST_F(ParityFiles, torn_files_count_as_none) {
    for (const char* path : {"v1/p0/rows", "v1/p0/parity"}) {
        const auto file = good(disk->open(path, io::OpenMode::write));
        good(file->truncate(size_of(path) - 4096));
        EXPECT_EQ(faults().size(), 1u) << path;
        EXPECT_EQ(place_parity(stores, manifest), (std::vector<Store*>{nullptr, store.get()}));
    }
}

TEST_F(ParityFiles, what_was_not_finished_is_gone) {
    {
        auto writer = good(ParityWriter::begin(*store, dataset_of(1), 1, 7));
        (void)good(writer->next());
        good(writer->add(4096));
        EXPECT_EQ(good(disk->list("v1/p7")).size(), 1u);
    }
    EXPECT_FALSE(disk->list("v1/p7"));
}

TEST_F(ParityFiles, that_of_other_members_counts_as_none) {
    Manifest other = manifest;
    other.members[1].log.digest.low ^= 1;
    EXPECT_EQ(place_parity(stores, other), (std::vector<Store*>{nullptr, nullptr}));
    other = manifest;
    other.dataset.low ^= 1;
    EXPECT_EQ(place_parity(stores, other), (std::vector<Store*>{nullptr, nullptr}));
}

TEST_F(ParityFiles, goes_with_its_version) {
    good(store->remove(1));
    EXPECT_FALSE(disk->list("v1"));
}

// A member is written beside what is there, and takes its place only when it is right.
TEST_F(ParityFiles, a_member_is_replaced_only_by_the_right_bytes) {
    const MemberInfo info = manifest.members[0];
    MemberStream stream(*store, info);
    const auto member = good(stream.open());
    UnitBuffer buffer;
    const auto rebuild = [&](std::uint64_t wrong_at) {
        auto copy = good(MemberCopy::rebuild(*store, info));
        MemberStream from(*store, info);
        (void)good(from.open());
        for (std::uint64_t at = 0; at < member.bytes(); at += 4096) {
            const auto block = buffer.bytes().first(4096);
            good(from.read(at, block));
            if (at == wrong_at) block[7] ^= std::byte{1};
            good(copy->write({io::sealed_file_name(1), member.bytes(), at, block}));
        }
        good(copy->write_member_file(info));
        return copy->finish();
    };
    ASSERT_EQ(member.file_bytes.size(), 1u);
    EXPECT_FALSE(rebuild(8192));
    EXPECT_EQ(faults(), std::vector<std::string>());
    EXPECT_TRUE(rebuild(UINT64_MAX));
    EXPECT_EQ(faults(), std::vector<std::string>());
    EXPECT_EQ(good(disk->list_directories("v1")), (std::vector<std::string>{"m0", "m1", "p0",
                                                                            "p1"}));
}

TEST_F(ParityFiles, what_was_being_rebuilt_is_cleaned_up) {
    good(disk->make_directory("v1/r0"));
    (void)good(disk->open("v1/r0/member", io::OpenMode::create));
    EXPECT_TRUE(good(store->clean()).empty());
    EXPECT_FALSE(disk->list("v1/r0"));
    EXPECT_EQ(faults(), std::vector<std::string>());
}

}  // namespace
}  // namespace ssi::ckpt::test
