// SPDX-License-Identifier: BSD-3-Clause
// A mounted file system from outside: the same answers as from inside, the bytes that are sent, and
// what strangers, early ends and closes do.
#include "ssi/io/remote_fs.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <random>
#include <thread>

#include "fs_session.hpp"
#include "remote_wire.hpp"
#include "ssi/base/json.hpp"
#include "ssi/node/control_verbs.hpp"

namespace ssi::fs {
namespace {

constexpr const char* key = "00112233445566778899aabbccddeeff";

node::ControlAnswer ask(FsSession& session, int node, const std::string& request) {
    auto& control = session.cluster.nodes()[node].control();
    control.set_key(key);
    return control.call(*JsonValue::parse(request));
}

node::OwnedFd connect(FsSession& session, int node = 0) {
    auto answer = ask(session, node, std::string(R"({"verb":"fd","name":"kdfs","key":")") + key +
                                         "\"}");
    EXPECT_TRUE(answer.value) << (answer.value ? "" : answer.value.error().to_string());
    // A test that hangs is no test.
    const timeval patience{20, 0};
    ::setsockopt(answer.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return std::move(answer.fd);
}

std::unique_ptr<RemoteFileSystem> remote(FsSession& session, int node = 0) {
    return RemoteFileSystem::over(connect(session, node), "test");
}

TEST(RemoteFileSystem, answers_as_the_file_system_does) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    {
        auto at0 = remote(s, 0), at1 = remote(s, 1);
        EXPECT_FINE(at0->make_directory("/d", 0750));
        auto file = at1->open_file("/d/f", O_CREAT | O_EXCL | O_RDWR, 0640, {65536, 2});
        ASSERT_TRUE(file) << file.error().to_string();
        const std::string text(9'000'000, 'x');   // more than one frame takes
        EXPECT_FINE((*file)->pwrite(bytes_of(text), 5));
        std::string back(text.size() + 100, '?');
        auto got = (*file)->pread(std::as_writable_bytes(std::span(back)), 5);
        ASSERT_TRUE(got);
        back.resize(*got);
        EXPECT_EQ(back, text);
        EXPECT_EQ((*file)->stat()->size, text.size() + 5);
        EXPECT_EQ((*file)->extents()->size(), s[0].open("/d/f", O_RDONLY)->extents()->size());
        EXPECT_FINE((*file)->truncate(7));
        EXPECT_EQ(read_file(s[0], "/d/f"), std::string("\0\0\0\0\0xx", 7));
        EXPECT_FINE(at0->link("/d/f", "/d/g"));
        EXPECT_FINE(at0->symlink("f", "/d/s"));
        EXPECT_EQ(at1->read_link("/d/s").value_or("?"), "f");
        EXPECT_FINE(at0->rename("/d/g", "/h"));
        EXPECT_FINE(at0->set_xattr("/h", "user.a", bytes_of("value"), true));
        EXPECT_EQ(at1->list_xattrs("/d/s", true).value(), std::vector<std::string>{"user.a"});
        EXPECT_EQ(at1->get_xattr("/d/s", "user.a", true)->size(), 5u);
        AttributeChange change;
        change.mode = 0600;
        change.modify_ns = 1'000'000'007;
        EXPECT_FINE(at1->set_attributes("/h", change, true));
        const auto ours = *s[0].stat("/h"), theirs = *at0->stat("/h", true);
        EXPECT_EQ(ours.inode, theirs.inode);
        EXPECT_EQ(theirs.mode, S_IFREG | 0600u);
        EXPECT_EQ(theirs.modify_ns, 1'000'000'007);
        EXPECT_EQ(theirs.links, 2u);
        EXPECT_EQ(ours.striping, theirs.striping);
        EXPECT_EQ(at1->stat("/d/s", false)->mode & S_IFMT, unsigned{S_IFLNK});
        const auto listed = at1->list("/d", 0, 100, true);
        ASSERT_TRUE(listed);
        EXPECT_EQ(listed->size(), 2u);
        EXPECT_EQ(listed->front().attributes.inode, listed->front().inode);
        EXPECT_EQ(at0->list("/d", listed->back().cookie, 100, true)->size(), 0u);
        EXPECT_EQ(at0->space()->inodes, s[0].space()->inodes);
        EXPECT_EQ(at0->volumes()->at(1).id, s[0].volumes().volumes()[1].id);
        EXPECT_FINE(at0->sync());
        EXPECT_FINE(at0->drop_caches());
        EXPECT_EQ(at1->check()->entries, 4u);   // d, h, and two in d
        EXPECT_EQ(at1->check()->problems, 0u);
        EXPECT_ERRNO(ENOENT, at0->stat("/none", true));
        EXPECT_NE(at0->stat("/none", true).error().text.find("/none"), std::string::npos);
        EXPECT_ERRNO(ENOTEMPTY, at0->remove_directory("/d"));
        EXPECT_ERRNO(EEXIST, at0->open_file("/h", O_CREAT | O_EXCL | O_WRONLY));
        EXPECT_FINE(at1->unlink("/d/f"));
        EXPECT_FINE(at1->unlink("/d/s"));
        EXPECT_FINE(at1->remove_directory("/d"));
    }
    s.close();
}

std::string exchange(int socket, const std::string& request) {
    EXPECT_TRUE(remote::send_all(socket, bytes_of(request)));
    std::string reply(16, '?');
    EXPECT_TRUE(remote::receive_all(socket, std::as_writable_bytes(std::span(reply))));
    std::string body(static_cast<unsigned char>(reply[0]), '?');   // short ones
    EXPECT_TRUE(remote::receive_all(socket, std::as_writable_bytes(std::span(body))));
    return reply + body;
}

TEST(RemoteFileSystem, sends_the_documented_bytes) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}});
    const auto socket = connect(s);
    const std::string root("\x06\0\0\0" "\x08\0\0\0" "\x01\0\0\0" "/" "\x01", 14);
    const std::string reply = exchange(socket.get(), root);
    ASSERT_EQ(reply.size(), 16u + 81u);
    EXPECT_EQ(reply.substr(0, 8), std::string("\x51\0\0\0" "\0\0\0\0", 8));
    EXPECT_EQ(reply.substr(16, 8), std::string("\x01\0\0\0\0\0\0\0", 8));   // inode 1
    EXPECT_EQ(reply.substr(24, 4), std::string("\xed\x41\0\0", 4));         // mode 040755
    const std::string none("\x0a\0\0\0" "\x08\0\0\0" "\x05\0\0\0" "/none" "\x01", 18);
    const std::string failure = exchange(socket.get(), none);
    EXPECT_EQ(failure[4], static_cast<char>(Errc::not_found));
    EXPECT_EQ(failure[8], ENOENT);
    EXPECT_EQ(failure.substr(16), "/none");
    EXPECT_EQ(static_cast<unsigned>(remote::Call::last), 25u);
    const std::string check = exchange(socket.get(), std::string("\0\0\0\0" "\x19\0\0\0", 8));
    ASSERT_EQ(check.size(), 16u + 6 * 8 + 4);
    EXPECT_EQ(check.substr(0, 8), std::string("\x34\0\0\0" "\0\0\0\0", 8));
    EXPECT_EQ(check[16], 1);   // one directory, and nothing else
    EXPECT_EQ(check.substr(17), std::string(6 * 8 + 3, '\0'));
    s.close();
}

