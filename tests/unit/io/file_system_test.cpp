// SPDX-License-Identifier: BSD-3-Clause
// kDFS on nodes of one process: names and bytes from everywhere, what stays for the next session,
// and what a power cut leaves.
#include "ssi/io/file_system.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "fs_session.hpp"
#include "fs_wire.hpp"
#include "superblock.hpp"

namespace ssi::fs {
namespace {

std::set<std::string> names(FileSystem& fs, std::string_view path, std::size_t at_once = 100) {
    std::set<std::string> found;
    for (std::uint64_t cookie = 0;;) {
        auto entries = fs.list(path, cookie, at_once);
        EXPECT_TRUE(entries) << (entries ? "" : entries.error().to_string());
        if (!entries || entries->empty()) return found;
        for (const DirectoryEntry& e : *entries)
            EXPECT_TRUE(found.insert(e.name).second) << e.name << " came twice";
        cookie = entries->back().cookie;
    }
}

TEST(FileSystem, shows_every_node_what_one_has_made) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {}});
    EXPECT_FINE(s[0].make_directory("/d"));
    EXPECT_FINE(s[1].make_directory("/d/e"));
    write_file(s[2], "/d/e/hello", "small");
    EXPECT_EQ(read_file(s[0], "/d/e/hello"), "small");
    const std::string large(300'000, 'x');
    write_file(s[1], "d/large", large);
    EXPECT_EQ(read_file(s[2], "/d//large"), large);
    EXPECT_EQ(s[0].stat("/d/large")->size, large.size());
    EXPECT_EQ(s[0].stat("/d")->links, 3u);
    EXPECT_EQ(names(s[0], "/d"), (std::set<std::string>{"e", "large"}));
    s.close();
}

TEST(FileSystem, refuses_as_posix_does) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    auto& fs = s[1];
    EXPECT_FINE(fs.make_directory("/d"));
    write_file(fs, "/f", "text");
    EXPECT_ERRNO(EEXIST, fs.make_directory("/d"));
    EXPECT_ERRNO(EEXIST, fs.make_directory("/"));
    EXPECT_ERRNO(ENOENT, fs.make_directory("/x/y"));
    EXPECT_ERRNO(ENOTDIR, fs.make_directory("/f/y"));
    EXPECT_ERRNO(ENOENT, fs.stat("/none"));
    EXPECT_ERRNO(ENOENT, fs.stat(""));
    EXPECT_ERRNO(ENOTDIR, fs.stat("/f/"));
    EXPECT_ERRNO(ENAMETOOLONG, fs.stat("/" + std::string(256, 'n')));
    EXPECT_ERRNO(ENAMETOOLONG, fs.stat(std::string(5000, '/')));
    EXPECT_ERRNO(EISDIR, fs.unlink("/d"));
    EXPECT_ERRNO(ENOTDIR, fs.remove_directory("/f"));
    EXPECT_ERRNO(EBUSY, fs.remove_directory("/"));
    EXPECT_ERRNO(EINVAL, fs.remove_directory("/d/."));
    EXPECT_ERRNO(ENOTEMPTY, fs.remove_directory("/d/.."));
    EXPECT_ERRNO(EEXIST, fs.open("/f", O_CREAT | O_EXCL | O_RDWR));
    EXPECT_ERRNO(EISDIR, fs.open("/d", O_RDWR));
    EXPECT_ERRNO(ENOTDIR, fs.open("/f", O_DIRECTORY));
    EXPECT_ERRNO(EINVAL, fs.rename("/d", "/d/inside"));
    EXPECT_ERRNO(EISDIR, fs.rename("/f", "/d"));
    EXPECT_ERRNO(ENOTDIR, fs.rename("/d", "/f"));
    EXPECT_ERRNO(EPERM, fs.link("/d", "/other"));
    EXPECT_FINE(fs.symlink("loop", "/loop"));
    EXPECT_ERRNO(ELOOP, fs.stat("/loop"));
    EXPECT_ERRNO(ELOOP, fs.open("/loop", O_CREAT | O_RDWR));
    EXPECT_FINE(fs.remove_directory("/d"));
    EXPECT_ERRNO(ENOENT, fs.list("/d"));
    s.close();
}

