// SPDX-License-Identifier: BSD-3-Clause
// Open files on nodes of one process: several buffers at once, what goes on in the background, and
// closing while others are inside.
#include "ssi/io/file.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "fs_async.hpp"
#include "fs_session.hpp"
#include "loop_nodes.hpp"

namespace ssi::fs {
namespace {

using namespace std::chrono_literals;

File opened(FileSystem& fs, std::string_view path, int flags = O_CREAT | O_RDWR) {
    auto file = fs.open(path, flags, 0644);
    EXPECT_TRUE(file) << (file ? "" : file.error().to_string());
    return file ? std::move(*file) : File();
}
std::span<std::byte> room_in(std::string& text) {
    return std::as_writable_bytes(std::span(text));
}

TEST(File, reads_and_writes_several_buffers_as_one) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    File file = opened(s[0], "/f");
    for (const std::size_t large : {100u, 200'000u, 900'000u}) {   // in the inode, one copy, none
        const std::string first(large, 'a'), second(7, 'b'), third(large, 'c');
        const std::span<const std::byte> pieces[] = {bytes_of(first), bytes_of(second), {},
                                                     bytes_of(third)};
        EXPECT_EQ(file.pwritev(pieces, 5).value(), 2 * large + 7);
        EXPECT_EQ(read_file(s[1], "/f"), std::string(5, '\0') + first + second + third);
        std::string one(large + 3, '?'), two(1, '?'), rest(large + 50, '?');
        const std::span<std::byte> parts[] = {room_in(one), room_in(two), room_in(rest)};
        EXPECT_EQ(file.preadv(parts, 5).value(), 2 * large + 7) << "the file ends there";
        EXPECT_EQ(one + two + rest.substr(0, large + 3), first + second + third);
        EXPECT_EQ(rest.back(), '?');
        EXPECT_FINE(file.truncate(0));
    }
    EXPECT_EQ(file.pwritev({}, 0).value(), 0u);
    EXPECT_EQ(file.preadv({}, 0).value(), 0u);
    EXPECT_ERRNO(EINVAL, file.pwritev({}, UINT64_MAX));
    EXPECT_ERRNO(EBADF, opened(s[0], "/f", O_RDONLY).pwritev({}, 0));
    EXPECT_ERRNO(EBADF, opened(s[0], "/f", O_WRONLY).preadv({}, 0));
    EXPECT_FINE(file.close());
    s.close();
}

// Each record has its number of buffers; two writers' must not come into each other.
TEST(File, keeps_what_one_call_appends_together) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    constexpr int records = 60;
    constexpr std::size_t piece = 400'000;   // a record is above what is copied into one buffer
    std::vector<std::thread> writers;
    for (std::size_t who : {0u, 1u})
        writers.emplace_back([&, who] {
            File file = opened(s[who], "/log", O_CREAT | O_WRONLY | O_APPEND);
            const std::string text(piece, who ? 'b' : 'a');
            const std::span<const std::byte> one = bytes_of(text);
            const std::span<const std::byte> pieces[] = {one, one, one};
            for (int i = 0; i < records / 20; ++i)
                EXPECT_EQ(file.pwritev(pieces, 0).value(), 3 * piece);
            const auto small = bytes_of(std::string_view(text).substr(0, 10));
            const std::span<const std::byte> few[] = {small, small, small};
            for (int i = 0; i < records; ++i) EXPECT_EQ(file.pwritev(few, 0).value(), 30u);
        });
    for (auto& writer : writers) writer.join();
    const std::string all = read_file(s[0], "/log");
    EXPECT_EQ(all.size(), 2 * records * 30 + 2 * (records / 20) * 3 * piece);
    for (std::size_t at = 0; at < all.size();) {
        const std::size_t end = std::min(all.find_first_not_of(all[at], at), all.size());
        EXPECT_EQ((end - at) % 30, 0u) << "at " << at;
        at = end;
    }
    s.close();
}