TEST(RemoteFileSystem, outlives_any_bytes_of_a_client) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}});
    std::mt19937 random(7);
    for (int round = 0; round < 30; ++round) {
        const auto socket = connect(s);
        for (int request = 0; request < 60; ++request) {
            const std::uint32_t length = random() % 48;
            std::string bytes;
            for (const std::uint32_t word : {length, static_cast<std::uint32_t>(random() % 27)})
                for (int i = 0; i < 4; ++i) bytes += static_cast<char>(word >> 8 * i);
            for (std::uint32_t i = 0; i < length; ++i)
                bytes += random() % 3 ? '\0' : static_cast<char>(random() % 8);
            (void)exchange(socket.get(), bytes);
        }
        const std::string huge("\xff\xff\xff\xff\x01\0\0\0", 8);
        EXPECT_TRUE(remote::send_all(socket.get(), bytes_of(huge)));
        std::byte end;
        EXPECT_FALSE(remote::receive_all(socket.get(), std::span(&end, 1)));
    }
    EXPECT_TRUE(remote(s)->stat("/", true));
    s.close();
}

TEST(RemoteFileSystem, closes_the_files_of_a_client_that_went) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    write_file(s[0], "/f", std::string(200'000, 'f'));
    {
        const node::OwnedFd socket = connect(s, 1);
        const std::string open("\x1b\0\0\0" "\x01\0\0\0" "\x02\0\0\0" "/f" "\0\0\0\0\0\0\0\0"
                               "\0\0\0\0\0\0\0\0\0\0\0\0\0", 8 + 27);
        const std::string reply = exchange(socket.get(), open);
        ASSERT_EQ(reply.substr(4, 4), std::string(4, '\0')) << reply.substr(16);
        EXPECT_FINE(s[0].unlink("/f"));
        EXPECT_EQ(s[0].space()->inodes, 2u);   // it is open
    }   // gone without a word
    for (int i = 0; i < 1000 && s[0].space()->inodes != 1; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_EQ(s[0].space()->inodes, 1u);
    s.close();
}

TEST(RemoteFileSystem, ends_with_the_close_of_the_file_system) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    auto client = remote(s, 1);
    auto file = client->open_file("/f", O_CREAT | O_RDWR);
    ASSERT_TRUE(file);
    std::thread writer([&] {
        const std::string text(100'000, 'w');
        for (std::uint64_t at = 0; (*file)->pwrite(bytes_of(text), at % 1'000'000); at += 99'999) {}
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    s.close();
    writer.join();
    const auto after = client->stat("/", true);
    ASSERT_FALSE(after);
    EXPECT_NE(after.error().text.find("has closed its file system"), std::string::npos);
    EXPECT_FALSE(ask(s, 1, R"({"verb":"fs"})").value);
}

TEST(RemoteFileSystem, tells_what_a_check_found) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    write_file(s[0], "/f", "text");
    const std::uint64_t inode = s[0].stat("/f")->inode;
    constexpr std::size_t links_at = 24;
    EXPECT_FINE(s.cluster[0].open("fs/inodes")->fetch_add(ObjectId(inode), 2, links_at));
    const auto report = remote(s, 1)->check();
    ASSERT_TRUE(report) << report.error().to_string();
    EXPECT_EQ(report->problems, 1u);
    EXPECT_EQ(report->texts, std::vector<std::string>{
        "inode " + std::to_string(inode) + " has 1 names and counts 3, or another parent"});
    s.close();
}

TEST(RemoteFileSystem, is_for_who_has_the_key_and_says_what_is_mounted) {
    PagesShelf shelf;
    FsSession s(shelf, {{"a"}, {"b"}});
    EXPECT_FALSE(ask(s, 0, R"({"verb":"fd","name":"kdfs","key":"another"})").fd);
    const auto said = ask(s, 0, R"({"verb":"fs"})").value;
    ASSERT_TRUE(said);
    EXPECT_EQ(JsonValue::parse(*said)->u64_of("volumes"), 2u);
    s.close();
}

}  // namespace
}  // namespace ssi::fs