TEST(FileSystem, keeps_a_removed_file_until_the_last_close) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    write_file(s[0], "/f", std::string(100'000, 'y'));
    {
        auto file = s[1].open("/f", O_RDWR);
        ASSERT_TRUE(file);
        EXPECT_FINE(s[0].unlink("/f"));
        EXPECT_ERRNO(ENOENT, s[1].stat("/f"));
        std::string text(5, ' ');
        EXPECT_EQ(*file->pread(std::as_writable_bytes(std::span(text)), 50'000), 5u);
        EXPECT_EQ(text, "yyyyy");
        EXPECT_EQ(file->stat()->links, 0u);
    }
    const CheckReport report = s.check();
    EXPECT_EQ(report.problems, 0u) << (report.texts.empty() ? "" : report.texts[0]);
    EXPECT_EQ(report.files, 0u);
    s.close();
}

TEST(FileSystem, makes_its_root_when_the_first_session_died_before_that) {
    PagesShelf shelf;
    { PagesSession only_volumes(shelf, {{"a"}, {"b"}}); }
    for (int session = 0; session < 2; ++session) {
        FsSession s(shelf, {{"b"}, {"a"}});
        EXPECT_FINE(s[1].stat("/"));
        if (session == 0)
            write_file(s[0], "/f", "text");
        else
            EXPECT_EQ(read_file(s[1], "/f"), "text");
        s.close();
    }
}

TEST(FileSystem, finds_everything_again_on_another_number_of_nodes) {
    PagesShelf shelf;
    constexpr int files = 1500;   // several buckets
    {
        FsSession s(shelf, {{"a"}, {"b"}, {"c"}});
        EXPECT_FINE(s[0].make_directory("/many"));
        s.cluster.run([&](int i) {
            for (int k = i; k < files; k += 3)
                write_file(s[static_cast<std::size_t>(i)], fmt::format("/many/file{}", k),
                           std::string(static_cast<std::size_t>(k) * 7 % 9000, 'a' + k % 26));
        });
        EXPECT_EQ(names(s[2], "/many").size(), static_cast<std::size_t>(files));
        EXPECT_FINE(s[1].rename("/many/file7", "/seven"));
        EXPECT_FINE(s[1].link("/many/file8", "/eight"));
        const CheckReport report = s.check();
        EXPECT_EQ(report.problems, 0u) << (report.texts.empty() ? "" : report.texts[0]);
        EXPECT_EQ(report.files, static_cast<std::uint64_t>(files));
        s.close();
    }
    for (const Directories& layout :
         {Directories{{"a", "b"}, {"c"}}, Directories{{}, {"a"}, {"b"}, {"c"}},
          Directories{{"c", "a", "b"}}}) {
        FsSession s(shelf, layout);
        for (int k = 9; k < files; k += 31)
            EXPECT_EQ(read_file(s[0], fmt::format("/many/file{}", k)),
                      std::string(static_cast<std::size_t>(k) * 7 % 9000, 'a' + k % 26));
        EXPECT_EQ(names(s[0], "/many").size(), static_cast<std::size_t>(files - 1));
        EXPECT_EQ(s[0].stat("/eight")->links, 2u);
        EXPECT_EQ(read_file(s[0], "/seven"), std::string(49, 'h'));
        EXPECT_EQ(s.check().problems, 0u);
        s.close();
    }
}

// How many of the files in /dir have their inodes on each of the volumes, whose slots take turns.
std::vector<int> files_by_volume(FileSystem& fs, std::size_t volumes) {
    std::vector<int> counts(volumes);
    auto entries = fs.list("/dir", 0, 100'000);
    EXPECT_TRUE(entries);
    if (entries)
        for (const DirectoryEntry& e : *entries) ++counts[(e.inode >> serial_bits) % volumes];
    return counts;
}

TEST(FileSystem, keeps_a_directory_where_its_only_writer_is) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {"c"}});
    EXPECT_FINE(s[0].make_directory("/dir"));
    for (int k = 0; k < 2000; ++k) write_file(s[2], fmt::format("/dir/{}", k), "");
    const auto counts = files_by_volume(s[1], 3);
    EXPECT_GT(counts[2], 1500) << counts[0] << ", " << counts[1];
    EXPECT_EQ(s.check().problems, 0u);
    s.close();
}

TEST(FileSystem, spreads_a_directory_that_several_nodes_fill) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {"c"}});
    EXPECT_FINE(s[0].make_directory("/dir"));
    for (int k = 0; k < 200; ++k) write_file(s[0], fmt::format("/dir/first{}", k), "");
    for (std::size_t k = 0; k < 3000; ++k) write_file(s[k % 3], fmt::format("/dir/{}", k), "");
    const auto counts = files_by_volume(s[1], 3);
    for (const int count : counts) EXPECT_GT(count, 300);
    EXPECT_EQ(s.check().problems, 0u);
    for (std::size_t k = 0; k < 3000; k += 7) {
        EXPECT_FINE(s[(k + 1) % 3].stat(fmt::format("/dir/{}", k)));
        EXPECT_FINE(s[(k + 2) % 3].unlink(fmt::format("/dir/{}", k)));
    }
    s.close();
}

