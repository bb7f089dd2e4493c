// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/sys/arena_view.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "ssi/sys/arena.hpp"

namespace ssi::sys {
namespace {

Arena::Options shared_arena() {
    return {.kind = Arena::Kind::shared_memory, .chunk_bytes = 64u << 10, .huge_pages = false,
            .shards = 1};
}

// As another process would come by it: read-only.
int reopened(int fd) {
    return ::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_CLOEXEC);
}

std::unique_ptr<ArenaView> view_of(const Arena& arena) {
    auto view = ArenaView::open(reopened(arena.memory_fd()));
    if (!view) throw std::runtime_error(view.error().to_string());
    return std::move(*view);
}

std::uint64_t address(const void* place) { return reinterpret_cast<std::uintptr_t>(place); }

ObjectHeader* block_with(Arena& arena, std::size_t bytes, int fill) {
    auto block = arena.allocate(bytes);
    if (!block) throw std::runtime_error(block.error().to_string());
    (*block)->length = static_cast<std::uint32_t>(bytes);
    std::memset(bytes_of(*block), fill, bytes);
    return *block;
}

TEST(ArenaView, follows_the_owners_pointers_to_headers_and_bytes) {
    Arena arena(shared_arena());
    ObjectHeader* block = block_with(arena, 1000, 42);
    const auto view = view_of(arena);
    const std::byte* here = view->at(address(block), sizeof(ObjectHeader) + 1000);
    ASSERT_NE(here, nullptr);
    EXPECT_NE(here, reinterpret_cast<const std::byte*>(block)) << "it is another mapping";
    EXPECT_EQ(reinterpret_cast<const ObjectHeader*>(here)->length, 1000u);
    EXPECT_EQ(std::memcmp(here + sizeof(ObjectHeader), bytes_of(block), 1000), 0);
    std::memset(bytes_of(block), 43, 1000);
    EXPECT_EQ(here[sizeof(ObjectHeader) + 999], std::byte{43}) << "it is the same memory";
}

TEST(ArenaView, sees_what_the_arena_grows_by_over_regions_of_any_number) {
    Arena arena(shared_arena());
    block_with(arena, 8, 1);
    const auto view = view_of(arena);
    // Regions begin with 2 MiB here and double.
    std::vector<ObjectHeader*> blocks;
    for (int i = 0; i < 40; ++i) blocks.push_back(block_with(arena, 1u << 20, i));
    for (int i = 0; i < 40; ++i) {
        const std::byte* here = view->at(address(blocks[i]), sizeof(ObjectHeader) + (1u << 20));
        ASSERT_NE(here, nullptr) << i;
        EXPECT_EQ(here[sizeof(ObjectHeader) + (1u << 19)], static_cast<std::byte>(i));
    }
}

TEST(ArenaView, leads_nowhere_from_an_address_that_is_not_the_arenas) {
    Arena arena(shared_arena());
    ObjectHeader* block = block_with(arena, 8, 1);
    const auto view = view_of(arena);
    int elsewhere = 0;
    EXPECT_EQ(view->at(address(&elsewhere), 4), nullptr);
    EXPECT_EQ(view->at(0, 1), nullptr);
    EXPECT_EQ(view->at(~std::uint64_t{0}, 1), nullptr);
    EXPECT_EQ(view->at(~std::uint64_t{0}, SIZE_MAX), nullptr);
    EXPECT_EQ(view->at(address(block), SIZE_MAX), nullptr);
    EXPECT_EQ(view->at(address(block), std::size_t{1} << 40), nullptr);
    // Within the region, but beyond what the file has grown to.
    EXPECT_EQ(view->at(address(block) + (1u << 20), 8), nullptr);
    EXPECT_NE(view->at(address(block), 48), nullptr);
}

TEST(ArenaView, refuses_what_is_no_arena_or_may_shrink_under_its_readers) {
    const auto refused = [](int fd) {
        auto view = ArenaView::open(fd);
        return !view && view.error().code == Errc::invalid_argument;
    };
    EXPECT_TRUE(refused(::open("/dev/null", O_RDONLY)));
    EXPECT_TRUE(refused(-1));
    const int plain = ::memfd_create("plain", MFD_CLOEXEC);
    ASSERT_EQ(::ftruncate(plain, 1 << 20), 0);
    EXPECT_TRUE(refused(plain)) << "it may shrink";
    const int sealed = ::memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    ASSERT_EQ(::fcntl(sealed, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    EXPECT_TRUE(refused(::dup(sealed))) << "it is empty";
    ASSERT_EQ(::ftruncate(sealed, 1 << 20), 0);
    EXPECT_TRUE(refused(sealed)) << "it has no directory";
    Arena empty(shared_arena());
    EXPECT_TRUE(refused(reopened(empty.memory_fd()))) << "nothing is in it yet";
}

TEST(ArenaView, an_arena_cannot_be_shrunk) {
    Arena arena(shared_arena());
    block_with(arena, 8, 1);
    EXPECT_NE(::ftruncate(arena.memory_fd(), 0), 0);
}

TEST(ArenaView, stays_readable_when_the_owner_is_killed) {
    int channel[2];
    ASSERT_EQ(::pipe(channel), 0);
    const pid_t child = ::fork();
    if (child == 0) {
        Arena arena(shared_arena());
        ObjectHeader* block = block_with(arena, 5000, 7);
        const std::uint64_t told[] = {static_cast<std::uint64_t>(arena.memory_fd()),
                                      address(block)};
        if (::write(channel[1], told, sizeof told) != sizeof told) ::_exit(1);
        for (;;) ::pause();
    }
    std::uint64_t told[2];
    ASSERT_EQ(::read(channel[0], told, sizeof told), static_cast<ssize_t>(sizeof told));
    const std::string path = "/proc/" + std::to_string(child) + "/fd/" + std::to_string(told[0]);
    auto view = ArenaView::open(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    ::close(channel[0]);
    ::close(channel[1]);
    ASSERT_TRUE(view.has_value()) << view.error().to_string();
    const std::byte* here = (*view)->at(told[1], sizeof(ObjectHeader) + 5000);
    ASSERT_NE(here, nullptr);
    for (std::size_t i = 0; i < 5000; ++i) ASSERT_EQ(here[sizeof(ObjectHeader) + i], std::byte{7});
    EXPECT_EQ((*view)->at(told[1] + (1u << 20), 8), nullptr);
}

}  // namespace
}  // namespace ssi::sys
