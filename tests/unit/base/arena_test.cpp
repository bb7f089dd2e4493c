// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/sys/arena.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "ssi/base/random.hpp"

namespace ssi::sys {
namespace {

using Kind = Arena::Kind;

Arena::Options small_arena(Kind kind = Kind::private_memory) {
    return {.kind = kind, .chunk_bytes = 64u << 10, .huge_pages = false, .shards = 1};
}

ObjectHeader* must_allocate(Arena& arena, std::size_t bytes) {
    auto block = arena.allocate(bytes);
    if (!block) throw std::runtime_error(block.error().to_string());
    return *block;
}

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#else
constexpr bool sanitized = false;
#endif

std::size_t resident_bytes() {
    // Sanitizers keep shadow memory of what is touched: nothing to measure.
    if (sanitized) return 0;
    std::ifstream file("/proc/self/statm");
    std::size_t size = 0, resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::size_t>(getpagesize());
}

class ArenaOfKind : public testing::TestWithParam<Kind> {};
INSTANTIATE_TEST_SUITE_P(Both, ArenaOfKind,
                         testing::Values(Kind::private_memory, Kind::shared_memory),
                         [](const auto& info) {
                             return info.param == Kind::shared_memory ? "shared" : "private";
                         });

TEST_P(ArenaOfKind, gives_aligned_room_behind_a_fresh_header_for_every_size) {
    Arena arena(small_arena(GetParam()));
    for (std::size_t bytes = 0; bytes < (3u << 20); bytes += 1 + bytes / 7) {
        ObjectHeader* block = must_allocate(arena, bytes);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes_of(block)) % 16, 0u) << bytes;
        EXPECT_GE(block->capacity, bytes);
        EXPECT_EQ(block->version, 0u);
        EXPECT_EQ(block->id, ObjectId{});
        EXPECT_EQ(block->set, SetId{});
        EXPECT_EQ(block->length, 0u);
        EXPECT_EQ(block->state, 0u);
        EXPECT_EQ(block->references, 0u);
        std::memset(bytes_of(block), 0xab, bytes);
    }
}

TEST(Arena, eight_bytes_cost_48_and_larger_ones_at_most_an_eighth_and_48_more) {
    Arena arena(small_arena());
    std::size_t before = 0;
    for (std::size_t bytes : {1u, 8u, 9u, 24u, 1000u, 1032u, 1033u, 4096u, 5000u, 65536u, 70000u,
                              524288u, 524297u, 1u << 20}) {
        must_allocate(arena, bytes);
        const std::size_t cost = arena.usage().used_bytes - before;
        before += cost;
        const bool power_of_two = bytes >= 16 && (bytes & (bytes - 1)) == 0;
        EXPECT_TRUE(bytes > 8 || cost == 48) << bytes;
        EXPECT_LE(cost, bytes <= 1032 ? bytes + 55 : bytes + bytes / 8 + 48) << bytes;
        EXPECT_TRUE(!power_of_two || cost == bytes + 48) << bytes;
    }
}

TEST(Arena, a_million_small_objects_occupy_what_they_cost) {
    const std::size_t before = resident_bytes();
    Arena arena({.kind = Kind::private_memory});
    for (int i = 0; i < 1'000'000; ++i) {
        ObjectHeader* block = must_allocate(arena, 8);
        std::memset(bytes_of(block), 1, 8);
    }
    EXPECT_EQ(arena.usage().used_bytes, 48'000'000u);
    EXPECT_LE(arena.usage().reserved_bytes, 48'000'000u + (2u << 20));
    EXPECT_LE(resident_bytes() - before, 48'000'000u + (3u << 20));
    EXPECT_TRUE(sanitized || resident_bytes() > before + 47'000'000u);
}

TEST_P(ArenaOfKind, recycles_released_blocks) {
    Arena arena(small_arena(GetParam()));
    for (std::size_t bytes : {8u, 100u, 5000u, 100'000u, 700'000u}) {
        std::vector<ObjectHeader*> blocks(20);
        for (auto& block : blocks) block = must_allocate(arena, bytes);
        const auto usage = arena.usage();
        for (auto* block : blocks) arena.release(block);
        std::set<ObjectHeader*> again;
        for (std::size_t i = 0; i < blocks.size(); ++i) again.insert(must_allocate(arena, bytes));
        EXPECT_EQ(again, std::set<ObjectHeader*>(blocks.begin(), blocks.end())) << bytes;
        EXPECT_EQ(arena.usage().used_bytes, usage.used_bytes);
        EXPECT_EQ(arena.usage().reserved_bytes, usage.reserved_bytes);
    }
}

TEST(Arena, released_blocks_read_as_away_and_never_as_their_last_version) {
    Arena arena(small_arena());
    std::vector<ObjectHeader*> blocks(500);
    for (auto& block : blocks) {
        block = must_allocate(arena, 8);
        block->version = 7;
        block->id = ObjectId(1, 2);
    }
    for (auto* block : blocks) arena.release(block);
    for (auto* block : blocks) {
        EXPECT_EQ(block->version, 0u);
        EXPECT_EQ(block->state & header_away, header_away);
        EXPECT_EQ(block->capacity, 8u);
    }
}

