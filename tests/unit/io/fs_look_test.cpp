// SPDX-License-Identifier: BSD-3-Clause
// A check of a file system that others use meanwhile: what they do never looks like a fault, and
// what is a fault is found.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>

#include "fs_bucket.hpp"
#include "fs_core.hpp"
#include "fs_inode.hpp"
#include "fs_session.hpp"

namespace ssi::fs {
namespace {

const std::atomic<bool> go_on{false};

CheckReport look(FsSession& s, std::size_t node) {
    auto report = s[node].check_in_use(go_on);
    EXPECT_TRUE(report) << (report ? "" : report.error().to_string());
    return report ? std::move(*report) : CheckReport{};
}
std::string first_of(const CheckReport& report) {
    return report.texts.empty() ? "" : report.texts.front();
}

// Names come and go in ways that one look may well see half of.
void disturb(FileSystem& system, int node, const std::atomic<bool>& stop) {
    std::mt19937 chance(static_cast<unsigned>(node));
    const auto some = [&] { return fmt::format("/d{}/n{}", chance() % 4, chance() % 300); };
    while (!stop) {
        switch (chance() % 7) {
            case 0:
            case 1: (void)system.open(some(), O_CREAT | O_WRONLY); break;
            case 2: (void)system.rename(some(), some()); break;
            case 3: (void)system.link(some(), some()); break;
            case 4: (void)system.unlink(some()); break;
            case 5: {
                auto file = system.open(some(), O_CREAT | O_WRONLY);
                if (file) (void)file->pwrite(bytes_of(std::string(9'000, 'p')), 0);
                break;
            }
            default: {
                const std::string directory = fmt::format("{}.d", some());
                (void)system.make_directory(directory);
                (void)system.rename(directory, fmt::format("{}.e", some()));
                (void)system.remove_directory(directory);
            }
        }
    }
}

class Disturbed {
public:
    explicit Disturbed(FsSession& s) {
        for (int d = 0; d < 4; ++d)
            EXPECT_FINE(s[static_cast<std::size_t>(d) % s.size()].make_directory(
                fmt::format("/d{}", d)));
        for (std::size_t node = 0; node < s.size(); ++node)
            threads_.emplace_back([this, &s, node] {
                disturb(s[node], static_cast<int>(node), stop_);
            });
    }
    ~Disturbed() {
        stop_ = true;
        for (auto& thread : threads_) thread.join();
    }

private:
    std::atomic<bool> stop_{false};
    std::vector<std::thread> threads_;
};

TEST(Look, counts_what_a_check_counts) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {}}, {.bucket_bytes = 300});
    EXPECT_FINE(s[0].make_directory("/a"));
    EXPECT_FINE(s[1].make_directory("/a/b"));
    for (std::size_t k = 0; k < 300; ++k) write_file(s[k % 3], fmt::format("/a/b/{}", k), "text");
    write_file(s[2], "/paged", std::string(100'000, 'x'));
    EXPECT_FINE(s[0].link("/paged", "/a/again"));
    EXPECT_FINE(s[0].symlink("/paged", "/a/symbolic"));
    auto open = s[1].open("/a/b/7", O_RDONLY);
    EXPECT_FINE(s[0].unlink("/a/b/7"));
    const CheckReport seen = look(s, 2);
    EXPECT_EQ(seen.problems, 0u) << first_of(seen);
    EXPECT_EQ(seen.unsettled, 0u);
    EXPECT_FINE(open->close());
    const CheckReport wanted = s.check();
    EXPECT_EQ(seen.directories, wanted.directories);
    EXPECT_EQ(seen.files, wanted.files + 1);   // that was open
    EXPECT_EQ(seen.others, wanted.others);
    EXPECT_EQ(seen.entries, wanted.entries);
    s.close();
}

TEST(Look, takes_nothing_that_others_do_for_a_fault) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {}}, {.bucket_bytes = 300});
    {
        Disturbed disturbed(s);
        for (std::size_t round = 0; round < 6; ++round) {
            const CheckReport report = look(s, round % s.size());
            EXPECT_EQ(report.problems, 0u) << first_of(report);
            EXPECT_GT(report.directories, 4u);
        }
    }
    const CheckReport report = look(s, 0);
    EXPECT_EQ(report.problems + report.unsettled, 0u) << first_of(report);
    s.close();
}

// Objects as somebody who errs would leave them.
class Damaged : public testing::Test {
protected:
    Damaged() : session_(shelf_, {{"a"}, {"b"}}, {.bucket_bytes = 300}) {
        for (std::size_t k = 0; k < 40; ++k)
            write_file(session_[k % 2], fmt::format("/file{}", k), "text");
        file_ = session_[0].stat("/file3")->inode;
    }
    kddm::RawSet set(const char* name) { return *session_.cluster[0].open(name); }
    void edit_inode(std::uint64_t inode, const std::function<void(InodeHead&)>& edit) {
        auto guard = set("fs/inodes").grab(ObjectId(inode));
        ASSERT_TRUE(guard);
        auto head = *inode_head(guard->bytes());
        edit(head);
        std::memcpy(guard->writable().data(), &head, sizeof head);
    }
    // What the log of volume 0 gets, and nobody has asked for yet.
    void log(const char* of, ObjectId id, std::span<const std::byte> value) {
        io::Volumes& volumes = session_[0].core().volumes();
        io::LogTransaction change;
        change.put(volumes.number_of(of), id, value);
        EXPECT_FINE(volumes.log(0, io::KeptIn::metadata)->apply(change));
    }
    void expect_found(const std::string& text) {
        Disturbed disturbed(session_);
        const CheckReport report = look(session_, 1);
        EXPECT_EQ(report.problems, 1u);
        EXPECT_NE(first_of(report).find(text), std::string::npos) << first_of(report);
    }

