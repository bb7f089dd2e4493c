// SPDX-License-Identifier: BSD-3-Clause
// File data on nodes of one process: against a byte array, over restarts, with disks that fail.
#include "fs_pages.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <thread>

#include "pages_session.hpp"
#include "pages_state.hpp"
#include "ssi/base/random.hpp"

namespace ssi::fs {
namespace {

constexpr InodeId inode = make_inode(SlotId(3), 7);
constexpr Layout striped{.start = 3, .unit_shift = 1, .count = 4};
constexpr std::uint64_t page = page_bytes;

// What the model says of one file.
struct Model {
    std::vector<std::byte> bytes;
    std::vector<std::byte> part(std::uint64_t offset, std::size_t length) const {
        std::vector<std::byte> out(length);
        for (std::size_t i = 0; i < length && offset + i < bytes.size(); ++i)
            out[i] = bytes[offset + i];
        return out;
    }
    void put(std::uint64_t offset, std::span<const std::byte> what) {
        if (bytes.size() < offset + what.size()) bytes.resize(offset + what.size());
        std::ranges::copy(what, bytes.begin() + static_cast<std::ptrdiff_t>(offset));
    }
    void zero(std::uint64_t offset, std::uint64_t length) {
        for (std::uint64_t i = offset; i < std::min<std::uint64_t>(offset + length, bytes.size());
             ++i)
            bytes[i] = std::byte{0};
    }
};

constexpr std::size_t same = SIZE_MAX;
std::size_t first_difference(const std::vector<std::byte>& a, const std::vector<std::byte>& b) {
    if (a.size() != b.size()) return std::min(a.size(), b.size());
    const auto at = std::ranges::mismatch(a, b).in1;
    return at == a.end() ? same : static_cast<std::size_t>(at - a.begin());
}

// Lengths as they come: some bytes, about a page, several pages, aligned or not.
std::size_t random_length(Random& random) {
    switch (random.below(5)) {
        case 0: return 1 + random.below(100);
        case 1: return 1 + random.below(2 * page);
        case 2: return page;
        case 3: return page * (1 + random.below(5));
        default: return 47008;
    }
}
std::uint64_t random_offset(Random& random, std::uint64_t most) {
    const std::uint64_t offset = random.below(most);
    return random.below(3) == 0 ? offset / page * page : offset;
}

void random_work(PagesSession& session, Model& model, Random& random, int operations,
                 std::uint64_t most) {
    std::vector<Stream> streams(session.size());
    for (int n = 0; n < operations; ++n) {
        const std::size_t node = random.below(session.size());
        const std::uint64_t offset =
            random.below(4) == 0 ? streams[node].next_write : random_offset(random, most);
        const std::size_t length = random_length(random);
        switch (random.below(10)) {
            case 0: {
                const std::uint64_t width = random.below(2) ? length : random.below(most);
                ASSERT_FINE(session[node].zero(inode, striped, offset, width));
                model.zero(offset, width);
                break;
            }
            case 1: ASSERT_FINE(session[node].sync(inode, striped)); break;
            case 2:
                if (random.below(8) == 0) {
                    ASSERT_FINE(session[node].drop_caches());
                }
                break;
            case 3:
            case 4:
            case 5:
            case 6: {
                const auto bytes = pattern(length, random.next());
                ASSERT_FINE(session[node].write(inode, striped, offset, bytes,
                                                random.below(2) ? &streams[node] : nullptr));
                model.put(offset, bytes);
                break;
            }
            default:
                ASSERT_EQ(first_difference(
                              session.read(node, inode, striped, offset, length, &streams[node]),
                              model.part(offset, length)),
                          same)
                    << "operation " << n << " node " << node << " offset " << offset << " length "
                    << length;
        }
    }
    for (std::size_t i = 0; i < session.size(); ++i)
        ASSERT_EQ(first_difference(session.read(i, inode, striped, 0, model.bytes.size()),
                                   model.bytes),
                  same);
}

struct Shape {
    std::vector<Directories> sessions;
    std::uint64_t cache_bytes = 0;
};

class PagesModel : public testing::TestWithParam<Shape> {};

#if defined(__SANITIZE_THREAD__)
constexpr std::uint64_t last_seed = 1;
#else
constexpr std::uint64_t last_seed = 3;
#endif

TEST_P(PagesModel, are_one_byte_array_on_all_nodes_and_over_restarts) {
    const Shape& shape = GetParam();
    for (std::uint64_t seed = 1; seed <= last_seed; ++seed) {
        SCOPED_TRACE(seed);
        Random random(seed);
        PagesShelf shelf;
        Model model;
        for (const Directories& directories : shape.sessions) {
            PagesSession session(shelf, directories,
                                 {.cache_bytes = shape.cache_bytes, .write_back_ms = 50});
            if (!model.bytes.empty()) {
                ASSERT_EQ(first_difference(
                              session.read(0, inode, striped, 0, model.bytes.size()), model.bytes),
                          same);
            }
            ASSERT_NO_FATAL_FAILURE(random_work(session, model, random, 250, 4u << 20));
            session.sync_all();
        }
    }
}

const Directories one{{"a", "b"}};
const Directories two{{"a"}, {"b"}};
const Directories three{{}, {"b", "a"}, {}};
INSTANTIATE_TEST_SUITE_P(Shapes, PagesModel,
                         testing::Values(Shape{{one, one}}, Shape{{two, one, three}},
                                         Shape{{three, two}, 1u << 20},
                                         Shape{{two, three, one}, 1u << 20}));

// A file of one volume.
constexpr Layout plain{.start = 0, .unit_shift = 0, .count = 1};

TEST(PagesFaults, a_disk_that_fails_is_told_at_each_sync_until_the_data_is_there) {
    PagesShelf shelf;
    const auto bytes = pattern(5 * page + 99, 1);
    {
        PagesSession session(shelf, {{}, {"a"}});
        session.cluster.expect_errors = true;
        ASSERT_FINE(session[0].write(inode, plain, 0, bytes));
        shelf.faulty["a"]->set_plan({.fail_at = 1, .fail_after = true, .sys_errno = EIO});
        for (int i = 0; i < 2; ++i) {
            const auto synced = session[0].sync(inode, plain);
            ASSERT_FALSE(synced);
            EXPECT_EQ(synced.error().code, Errc::io);
            EXPECT_EQ(synced.error().sys_errno, EIO) << synced.error().to_string();
        }
        // Nothing is lost as long as there is memory for it.
        EXPECT_EQ(session.read(1, inode, plain, 0, bytes.size()), bytes);
    }
}

TEST(PagesFaults, a_disk_that_has_no_room_for_a_moment_loses_nothing) {
    PagesShelf shelf;
    const auto bytes = pattern(40 * page, 2);
    {
        PagesSession session(shelf, {{"a"}});
        session.cluster.expect_errors = true;
        ASSERT_FINE(session[0].write(inode, plain, 0, bytes));
        shelf.faulty["a"]->set_plan({.fail_at = 1, .fail_after = true, .sys_errno = ENOSPC});
        const auto synced = session[0].sync(inode, plain);
        ASSERT_FALSE(synced);
        EXPECT_EQ(synced.error().sys_errno, ENOSPC) << synced.error().to_string();
        EXPECT_EQ(session.read(0, inode, plain, 0, bytes.size()), bytes);
    }
}

// Flips a bit in each place of the file that has these bytes.
int flip(io::Disk& disk, const std::string& directory, std::span<const std::byte> wanted) {
    int flipped = 0;
    for (const std::string& name : value_or_throw(disk.list(directory))) {
        auto file = value_or_throw(disk.open(directory + "/" + name, io::OpenMode::write));
        io::Pages content(value_or_throw(file->size()) / io::block_bytes);
        (void)io::read(disk, *file, content.span(), 0);
        const auto at = std::ranges::search(content.span(), wanted);
        if (at.empty()) continue;
        at.front() ^= std::byte{4};
        EXPECT_FINE(io::write(disk, *file, content.span(), 0, true));
        ++flipped;
    }
    return flipped;
}

TEST(PagesFaults, a_bit_that_flipped_on_the_disk_is_an_error_that_names_the_page) {
    PagesShelf shelf;
    const auto bytes = pattern(8 * page, 3);
    {
        PagesSession session(shelf, {{"a"}});
        ASSERT_FINE(session[0].write(inode, plain, 0, bytes));
        ASSERT_FINE(session[0].sync(inode, plain));
    }
    ASSERT_EQ(flip(*shelf.disks["a"], "data",
                   std::span(bytes).subspan(5 * page + 1000, 64)), 1);
    for (const bool away : {false, true}) {
        PagesSession session(shelf, away ? Directories{{}, {"a"}} : Directories{{"a"}});
        session.cluster.expect_errors = true;
        std::vector<std::byte> out(bytes.size());
        const auto read = session[0].read(inode, plain, 0, out);
        ASSERT_FALSE(read);
        EXPECT_EQ(read.error().code, Errc::io);
        EXPECT_EQ(read.error().sys_errno, EIO);
        // The line in the log, once on the node that found it.
        const std::string name = fmt::format("object {}:{}", inode.value,
                                             page_id(inode, plain, 5).lo);
        EXPECT_TRUE(session.cluster.nodes().log().contains(name)) << name;
        // The others are there.
        EXPECT_EQ(session.read(0, inode, plain, 0, 5 * page),
                  std::vector(bytes.begin(), bytes.begin() + 5 * page));
        EXPECT_EQ(session.read(0, inode, plain, 6 * page, 2 * page),
                  std::vector(bytes.begin() + 6 * page, bytes.end()));
    }
}

TEST(Pages, of_many_files_become_durable_with_few_waits_for_the_disk) {
    PagesShelf shelf;
    std::map<std::string, std::unique_ptr<io::MemoryDisk>> cut;
    constexpr std::uint64_t files = 300;
    const auto file = [](std::uint64_t i) { return InodeId(1000 + i); };
    {
        PagesSession session(shelf, {{"a"}, {"b"}}, {.cache_bytes = 0, .write_back_ms = 3'600'000});
        for (std::uint64_t i = 0; i < files; ++i)
            ASSERT_FINE(session[i % 2].write(file(i), striped, 0, pattern(100, i)));
        const auto writes = [&] {
            return session.volumes[0]->log(0, io::KeptIn::data)->statistics().log.writes +
                   session.volumes[1]->log(1, io::KeptIn::data)->statistics().log.writes;
        };
        const std::uint64_t before = writes();
        session.sync_all();
        EXPECT_LE(writes() - before, 20u);
        cut = shelf.after_power_cut(1);
    }
    shelf.disks = std::move(cut);
    PagesSession session(shelf, {{"a", "b"}});
    for (std::uint64_t i = 0; i < files; ++i)
        ASSERT_EQ(session.read(0, file(i), striped, 0, 100), pattern(100, i)) << i;
}

TEST(PagesFaults, a_full_volume_refuses_before_it_accepts_and_takes_again_what_was_given_back) {
    PagesShelf shelf;
    shelf.segment_bytes = 128 << 10;   // of data: 1 MiB
    shelf.limit_bytes = 24u << 20;
    for (const Directories& directories : {Directories{{"a"}}, Directories{{}, {"b"}}}) {
        PagesSession session(shelf, directories, {.cache_bytes = 0, .write_back_ms = 100});
        Model model;
        std::uint64_t refused_at = 0;
        // Twice: what was removed is room again, also for the log.
        for (int round = 0; round < 3; ++round) {
            const auto bytes = pattern(16 * page, static_cast<std::uint64_t>(round));
            std::uint64_t offset = 0;
            for (;; offset += bytes.size()) {
                ASSERT_LT(offset, 2 * shelf.limit_bytes) << "it never refuses";
                const auto done = session[0].write(inode, plain, offset, bytes);
                if (!done) {
                    EXPECT_EQ(done.error().code, Errc::io);
                    EXPECT_EQ(done.error().sys_errno, ENOSPC) << done.error().to_string();
                    break;
                }
                model.put(offset, bytes);
            }
            EXPECT_GE(offset, shelf.limit_bytes / 2);
            if (round > 0) {
                EXPECT_GE(offset + 4 * bytes.size(), refused_at);
            }
            refused_at = offset;
            // What was accepted is there, and finds its room.
            ASSERT_FINE(session[0].sync(inode, plain));
            ASSERT_FINE(session[0].drop_caches());
            ASSERT_EQ(first_difference(session.read(session.size() - 1, inode, plain, 0,
                                                    model.bytes.size()), model.bytes), same);
            // Overwriting goes on as long as write-back keeps up.
            for (int i = 0; i < 40; ++i) {
                const auto again = pattern(page, 77);
                ASSERT_FINE(session[0].write(inode, plain, static_cast<unsigned>(i) * page, again));
                model.put(static_cast<unsigned>(i) * page, again);
                if (i % 8 == 7) {
                    ASSERT_FINE(session[0].sync(inode, plain));
                }
            }
            ASSERT_FINE(session[0].erase(inode, plain, model.bytes.size()));
            model.bytes.clear();
            EXPECT_EQ(session.read(0, inode, plain, 0, page), std::vector<std::byte>(page));
        }
    }
}

TEST(PagesFaults, a_power_cut_leaves_what_was_synced_and_no_page_in_part) {
    for (std::uint64_t seed = 1; seed <= 2 * last_seed + 2; ++seed) {
        PagesShelf shelf;
        const auto before = pattern(12 * page, 2 * seed), after = pattern(12 * page, 2 * seed + 1);
        std::map<std::string, std::unique_ptr<io::MemoryDisk>> cut;
        {
            PagesSession session(shelf, {{"a"}, {"b"}, {}});
            ASSERT_FINE(session[2].write(inode, striped, 0, before));
            ASSERT_FINE(session[2].sync(inode, striped));
            // By several nodes; some of it is synced, the rest on its way.
            for (std::uint64_t i = 0; i < 12; ++i)
                ASSERT_FINE(session[i % 3].write(inode, striped, i * page,
                                                 std::span(after).subspan(i * page, page)));
            ASSERT_FINE(session[seed % 3].sync(inode, striped));
            std::vector<ObjectId> ids;
            for (std::uint64_t i = 0; i < 12; ++i)
                if (session[0].set().home(page_id(inode, striped, i)) == NodeId(0))
                    ids.push_back(page_id(inode, striped, i));
            ASSERT_FINE(session[0].set().write_back(ids));
            cut = shelf.after_power_cut(seed * 100);
        }
        shelf.disks = std::move(cut);
        PagesSession session(shelf, {{"a", "b"}});
        const auto found = session.read(0, inode, striped, 0, 12 * page);
        for (std::uint64_t i = 0; i < 12; ++i) {
            const auto is = [&](const std::vector<std::byte>& version) {
                return std::ranges::equal(std::span(found).subspan(i * page, page),
                                          std::span(version).subspan(i * page, page));
            };
            EXPECT_TRUE(is(after) || (i % 3 != seed % 3 && is(before)))
                << "seed " << seed << " page " << i;
        }
    }
}

TEST(Pages, know_what_is_there_and_where) {
    PagesShelf shelf;
    PagesSession session(shelf, {{"a"}, {"b"}});
    const std::uint64_t far = (std::uint64_t{1} << 50) + 5 * page;
    const auto bytes = pattern(3 * page, 9);
    ASSERT_FINE(session[0].write(inode, striped, 10 * page, bytes));
    ASSERT_FINE(session[1].write(inode, striped, far, std::span(bytes).first(100)));
    // Reading a hole leaves nothing behind.
    EXPECT_EQ(session.read(0, inode, striped, 0, 2 * page), std::vector<std::byte>(2 * page));
    const std::uint64_t size = far + 100;
    const auto seek = [&](std::uint64_t offset, bool data) {
        auto found = session[1].seek(inode, striped, offset, size, data);
        EXPECT_FINE(found);
        return found ? *found : 0;
    };
    for (const bool synced : {false, true}) {
        if (synced) {
            session.sync_all();
            for (std::size_t i = 0; i < session.size(); ++i) ASSERT_FINE(session[i].drop_caches());
        }
        EXPECT_EQ(seek(0, true), 10 * page);
        EXPECT_EQ(seek(0, false), 0u);
        EXPECT_EQ(seek(10 * page + 5, true), 10 * page + 5);
        EXPECT_EQ(seek(10 * page + 5, false), 13 * page);
        EXPECT_EQ(seek(13 * page, true), far);
        EXPECT_EQ(seek(far, false), size);
        auto extents = session[0].extents(inode, striped, size);
        ASSERT_FINE(extents);
        std::uint64_t covered = 0;
        for (const Extent& extent : *extents) {
            covered += extent.length;
            EXPECT_EQ(extent.node, session.volumes[0]->node_of(extent.volume));
            EXPECT_EQ(extent.in_memory && synced, false);
        }
        EXPECT_EQ(covered, 3 * page + 100);
    }
    ASSERT_FINE(session[0].zero(inode, striped, 0, UINT64_MAX));
    EXPECT_EQ(seek(0, true), size);
    EXPECT_EQ(session.read(1, inode, striped, far, 100), std::vector<std::byte>(100));
}

TEST(Pages, of_an_inode_go_when_each_home_removes_its_own) {
    PagesShelf shelf;
    const auto bytes = pattern(6 * page, 4);
    constexpr InodeId stays = make_inode(SlotId(9), 1);
    {
        PagesSession session(shelf, {{"a"}, {"b"}});
        ASSERT_FINE(session[0].write(inode, striped, 0, bytes));
        ASSERT_FINE(session[0].write(stays, striped, 0, bytes));
        session.sync_all();
    }
    {
        PagesSession session(shelf, {{"a"}, {"b"}});
        for (std::size_t i = 0; i < 2; ++i) {
            EXPECT_EQ(session[i].inodes_with_pages(), (std::vector{inode, stays}));
            ASSERT_FINE(session[i].remove_mine(inode));
        }
        session.sync_all();
    }
    PagesSession session(shelf, {{"a"}, {"b"}});
    for (std::size_t i = 0; i < 2; ++i)
        EXPECT_EQ(session[i].inodes_with_pages(), (std::vector{stays}));
    EXPECT_EQ(session.read(0, stays, striped, 0, bytes.size()), bytes);
    EXPECT_EQ(session.read(1, inode, striped, 0, bytes.size()),
              std::vector<std::byte>(bytes.size()));
}

}  // namespace
}  // namespace ssi::fs
