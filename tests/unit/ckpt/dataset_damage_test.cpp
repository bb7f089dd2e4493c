// SPDX-License-Identifier: BSD-3-Clause
// Any byte of any file that is another one is found, with the file's name.
#include "ssi/io/faulty_disk.hpp"
#include "support.hpp"

namespace ssi::ckpt {
namespace {

using namespace test;

struct Small {
    std::unique_ptr<io::MemoryDisk> disk = io::make_memory_disk();
    std::unique_ptr<Store> store = open_store(*disk);
    Small() {
        Random random(1);
        State state{{{1, 1}, random_bytes(random, 500)}, {{1, 2}, Bytes(3000)}, {{2, 1}, {}}};
        good(checkpoint(*store, 1, {state}));
        auto member = good(store->begin({.dataset = dataset_of(2), .version = 2}));
        good(member->put(part_of({1, 1}, 2, 3000), random_bytes(random, 3000)));
        good(member->put_ref(part_of({1, 2}, 1, 3000), 3000, {1, 0}));
        Bytes holes = random_bytes(random, 60'000);
        std::fill_n(holes.begin() + 10'000, 30'000, std::byte{0});
        good(member->put(part_of({1, 3}, 2, holes.size()), holes));
        const MemberInfo info = good(member->finish());
        good(store->commit(manifest_of(2, {info})));
    }
    std::vector<std::string> files() {
        std::vector<std::string> all;
        for (const char* folder : {"v1", "v1/m0", "v2", "v2/m0"})
            for (const std::string& name : good(disk->list(folder)))
                if (!name.ends_with(".dataset")) all.push_back(std::string(folder) + "/" + name);
        return all;
    }
};

TEST(DatasetDamage, every_byte_counts) {
    Small small;
    const auto files = small.files();
    ASSERT_EQ(files.size(), 6u);
    Random random(2);
    std::uint64_t flips = 0;
    for (const std::string& file : files) {
        const std::uint64_t bytes = size_of(*small.disk, file);
        // Every byte of what is small, and of the rest where something may stand.
        const std::uint64_t step = bytes > 20'000 ? 3 : 1;
        for (std::uint64_t byte = 0; byte < bytes; byte += 1 + random.below(step)) {
            const auto bits = static_cast<std::uint8_t>(1u << random.below(8));
            flip(*small.disk, file, byte, bits);
            const auto verified = small.store->verify(2);
            ASSERT_FINE(verified);
            ASSERT_FALSE(verified->faults.empty()) << file << ", byte " << byte;
            ASSERT_NE(verified->faults[0].find(file.substr(file.rfind('/') + 1)), std::string::npos)
                << file << ", byte " << byte << ": " << verified->faults[0];
            flip(*small.disk, file, byte, bits);
            ++flips;
        }
    }
    EXPECT_TRUE(small.store->verify(2)->faults.empty());
    EXPECT_GT(flips, 40'000u);
}

// What restores finds what it uses.
TEST(DatasetDamage, nothing_damaged_is_restored) {
    Small small;
    const auto golden = *dump(*small.store, 2);
    Random random(3);
    for (const std::string& file : small.files()) {
        const std::uint64_t bytes = size_of(*small.disk, file);
        for (std::uint64_t byte = 0; byte < bytes; byte += 1 + random.below(97)) {
            flip(*small.disk, file, byte);
            const auto back = dump(*small.store, 2);
            if (back) EXPECT_TRUE(*back == golden) << file << ", byte " << byte;
            // Version 1 is used only for what version 2 refers to.
            if (file.starts_with("v2")) EXPECT_FALSE(back) << file << ", byte " << byte;
            Store* const stores[] = {small.store.get()};
            if (const auto dataset = Dataset::open(stores, 2)) {
                for (const auto& [name, value] : golden[0]) {
                    const auto one = (*dataset)->read(0, SetId{name.first}, name.second);
                    if (one) EXPECT_TRUE(*one == value) << file << ", byte " << byte;
                }
            }
            flip(*small.disk, file, byte);
        }
    }
}

TEST(DatasetDamage, files_that_are_missing_or_cut_off_are_named) {
    for (const std::string& file : Small().files()) {
        Small small;
        ASSERT_FINE(small.disk->remove(file));
        const auto list = small.store->list();
        ASSERT_FINE(list);
        const VersionInfo& info = list->at(file.starts_with("v1") ? 0 : 1);
        EXPECT_NE(info.state, VersionState::complete) << file;
        EXPECT_FALSE(info.why.empty());
    }
    for (const std::string& file : Small().files()) {
        for (const bool longer : {false, true}) {
            Small small;
            const std::uint64_t bytes = size_of(*small.disk, file);
            const auto opened = good(small.disk->open(file, io::OpenMode::write));
            ASSERT_FINE(opened->truncate(longer ? bytes + 4096 : bytes - 4096));
            const auto verified = small.store->verify(2);
            ASSERT_FINE(verified);
            ASSERT_FALSE(verified->faults.empty()) << file << longer;
        }
    }
}

// Whole segments in each other's place have whole records.
TEST(DatasetDamage, another_versions_files_are_no_part_of_it) {
    Random random(4);
    const State state{{{1, 1}, random_bytes(random, 1000)}};
    for (const char* file : {"m0/0000000000000001.seg", "m0/member", "manifest"}) {
        Small small;
        ASSERT_FINE(checkpoint(*small.store, 3, {state}));
        ASSERT_FINE(checkpoint(*small.store, 4, {state}));
        const std::string name = file;
        ASSERT_FINE(small.disk->rename("v3/" + name, "v4/" + name));
        const auto verified = small.store->verify(4);
        ASSERT_FINE(verified);
        ASSERT_FALSE(verified->faults.empty()) << file;
        EXPECT_NE(verified->faults[0].find("v4/" + name), std::string::npos)
            << verified->faults[0];
    }
}

// Of the same dataset, version and member, as an attempt of the same name would leave it: every
// hash in it holds, only the digest does not.
TEST(DatasetDamage, whole_records_that_are_others_are_found_by_the_digest) {
    std::unique_ptr<io::MemoryDisk> disks[] = {io::make_memory_disk(), io::make_memory_disk()};
    for (int i = 0; i < 2; ++i) {
        const auto store = open_store(*disks[i]);
        const State state{{{1, 1}, Bytes(100, std::byte{static_cast<unsigned char>(1 + i)})}};
        ASSERT_FINE(checkpoint(*store, 1, {state}));
    }
    const std::string path = "v1/m0/0000000000000001.seg";
    const std::uint64_t bytes = size_of(*disks[1], path);
    Block block(bytes);
    const auto from = good(disks[1]->open(path, io::OpenMode::read));
    const auto to = good(disks[0]->open(path, io::OpenMode::write));
    ASSERT_FINE(io::read(*disks[1], *from, block.span(), 0));
    ASSERT_FINE(io::write(*disks[0], *to, block.span(), 0));
    const auto back = dump(*open_store(*disks[0]), 1);
    ASSERT_FALSE(back);
    EXPECT_NE(back.error().text.find("(digest)"), std::string::npos) << back.error().text;
}

TEST(DatasetDamage, a_bit_that_flips_on_the_way_is_found) {
    Small small;
    const auto golden = *dump(*small.store, 2);
    const auto faulty = io::make_faulty_disk(*small.disk);
    const auto store = open_store(*faulty);
    unsigned found = 0;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        faulty->set_plan({.seed = seed, .flipped_reads = 1500});
        const auto back = dump(*store, 2);
        if (back) EXPECT_TRUE(*back == golden);
        if (!back) ++found;
    }
    EXPECT_GT(found, 20u);
}

}  // namespace
}  // namespace ssi::ckpt