// Directories whose inodes lie where `fs` makes them, large ones first, until no room is for any.
void fill(FileSystem& fs, const std::string& where) {
    int made = 0;
    for (const std::size_t bytes : {60'000u, 6000u, 600u, 0u}) {
        const std::vector<std::byte> value(bytes, std::byte{1});
        for (bool room = true; room && made < 3000; ++made) {
            const std::string path = fmt::format("{}/{}", where, made);
            room = fs.make_directory(path).has_value() &&
                   fs.set_xattr(path, "user.v", value).has_value() && fs.sync(path).has_value();
        }
    }
    ASSERT_LT(made, 3000);
}

// A rename whose second log takes nothing any more: the first one has its part already.
TEST(FileSystem, is_as_before_when_the_second_of_two_logs_is_full) {
    PagesShelf shelf;
    shelf.segment_bytes = 256 << 10;
    shelf.limit_bytes = 4 << 20;
    std::map<std::string, std::unique_ptr<io::MemoryDisk>> after;
    {
        FsSession s(shelf, {{"a"}, {"b"}}, {.commit_ms = 3'600'000});
        s.cluster.expect_errors = true;
        EXPECT_FINE(s[0].make_directory("/on-a"));   // directories lie where they are made
        EXPECT_FINE(s[1].make_directory("/on-b"));
        write_file(s[0], "/on-a/f", "text");
        write_file(s[0], "/on-a/g", "more");
        EXPECT_FINE(s[0].sync());
        fill(s[1], "/on-a");
        for (std::size_t node : {0u, 1u}) {
            EXPECT_ERRNO(ENOSPC, s[node].rename("/on-a/f", "/on-b/f"));
            EXPECT_ERRNO(ENOSPC, s[node].link("/on-a/g", "/on-b/g"));
            EXPECT_ERRNO(ENOSPC, s[node].open("/on-b/new", O_CREAT | O_WRONLY));
        }
        for (std::size_t node : {0u, 1u}) {
            EXPECT_EQ(read_file(s[node], "/on-a/f"), "text");
            EXPECT_EQ(s[node].stat("/on-a/g")->links, 1u);
            for (const char* name : {"/on-b/f", "/on-b/g", "/on-b/new"})
                EXPECT_ERRNO(ENOENT, s[node].stat(name)) << name;
        }
        EXPECT_FINE(s[0].rename("/on-a/f", "/on-a/h"));   // the other one goes on
        EXPECT_FINE(s[0].sync("/on-a"));
        for (auto& [name, disk] : shelf.disks) after[name] = disk->after_power_cut(1);
    }
    // Nor does recovery do what was refused.
    shelf.disks = std::move(after);
    FsSession s(shelf, {{"a", "b"}});
    EXPECT_EQ(read_file(s[0], "/on-a/h"), "text");
    EXPECT_ERRNO(ENOENT, s[0].stat("/on-a/f"));
    EXPECT_ERRNO(ENOENT, s[0].stat("/on-b/f"));
    EXPECT_EQ(s[0].stat("/on-a/h")->links, 1u);
    EXPECT_EQ(s.check().problems, 0u);
    s.close();
}

// Adds to the first log an intent whose part the other one has not got: a removal.
void promise_to(std::uint32_t other, io::Disk& first) {
    const auto superblock = io::read_superblock(first);
    ASSERT_TRUE(superblock && *superblock);
    io::ObjectLogOptions options;
    options.log.disk = &first;
    options.log.directory = "log";
    options.log.identity = {(*superblock)->id(), 1};
    options.log.segment_bytes = 256 << 10;
    auto log = io::ObjectLog::open(options);
    ASSERT_TRUE(log) << log.error().to_string();
    Writer part;
    part.put(io::Volumes::number_of("fs/inodes").value).put(ObjectId(987'654'321));
    part.put(std::uint64_t{1}).put(true).block({});
    Writer intent;
    intent.put(other).block(part.bytes());
    io::LogTransaction change;
    change.intent(io::Volumes::number_of("fs/intents"), {0, 77}, intent.bytes());
    ASSERT_TRUE((*log)->apply(change));
    ASSERT_TRUE((*log)->close());
}

TEST(FileSystem, finishes_after_a_crash_what_was_begun_in_a_log_that_is_full) {
    PagesShelf shelf;
    shelf.segment_bytes = 256 << 10;
    shelf.limit_bytes = 4 << 20;
    std::map<std::string, std::unique_ptr<io::MemoryDisk>> after;
    {
        FsSession s(shelf, {{"a"}, {"b"}}, {.commit_ms = 3'600'000});
        s.cluster.expect_errors = true;
        EXPECT_FINE(s[0].make_directory("/on-a"));
        EXPECT_FINE(s[1].make_directory("/on-b"));
        EXPECT_FINE(s[0].sync());
        fill(s[1], "/on-a");
        after = shelf.after_power_cut(1);
    }
    shelf.disks = std::move(after);
    promise_to(1, *shelf.disks["a"]);
    FsSession s(shelf, {{"a"}, {"b"}});
    ASSERT_FALSE(HasFailure()) << "it was not mounted";
    EXPECT_FINE(s[1].stat("/on-b"));
    EXPECT_EQ(s.check().problems, 0u);
    s.close();
}

TEST(FileSystem, takes_as_much_as_it_says_is_free) {
    PagesShelf shelf;
    shelf.segment_bytes = 128 << 10;
    shelf.limit_bytes = 24 << 20;
    FsSession s(shelf, {{"a"}});
    const auto before = s[0].space();
    ASSERT_TRUE(before);
    EXPECT_GT(before->free_bytes, shelf.limit_bytes / 4);
    const std::string piece(256 << 10, 'x');
    std::uint64_t taken = 0;
    {
        auto file = s[0].open("/f", O_CREAT | O_WRONLY, 0644);
        ASSERT_TRUE(file);
        while (file->pwrite(bytes_of(piece), taken)) taken += piece.size();
    }
    EXPECT_GE(taken + (1 << 20), before->free_bytes);
    EXPECT_LE(s[0].space()->free_bytes, 1u << 20);
    s.close();
}

TEST(FileSystem, has_after_a_power_cut_what_was_made_durable) {
#if defined(__SANITIZE_THREAD__)
    constexpr std::uint64_t last_seed = 4;
#else
    constexpr std::uint64_t last_seed = 20;
#endif
    for (std::uint64_t seed = 1; seed <= last_seed; ++seed) {
        PagesShelf shelf;
        std::map<std::string, std::unique_ptr<io::MemoryDisk>> after;
        {
            FsSession s(shelf, {{"a"}, {"b"}});
            EXPECT_FINE(s[0].make_directory("/x"));
            EXPECT_FINE(s[1].make_directory("/x/y"));
            for (int k = 0; k < 40; ++k)
                write_file(s[static_cast<std::size_t>(k) % 2], fmt::format("/x/y/f{}", k),
                           std::string(static_cast<std::size_t>(k) * 977, 'k'));
            {
                auto file = s[seed % 2].open("/x/y/f33", O_RDWR);
                ASSERT_TRUE(file);
                EXPECT_FINE(file->sync());
            }
            for (int k = 0; k < 20; ++k)
                EXPECT_FINE(s[static_cast<std::size_t>(k) % 2].rename(
                    fmt::format("/x/y/f{}", k), fmt::format("/x/g{}", k)));
            for (auto& [name, disk] : shelf.disks) after[name] = disk->after_power_cut(seed);
            s.close();
        }
        shelf.disks = std::move(after);
        FsSession s(shelf, {{"a", "b"}});
        EXPECT_TRUE(read_file(s[0], "/x/y/f33") == std::string(33 * 977, 'k')) << seed;
        for (int k = 0; k < 20; ++k) {
            const bool before = s[0].lstat(fmt::format("/x/y/f{}", k)).has_value();
            const bool renamed = s[0].lstat(fmt::format("/x/g{}", k)).has_value();
            EXPECT_FALSE(before && renamed) << "seed " << seed << ", file " << k;
        }
        const CheckReport report = s.check();
        EXPECT_EQ(report.problems, 0u)
            << seed << ": " << (report.texts.empty() ? "" : report.texts[0]);
        s.close();
    }
}

TEST(FileSystem, never_misses_a_name_that_is_being_replaced) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {}});
    EXPECT_FINE(s[0].make_directory("/d"));
    write_file(s[0], "/d/name", "first");
    std::atomic<bool> done{false};
    std::thread replacer([&] {
        for (int i = 0; i < 300; ++i) {
            const std::string next = fmt::format("/d/next{}", i);
            write_file(s[i % 2], next, "next");
            EXPECT_FINE(s[i % 2].rename(next, "/d/name"));
        }
        done = true;
    });
    do {
        EXPECT_EQ(errno_of(s[1].stat("/d/name")), 0);
        EXPECT_EQ(errno_of(s[2].access("/d/name", R_OK)), 0);
        EXPECT_EQ(errno_of(s[2].open("/d/name", O_RDONLY)), 0);
        EXPECT_EQ(errno_of(s[2].list_xattrs("/d/name", true)), 0);
    } while (!done);
    replacer.join();
    s.close();
}

}  // namespace
}  // namespace ssi::fs