TEST(Arena, blocks_never_overlap_through_churn) {
    Arena arena({.kind = Kind::private_memory, .chunk_bytes = 64u << 10, .huge_pages = false});
    Random random(5);
    struct Live {
        ObjectHeader* block;
        std::size_t bytes;
        unsigned char fill;
    };
    std::vector<Live> live;
    const auto intact = [](const Live& one) {
        const auto* bytes = bytes_of(one.block);
        return std::all_of(bytes, bytes + one.bytes,
                           [&](std::byte b) { return b == static_cast<std::byte>(one.fill); });
    };
    for (int i = 0; i < 20'000; ++i) {
        if (live.size() < 300 || random.chance(1, 2)) {
            const std::size_t bytes = 1 + random.below(random.chance(1, 50) ? 200'000 : 2000);
            const auto fill = static_cast<unsigned char>(random.below(256));
            live.push_back({must_allocate(arena, bytes), bytes, fill});
            std::memset(bytes_of(live.back().block), fill, bytes);
        } else {
            auto& victim = live[random.below(live.size())];
            ASSERT_TRUE(intact(victim));
            arena.release(victim.block);
            victim = live.back();
            live.pop_back();
        }
    }
    for (const auto& one : live) EXPECT_TRUE(intact(one));
    for (const auto& one : live) arena.release(one.block);
    EXPECT_EQ(arena.usage().used_bytes, 0u);
}

TEST(Arena, what_one_thread_releases_another_reuses) {
    Arena arena({.kind = Kind::private_memory, .chunk_bytes = 64u << 10, .huge_pages = false});
    std::atomic<ObjectHeader*> slots[64] = {};
    std::atomic<bool> done{false};
    std::thread consumer([&] {
        const auto drain = [&] {
            for (auto& slot : slots)
                if (ObjectHeader* block = slot.exchange(nullptr)) arena.release(block);
        };
        while (!done.load()) {
            drain();
            std::this_thread::yield();
        }
        drain();
    });
    for (int i = 0; i < 50'000; ++i) {
        ObjectHeader* expected = nullptr;
        ObjectHeader* block = must_allocate(arena, 40);
        while (!slots[i % 64].compare_exchange_weak(expected, block)) {
            expected = nullptr;
            std::this_thread::yield();
        }
    }
    done = true;
    consumer.join();
    EXPECT_EQ(arena.usage().used_bytes, 0u);
    // 50,000 blocks of 80 bytes, 4 MB, went through; only the magazines' share stays.
    EXPECT_LE(arena.usage().reserved_bytes, 1u << 20);
}

TEST(Arena, many_threads_get_blocks_of_their_own) {
    Arena arena({.kind = Kind::private_memory, .chunk_bytes = 64u << 10, .huge_pages = false,
                 .shards = 2});
    std::vector<std::thread> threads;
    std::atomic<int> torn{0};
    for (std::uint64_t t = 1; t <= 4; ++t)
        threads.emplace_back([&, t] {
            Random random(t);
            std::vector<ObjectHeader*> mine;
            for (int i = 0; i < 20'000; ++i) {
                if (mine.size() < 50 || random.chance(1, 2)) {
                    mine.push_back(must_allocate(arena, 8 + random.below(200)));
                    mine.back()->version = t;
                } else {
                    const std::size_t at = random.below(mine.size());
                    torn += mine[at]->version != t;
                    arena.release(mine[at]);
                    mine[at] = mine.back();
                    mine.pop_back();
                }
            }
            for (auto* block : mine) arena.release(block);
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(torn, 0);
    EXPECT_EQ(arena.usage().used_bytes, 0u);
}

TEST(Arena, peers_read_shared_blocks_at_their_offset) {
    Arena arena(small_arena(Kind::shared_memory));
    ASSERT_GE(arena.memory_fd(), 0);
    std::vector<ObjectHeader*> blocks;
    // Enough for several regions, with sizes that do not divide them.
    for (std::uint64_t i = 0; i < 60; ++i) {
        blocks.push_back(must_allocate(arena, 150'000 + i * 1000));
        blocks.back()->version = 100 + i;
        std::memcpy(bytes_of(blocks.back()), &i, sizeof(i));
    }
    const auto length = static_cast<std::size_t>(lseek(arena.memory_fd(), 0, SEEK_END));
    void* view = mmap(nullptr, length, PROT_READ, MAP_SHARED, arena.memory_fd(), 0);
    ASSERT_NE(view, MAP_FAILED);
    for (std::uint64_t i = 0; i < blocks.size(); ++i) {
        const std::uint64_t offset = arena.offset_of(blocks[i]);
        ASSERT_LE(offset + sizeof(ObjectHeader) + blocks[i]->capacity, length);
        const auto* seen =
            reinterpret_cast<const ObjectHeader*>(static_cast<const std::byte*>(view) + offset);
        EXPECT_EQ(seen->version, 100 + i);
        EXPECT_EQ(std::memcmp(bytes_of(seen), &i, sizeof(i)), 0);
    }
    munmap(view, length);
}

TEST(Arena, private_memory_has_no_descriptor) {
    Arena arena(small_arena());
    EXPECT_EQ(arena.memory_fd(), -1);
    EXPECT_LT(arena.offset_of(must_allocate(arena, 8)), 64u << 10);
}

TEST(ArenaDeathTest, misuse_says_what_to_do) {
    Arena arena(small_arena());
    ObjectHeader foreign;
    EXPECT_DEATH((void)arena.offset_of(&foreign), "a block of this very arena");
    ObjectHeader* block = must_allocate(arena, 8);
    block->references = 1;
    EXPECT_DEATH(arena.release(block), "no send reads it");
}

TEST_P(ArenaOfKind, touches_memory_ahead_once_and_still_hands_it_out_zeroed_headers) {
    Arena arena({.kind = GetParam(), .chunk_bytes = 1u << 20, .huge_pages = false, .shards = 1});
    const std::size_t before = resident_bytes();
    arena.touch_ahead(8u << 20);
    const std::size_t warm = resident_bytes();
    EXPECT_TRUE(sanitized || warm >= before + (7u << 20));
    arena.touch_ahead(8u << 20);
    EXPECT_LE(resident_bytes() - warm, 1u << 20);
    EXPECT_EQ(arena.usage().used_bytes, 0u);
    EXPECT_GE(arena.usage().reserved_bytes, 8u << 20);
    for (int i = 0; i < 50; ++i) {
        ObjectHeader* block = must_allocate(arena, 100'000);
        std::memset(bytes_of(block), 1, 100'000);
    }
    EXPECT_LE(resident_bytes() - warm, 1u << 20) << "it was touched before";
}

// Pages are taken away behind the arena's back: only memory not yet touched may come back.
TEST(Arena, does_not_touch_again_what_it_touched) {
    Arena arena(small_arena(Kind::shared_memory));
    const auto pages = [&] {
        struct stat status{};
        fstat(arena.memory_fd(), &status);
        return status.st_blocks * 512 / getpagesize();
    };
    arena.touch_ahead(1u << 20);
    ASSERT_GE(pages(), 256);
    ASSERT_EQ(fallocate(arena.memory_fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 2 << 20),
              0);
    ASSERT_EQ(pages(), 0);
    arena.touch_ahead(1u << 20);
    EXPECT_EQ(pages(), 0);
    arena.touch_ahead((1u << 20) + (64u << 10));
    EXPECT_GE(pages(), 16);
    EXPECT_LE(pages(), 18) << "the arena also writes its directory, on the first page";
}

TEST(Arena, thousands_of_idle_arenas_are_cheap) {
    constexpr std::size_t count = sanitized ? 100 : 10'000;
    const std::size_t before = resident_bytes();
    std::vector<std::unique_ptr<Arena>> arenas;
    for (std::size_t i = 0; i < count; ++i) {
        arenas.push_back(std::make_unique<Arena>(small_arena()));
        for (std::size_t bytes : {8u, 64u, 1000u, 4096u}) must_allocate(*arenas.back(), bytes);
    }
    EXPECT_LT((resident_bytes() - before) / count, 128u << 10);
}

TEST(Arena, shows_each_place_in_one_piece_which_may_grow) {
    for (const Kind kind : {Kind::private_memory, Kind::shared_memory}) {
        Arena arena(small_arena(kind));
        constexpr std::size_t piece_bytes = 256u << 10;
        std::map<const std::byte*, std::size_t> pieces;
        for (int i = 0; i < 300; ++i) {
            const ObjectHeader* block = must_allocate(arena, 30'000);
            const auto first = reinterpret_cast<std::uintptr_t>(block);
            for (const std::uintptr_t place : {first, first + 30'000}) {
                const auto piece = arena.piece_at(place, piece_bytes);
                ASSERT_FALSE(piece.empty());
                const auto begin = reinterpret_cast<std::uintptr_t>(piece.data());
                ASSERT_LT(place - begin, piece.size());
                ASSERT_LE(piece.size(), piece_bytes);
                EXPECT_GE(piece.size(), pieces[piece.data()]) << "a piece never shrinks";
                pieces[piece.data()] = piece.size();
                // All of it is there: this would be a SIGBUS.
                [[maybe_unused]] const volatile std::byte last = piece.back();
                EXPECT_EQ(arena.piece_at(begin + piece.size() - 1, piece_bytes).data(),
                          piece.data());
            }
        }
        EXPECT_GT(pieces.size(), 20u);
        EXPECT_TRUE(arena.piece_at(0, piece_bytes).empty());
        EXPECT_TRUE(arena.piece_at(reinterpret_cast<std::uintptr_t>(&arena), piece_bytes).empty());
    }
}

}  // namespace
}  // namespace ssi::sys