    PagesShelf shelf_;
    FsSession session_;
    std::uint64_t file_ = 0;
};

TEST_F(Damaged, counts_of_names_are_found) {
    edit_inode(file_, [](InodeHead& head) { head.links = 7; });
    expect_found(fmt::format("inode {} has 1 names and counts 7", file_));
}
TEST_F(Damaged, names_of_another_type_are_found) {
    edit_inode(file_, [](InodeHead& head) { head.mode = S_IFLNK | 0777; });
    expect_found(fmt::format("inode {} is of another type", file_));
}
TEST_F(Damaged, inodes_without_a_name_are_found) {
    InodeHead head;
    head.mode = S_IFREG | 0600;
    head.links = 1;
    log("fs/inodes", ObjectId(900), std::as_bytes(std::span(&head, 1)));
    expect_found("inode 900 has no name");
}
TEST_F(Damaged, names_without_an_inode_are_found) {
    auto bucket = set("fs/buckets").grab(bucket_id(root_inode, {}));
    ASSERT_TRUE(bucket);
    const BucketView view(bucket->bytes());
    std::string name = "nobody";
    while (!view.covers(name_hash(name), {})) name += "'";
    EXPECT_FINE(view.insert({name, name_hash(name), InodeId(901), S_IFREG >> 12}, 1)
                    .apply(*bucket));
    EXPECT_FINE(bucket->put());
    expect_found(fmt::format("name '{}' in directory 1: inode 901 does not exist", name));
}
TEST_F(Damaged, buckets_that_nothing_leads_to_are_found) {
    std::vector<std::byte> empty;
    const auto halves = BucketView(empty).split(0);
    // The root has split a few times by now, and never so far.
    log("fs/buckets", bucket_id(root_inode, {1u << 20, 1}), halves.goes);
    expect_found("bucket 1048576 of directory 1: nothing leads to it");
}
TEST_F(Damaged, buckets_of_no_directory_are_found) {
    std::vector<std::byte> empty;
    log("fs/buckets", bucket_id(InodeId(902), {}), BucketView(empty).split(0).stays);
    expect_found("bucket 0 of directory 902: there is no such directory");
}
TEST_F(Damaged, pages_without_an_inode_are_found) {
    write_file(session_[0], "/paged", std::string(100'000, 'x'));
    EXPECT_FINE(session_[0].sync());
    const std::uint64_t inode = session_[0].stat("/paged")->inode;
    edit_inode(inode, [](InodeHead& head) { head.flags = 0; });
    expect_found(fmt::format("inode {} has pages, but uses none", inode));
}

// Pages go when the end of their inode is durable, which may take a while.
TEST(Look, knows_of_pages_that_are_about_to_go) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}}, {.commit_ms = 3'600'000});
    write_file(s[0], "/f", std::string(1'000'000, 'x'));
    EXPECT_FINE(s[0].sync());
    EXPECT_FINE(s[1].unlink("/f"));
    const CheckReport report = look(s, 0);
    EXPECT_EQ(report.problems, 0u) << first_of(report);
    s.close();
}

TEST(Look, ends_early_when_it_is_told) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}});
    const std::atomic<bool> stop{true};
    auto report = s[0].check_in_use(stop);
    ASSERT_FALSE(report);
    EXPECT_EQ(report.error().code, Errc::cancelled);
    s.close();
}

}  // namespace
}  // namespace ssi::fs