TEST(File, goes_on_in_the_background) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {}});
    constexpr std::size_t piece = 100'000, pieces = 40;
    std::vector<std::string> texts, back(pieces, std::string(piece, '?'));
    for (std::size_t i = 0; i < pieces; ++i)
        texts.emplace_back(piece, static_cast<char>('a' + i % 26));
    File file = opened(s[2], "/f");
    std::vector<Future<std::size_t>> writes, reads;
    for (std::size_t i = 0; i < pieces; ++i)
        writes.push_back(file.write_async(bytes_of(texts[i]), i * piece));
    Future<void> synced = file.sync_async();
    EXPECT_FINE(synced.result());
    for (auto& write : writes) {
        EXPECT_TRUE(write.ready()) << "the sync came after all of them";
        EXPECT_EQ(write.get(), piece);
    }
    EXPECT_EQ(s[0].stat("/f")->size, pieces * piece);
    for (std::size_t i = 0; i < pieces; ++i)
        reads.push_back(file.read_async(room_in(back[i]), i * piece));
    std::size_t seen = 0;
    while (!reads.empty()) {   // in any order
        const std::size_t which = wait_any(reads);
        seen += reads[which].get();
        reads.erase(reads.begin() + static_cast<std::ptrdiff_t>(which));
    }
    EXPECT_EQ(seen, pieces * piece);
    EXPECT_EQ(back, texts);
    std::string more(10, '?');
    auto behind = file.read_async(room_in(more), pieces * piece - 4);
    EXPECT_EQ(behind.get(), 4u);
    EXPECT_FINE(file.close());
    s.close();
}

TEST(File, tells_what_went_wrong_in_the_background_by_the_future) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}});
    std::string text(10, 'x');
    File reader = opened(s[0], "/f", O_CREAT | O_RDONLY), none;
    EXPECT_ERRNO(EBADF, reader.write_async(bytes_of(text), 0).result());
    EXPECT_ERRNO(EINVAL, reader.read_async(room_in(text), UINT64_MAX).result());
    EXPECT_ERRNO(EBADF, none.read_async(room_in(text), 0).result());
    EXPECT_ERRNO(EBADF, none.sync_async().result());
    EXPECT_ERRNO(EISDIR, opened(s[0], "/", O_RDONLY).read_async(room_in(text), 0).result());
    File writer = opened(s[0], "/f", O_WRONLY);
    auto far = writer.write_async(bytes_of(text), most_file_bytes);   // found by whoever writes it
    EXPECT_THROW((void)far.get(), Error);
    auto any = std::vector<Future<std::size_t>>();
    any.push_back(none.read_async(room_in(text), 0));
    EXPECT_EQ(wait_any(any), 0u);
    EXPECT_FINE(writer.close());
    EXPECT_FINE(reader.close());
    s.close();
}

