// SPDX-License-Identifier: BSD-3-Clause
// Listing directories whose buckets are on several nodes: from a node that keeps some, all or none.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>
#include <thread>

#include "fs_session.hpp"
#include "fs_wire.hpp"

namespace ssi::fs {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr int files = 800;
#else
constexpr int files = 3000;
#endif
constexpr std::size_t others = 421;

std::string name(int i) { return fmt::format("a name that is not quite short {}", i); }

std::map<std::string, DirectoryEntry> list_all(FileSystem& fs, std::string_view path,
                                               std::size_t at_once, bool attributes = true) {
    std::map<std::string, DirectoryEntry> found;
    std::uint64_t last = 0;
    for (std::uint64_t cookie = 0;;) {
        auto entries = fs.list(path, cookie, at_once, attributes);
        EXPECT_TRUE(entries) << (entries ? "" : entries.error().to_string());
        if (!entries || entries->empty()) return found;
        for (DirectoryEntry& e : *entries) {
            EXPECT_GE(e.cookie, last);
            last = e.cookie;
            const std::string key = e.name;
            EXPECT_TRUE(found.emplace(key, std::move(e)).second) << key << " came twice";
        }
        cookie = last;
    }
}

// Small files by one node, of lengths by their numbers, and by others: directories, a link to a
// file that lies elsewhere, and some names more, so that later buckets lie anywhere.
struct Crowd {
    explicit Crowd(FsSession& s) {
        EXPECT_FINE(s[0].make_directory("/d"));
        for (int i = 0; i < files; ++i) {
            auto file = value_or_throw(
                s[0].open("/d/" + name(i), O_CREAT | O_EXCL | O_WRONLY,
                          static_cast<unsigned>(i) % 8 * 0100));
            const std::string text(static_cast<std::size_t>(i % 90), 'x');
            EXPECT_EQ(file.pwrite(bytes_of(text), 0).value(), text.size());
        }
        for (int i = 0; i < 20; ++i) {
            EXPECT_FINE(s[i % 3].make_directory(fmt::format("/d/inside {}", i)));
            EXPECT_FINE(s[i % 3].make_directory(fmt::format("/d/inside {}/deeper", i)));
        }
        write_file(s[1], "/elsewhere", "seven b");
        EXPECT_FINE(s[1].link("/elsewhere", "/d/link"));
        for (int i = 0; i < 400; ++i)
            write_file(s[1 + i % 2], fmt::format("/d/other {}", i), "12345");
    }
};

void check(const std::map<std::string, DirectoryEntry>& found) {
    EXPECT_EQ(found.size(), others + files);
    for (int i = 0; i < files; ++i) {
        const auto one = found.find(name(i));
        ASSERT_NE(one, found.end()) << name(i);
        const Attributes& a = one->second.attributes;
        EXPECT_EQ(a.inode, one->second.inode);
        EXPECT_EQ(a.size, static_cast<std::uint64_t>(i % 90)) << name(i);
        EXPECT_EQ(a.mode, S_IFREG | (static_cast<unsigned>(i) % 8 * 0100)) << name(i);
    }
    for (int i = 0; i < 400; ++i) {
        const auto one = found.find(fmt::format("other {}", i));
        ASSERT_NE(one, found.end());
        EXPECT_EQ(one->second.attributes.size, 5u);
    }
    for (int i = 0; i < 20; ++i) {
        const auto one = found.find(fmt::format("inside {}", i));
        ASSERT_NE(one, found.end());
        EXPECT_EQ(one->second.type, std::uint32_t{S_IFDIR});
        EXPECT_TRUE(one->second.attributes.is_directory());
        EXPECT_EQ(one->second.attributes.links, 3u);
    }
    ASSERT_TRUE(found.contains("link"));
    EXPECT_EQ(found.at("link").attributes.links, 2u);
    EXPECT_EQ(found.at("link").attributes.size, 7u);
}

TEST(FsList, shows_the_same_to_all_nodes_in_pieces_of_any_size) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {}});
    const Crowd crowd(s);
    for (int node = 0; node < 3; ++node)
        for (const std::size_t at_once : {100'000u, 1000u, 97u})
            check(list_all(s[node], "/d", at_once));
    for (const auto& [_, entry] : list_all(s[2], "/d", 500, false))
        EXPECT_EQ(entry.attributes.inode, 0u);
    s.close();
}

TEST(FsList, sees_what_was_changed_by_a_node_that_is_not_the_home) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {}});
    const Crowd crowd(s);
    EXPECT_EQ(list_all(s[2], "/d", 100'000).size(), others + files);
    for (int i = 0; i < files; i += 50) {
        auto file = value_or_throw(s[1].open("/d/" + name(i), O_WRONLY));
        EXPECT_TRUE(file.pwrite(bytes_of("longer"), static_cast<std::uint64_t>(i % 90)));
        EXPECT_FINE(s[2].unlink("/d/" + name(i + 1)));
    }
    const auto found = list_all(s[2], "/d", 100'000);
    EXPECT_EQ(found.size(), others + files - files / 50);
    for (int i = 0; i < files; i += 50) {
        EXPECT_EQ(found.at(name(i)).attributes.size, static_cast<std::uint64_t>(i % 90 + 6));
        EXPECT_FALSE(found.contains(name(i + 1)));
    }
    s.close();
}

// What a node guesses of a directory is one for all its tasks. Buckets of few names: deep trees.
TEST(FsList, is_done_by_many_at_once_from_different_places) {
    PagesShelf shelf;
    Options options;
    options.bucket_bytes = 400;
    FsSession s(shelf, {{"a"}, {"b"}, {}}, options);
    const Crowd crowd(s);
    std::vector<std::thread> listers;
    for (unsigned i = 0; i < 6; ++i)
        listers.emplace_back([&s, i] {
            for (std::size_t round = 0; round < 8; ++round)
                EXPECT_EQ(list_all(s[i % 3], "/d", 60 + 37 * i + 100 * round).size(),
                          others + files);
        });
    for (auto& lister : listers) lister.join();
    s.close();
}

// Names come and go, buckets split meanwhile; what stays is listed once, with its attributes or,
// when it is gone by then, none.
TEST(FsList, has_what_stays_once_while_others_come_and_go) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {}});
    const Crowd crowd(s);
    std::atomic<bool> done{false};
    std::thread changer([&] {
        for (int round = 0; !done; ++round)
            for (int i = 0; i < 500; ++i) {
                const std::string path = fmt::format("/d/passing {} {}", round, i);
                write_file(s[round % 2], path, "x");
                if (i % 5 != 0) EXPECT_FINE(s[1].unlink(path));
            }
    });
    for (int round = 0; round < 6; ++round) {
        auto found = list_all(s[2 - round % 2], "/d", round % 3 == 0 ? 150 : 4096);
        std::erase_if(found, [](const auto& one) { return one.first.starts_with("passing"); });
        check(found);
    }
    done = true;
    changer.join();
    s.close();
}

}  // namespace
}  // namespace ssi::fs
