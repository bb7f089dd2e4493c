// SPDX-License-Identifier: BSD-3-Clause
// What happens when there is no more memory: each limit is met for real and named.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>

#include <string>
#include <vector>

#include "child.hpp"
#include "ssi/sys/arena.hpp"

namespace ssi::sys {
namespace {

using testing::HasSubstr;
using Kind = Arena::Kind;

void lower(decltype(RLIMIT_AS) which, rlim_t value) {
    rlimit limit{};
    getrlimit(which, &limit);
    limit.rlim_cur = value;
    setrlimit(which, &limit);
}

// "" when allocating until it fails ends in out_of_memory with the wanted text.
std::string exhaust(Arena& arena, std::size_t bytes, const std::string& wanted) {
    for (int i = 0; i < 30'000; ++i) {
        auto block = arena.allocate(bytes);
        if (block) continue;
        if (block.error().code != Errc::out_of_memory) return block.error().to_string();
        const std::string text = block.error().text;
        return text.find(wanted) == std::string::npos ? text : "";
    }
    return "never refused";
}

TEST(ArenaLimit, is_kept_to_the_block_and_named) {
    Arena arena({.chunk_bytes = 64u << 10, .limit_bytes = 1u << 20, .huge_pages = false});
    EXPECT_EQ(exhaust(arena, 8, "raise arena.limit_bytes"), "");
    EXPECT_LE(arena.usage().reserved_bytes, 1u << 20);
    // All of it was handed out but what less than a block and the start of the region leave.
    EXPECT_GE(arena.usage().used_bytes, (1u << 20) - 64);
}

// Shards go by cores: what one core released another must find.
TEST(ArenaLimit, released_memory_of_any_shard_is_found_before_giving_up) {
    cpu_set_t allowed;
    ASSERT_EQ(sched_getaffinity(0, sizeof(allowed), &allowed), 0);
    std::vector<int> cores;
    for (int core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &allowed)) cores.push_back(core);
    if (cores.size() < 2) GTEST_SKIP() << "needs two cores";
    const auto move_to = [](int core) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        ASSERT_EQ(sched_setaffinity(0, sizeof(one), &one), 0);
    };
    Arena arena({.chunk_bytes = 64u << 10, .limit_bytes = 256u << 10, .huge_pages = false,
                 .shards = static_cast<unsigned>(cores.back()) + 1});
    std::vector<ObjectHeader*> blocks;
    while (auto block = arena.allocate(1000)) blocks.push_back(*block);
    const std::size_t most = blocks.size();
    ASSERT_GT(most, 200u);
    for (int round = 0; round < 6; ++round) {
        move_to(cores[static_cast<std::size_t>(round) % 2]);
        for (auto* block : blocks) arena.release(block);
        blocks.clear();
        move_to(cores[static_cast<std::size_t>(round + 1) % 2]);
        while (auto block = arena.allocate(1000)) blocks.push_back(*block);
        EXPECT_EQ(blocks.size(), most);
    }
    sched_setaffinity(0, sizeof(allowed), &allowed);
}

TEST(ArenaLimit, a_refused_large_block_leaves_room_for_small_ones) {
    Arena arena({.chunk_bytes = 64u << 10, .limit_bytes = 1u << 20, .huge_pages = false});
    const auto large = arena.allocate(2u << 20);
    ASSERT_FALSE(large);
    EXPECT_EQ(large.error().code, Errc::out_of_memory);
    EXPECT_TRUE(arena.allocate(8));
}

TEST(ArenaLimit, objects_above_64_mib_are_too_large) {
    Arena arena({.huge_pages = false});
    EXPECT_TRUE(arena.allocate(Arena::max_object_bytes));
    for (std::size_t bytes : {Arena::max_object_bytes + 1, SIZE_MAX}) {
        const auto refused = arena.allocate(bytes);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::too_large);
        EXPECT_THAT(refused.error().text, HasSubstr("the limit is 67108864"));
    }
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST(ArenaLimit, address_space_is_named) {
    in_child([] {
        lower(RLIMIT_AS, 1u << 30);
        Arena arena({.huge_pages = false});
        return exhaust(arena, 32u << 20, "RLIMIT_AS (ulimit -v) is 1024 MiB");
    });
}

TEST(ArenaLimit, small_address_space_is_used_up_before_giving_up) {
    in_child([]() -> std::string {
        lower(RLIMIT_AS, 512u << 20);
        Arena arena({.huge_pages = false});
        std::size_t got = 0;
        while (arena.allocate(1u << 20)) got += 1u << 20;
        return got > (350u << 20) ? "" : "only " + std::to_string(got);
    });
}
#endif

TEST(ArenaLimit, file_size_limit_of_shared_memory_is_named_and_does_not_kill) {
    in_child([] {
        lower(RLIMIT_FSIZE, 5u << 20);
        Arena arena({.kind = Kind::shared_memory});
        return exhaust(arena, 1000, "RLIMIT_FSIZE (ulimit -f) is 5 MiB");
    });
}

TEST(ArenaLimit, missing_shared_memory_is_named_with_its_errno) {
    in_child([]() -> std::string {
        lower(RLIMIT_NOFILE, 3);
        Arena arena({.kind = Kind::shared_memory});
        const auto block = arena.allocate(8);
        if (block) return "allocated";
        const std::string text = block.error().to_string();
        return text.find("memfd_create failed") != std::string::npos &&
                       text.find("EMFILE") != std::string::npos
                   ? ""
                   : text;
    });
}

std::vector<MemoryLimit> job_with_48_mib_left() {
    return {{"memory of the machine", 1u << 30, 0},
            {"memory.max of cgroup /job/7", 100u << 20, 52u << 20}};
}

// Passing such a limit would get the process killed, so it must be seen before.
TEST(ArenaLimit, of_a_control_group_is_seen_before_it_is_passed) {
    Arena arena({.huge_pages = false, .memory_limits = job_with_48_mib_left});
    EXPECT_TRUE(arena.allocate(30u << 20));
    EXPECT_EQ(exhaust(arena, 33u << 20,
                      "memory.max of cgroup /job/7: 48 MiB of 100 MiB left, the arena needs "), "");
    EXPECT_TRUE(arena.allocate(8)) << "small growth is still possible";
}

}  // namespace
}  // namespace ssi::sys