TEST(File, ends_when_the_last_operation_in_the_background_has) {
    PagesShelf shelf;
    Future<std::size_t> late;
    std::vector<std::string> texts(30, std::string(300'000, 'y'));
    {
        FsSession s(shelf, {{"a"}, {"b"}});
        File file = opened(s[0], "/f");
        std::vector<Future<std::size_t>> writes;
        for (std::size_t i = 0; i < texts.size(); ++i)
            writes.push_back(file.write_async(bytes_of(texts[i]), i * 300'000));
        EXPECT_FINE(file.close());
        EXPECT_FALSE(file.is_open());
        for (auto& write : writes) {
            EXPECT_TRUE(write.ready());
            EXPECT_EQ(write.get(), 300'000u);
        }
        EXPECT_ERRNO(EBADF, file.write_async(bytes_of(texts[0]), 0).result());
        File again = opened(s[0], "/f");
        for (auto& text : texts) (void)again.write_async(bytes_of(text), 0);   // dropped at once
        late = again.read_async(room_in(texts[0]), 0);
        EXPECT_FINE(again.close());
        s.close();
    }
    EXPECT_EQ(late.get(), 300'000u) << "it outlives the file system";
}

// Every call either does all it should or says that the file is closed.
TEST(File, may_be_closed_while_others_use_it) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    write_file(s[0], "/f", std::string(200'000, 'z'));
    for (int round = 0; round < 60; ++round) {
        File file = opened(s[round % 2], "/f");
        std::atomic<int> ended{0};
        std::vector<std::thread> users;
        for (int user = 0; user < 4; ++user)
            users.emplace_back([&, user] {
                std::string text(50'000, '?');
                for (;;) {
                    Result<std::size_t> done = std::size_t{0};
                    if (user == 0) done = file.pread(room_in(text), 70'000);
                    if (user == 1) done = file.pwrite(bytes_of("zz"), 1);
                    if (user == 2) done = file.read_async(room_in(text), 0).result();
                    if (user == 3)
                        if (auto locked = file.lock({}); !locked)
                            done = tl::unexpected<Failure>(locked.error());
                    if (done) continue;
                    EXPECT_EQ(done.error().sys_errno, EBADF) << done.error().to_string();
                    ++ended;
                    return;
                }
            });
        std::this_thread::sleep_for(std::chrono::microseconds(round * 50));
        EXPECT_FINE(file.close());
        for (auto& user : users) user.join();
        EXPECT_EQ(ended, 4);
        File other = opened(s[(round + 1) % 2], "/f");
        EXPECT_FINE(other.try_lock({})) << "no lock is left behind";
    }
    EXPECT_EQ(read_file(s[1], "/f"), std::string(200'000, 'z'));
    s.close();
}

TEST(File, is_listed_and_changed_under_whatever_name_it_has) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    EXPECT_FINE(s[0].make_directory("/d"));
    write_file(s[0], "/d/x", "text");
    File directory = opened(s[1], "/d", O_RDONLY | O_DIRECTORY);
    File file = opened(s[1], "/d/x", O_RDWR);
    EXPECT_FINE(s[0].rename("/d", "/e"));
    EXPECT_EQ(directory.list().value().at(0).name, "x");
    EXPECT_ERRNO(ENOTDIR, file.list());
    AttributeChange change;
    change.mode = 0600;
    change.size = 2;
    EXPECT_FINE(file.set_attributes(change));
    EXPECT_EQ(s[0].stat("/e/x")->mode & 07777, 0600u);
    EXPECT_EQ(read_file(s[0], "/e/x"), "te");
    EXPECT_FINE(directory.close());
    EXPECT_FINE(file.close());
    s.close();
}

TEST(File, tells_who_has_its_bytes) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}, {}});
    Striping striping{.unit_bytes = 64u << 10, .count = 2};
    auto made = s[0].open("/f", O_CREAT | O_RDWR, 0644, striping);
    ASSERT_TRUE(made);
    File file = std::move(*made);
    const std::string text(6 * 65536, 'x');
    EXPECT_EQ(file.pwrite(bytes_of(text), 65536).value(), text.size());   // a hole before
    EXPECT_EQ(file.next_data(0).value(), 65536u);
    EXPECT_EQ(file.next_hole(65536).value(), 7u * 65536);
    EXPECT_ERRNO(ENXIO, file.next_data(7 * 65536));
    auto extents = file.extents(70'000, 130'000);   // parts of pages 1 to 3
    ASSERT_TRUE(extents);
    ASSERT_EQ(extents->size(), 3u);
    EXPECT_EQ(extents->front().offset, 70'000u);
    EXPECT_EQ(extents->back().offset + extents->back().length, 200'000u);
    EXPECT_NE((*extents)[0].volume, (*extents)[1].volume);
    EXPECT_EQ(file.extents(0, 65536).value().size(), 0u);
    std::string out(3 * 65536, '?');
    File reader = opened(s[2], "/f");
    EXPECT_EQ(reader.pread(room_in(out), 2 * 65536).value(), out.size());
    auto copies = reader.copies(0, text.size());
    ASSERT_TRUE(copies);
    std::uint64_t in_two = 0, in_zero = 0;
    for (const Copy& copy : *copies) {
        if (copy.node == s.cluster.nodes()[2].id()) in_two += copy.length;
        if (copy.node == s.cluster.nodes()[0].id()) in_zero += copy.length;
    }
    EXPECT_GE(in_two, out.size()) << "it has read them";
    EXPECT_LE(in_two, text.size() - 65536);
    EXPECT_GE(in_zero, out.size());
    EXPECT_EQ(reader.copies(0, 65536).value().size(), 0u);
    EXPECT_FINE(reader.close());
    EXPECT_FINE(file.close());
    s.close();
}

// -- the tasks in the background, alone

TEST(AsyncIo, takes_back_what_has_not_begun_and_waits_for_the_rest) {
    test::LoopNodes nodes(1);
    nodes.start();
    AsyncIo async(nodes[0]);
    std::atomic<int> begun{0}, ended{0};
    const auto slow = [&]() -> Result<std::uint64_t> {
        ++begun;
        std::this_thread::sleep_for(20ms);
        ++ended;
        return 7;
    };
    std::vector<std::unique_ptr<kddm::Pending>> all;
    for (unsigned i = 0; i < 4 * AsyncIo::most_tasks; ++i)
        all.push_back(async.begin(1, false, slow));
    while (begun == 0) std::this_thread::yield();
    while (!all.empty()) all.pop_back();   // the newest first
    EXPECT_EQ(begun, ended) << "who drops it may free the buffer";
    EXPECT_LT(begun, 4 * int{AsyncIo::most_tasks});
}

TEST(AsyncIo, a_sync_comes_after_the_earlier_ones_of_its_file_alone) {
    test::LoopNodes nodes(1);
    nodes.start();
    AsyncIo async(nodes[0]);
    std::atomic<bool> go{false}, written{false};
    auto write = async.begin(1, false, [&]() -> Result<std::uint64_t> {
        while (!go) std::this_thread::yield();
        written = true;
        return 0;
    });
    auto synced = async.begin(1, true, [&]() -> Result<std::uint64_t> { return written ? 1 : 0; });
    auto later = async.begin(1, false, [&]() -> Result<std::uint64_t> { return 0; });
    auto other = async.begin(2, true, [&]() -> Result<std::uint64_t> { return 0; });
    EXPECT_TRUE(other->wait_for(10'000'000'000));
    EXPECT_TRUE(later->wait_for(10'000'000'000));
    EXPECT_FALSE(synced->wait_for(20'000'000));
    go = true;
    EXPECT_TRUE(synced->wait_for(10'000'000'000));
    EXPECT_EQ(synced->take_number().value(), 1u);
}

TEST(AsyncIo, who_waits_while_it_stops_is_told) {
    test::LoopNodes nodes(1);
    nodes.start();
    std::atomic<bool> begun{false}, go{false};
    std::unique_ptr<kddm::Pending> held_up, running;
    {
        AsyncIo async(nodes[0]);
        running = async.begin(1, false, [&]() -> Result<std::uint64_t> {
            begun = true;
            while (!go) std::this_thread::yield();
            return 3;
        });
        held_up = async.begin(1, true, [&]() -> Result<std::uint64_t> { return 0; });
        while (!begun) std::this_thread::yield();
        std::thread waits([&] {
            EXPECT_TRUE(held_up->wait_for(kddm::Pending::forever));
            go = true;
        });
        async.stop();
        waits.join();
        EXPECT_EQ(async.begin(1, false, [] { return Result<std::uint64_t>(0); })
                      ->take_number().error().code,
                  Errc::cancelled);
    }
    EXPECT_EQ(held_up->take_number().error().code, Errc::cancelled);
    EXPECT_EQ(running->take_number().value(), 3u);
}

}  // namespace
}  // namespace ssi::fs
