// SPDX-License-Identifier: BSD-3-Clause
// What is saved of an open file: as documented, and nothing that nobody wrote is taken for one.
#include "files.hpp"

#include <fcntl.h>

#include "support.hpp"

namespace ssi::ckpt::test {
namespace {

FileState example() {
    return {.open = true,
            .content = true,
            .flags = O_WRONLY | O_APPEND,
            .mode = 0640,
            .position = 258,
            .size = 260,
            .inode = 0x0102030405060708,
            .path = "/log"};
}

TEST(FileState, is_written_as_documented) {
    constexpr unsigned char head[] = {
        0x29, 0, 0, 0, 3, 0x01, 0x04, 0, 0, 0xa0, 0x01, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 4, 1,
        0, 0, 0, 0, 0, 0, 8, 7, 6, 5, 4, 3, 2, 1, 4, 0, 0, 0, '/', 'l', 'o', 'g'};
    Bytes wanted(4096);
    std::memcpy(wanted.data(), head, sizeof head);
    EXPECT_TRUE(encode_file(example()) == wanted);
}

TEST(FileState, comes_back_whatever_the_length_of_its_path) {
    for (const std::size_t length : {0, 1, 4000, 4096 - 41, 4096 - 40, 9000, 65536}) {
        FileState state = example();
        state.path = std::string(length, 'p');
        Bytes bytes = encode_file(state);
        EXPECT_EQ(bytes.size() % block_bytes, 0u);
        EXPECT_EQ(file_state_bytes(std::span(bytes).first(block_bytes)), bytes.size());
        bytes.resize(bytes.size() + 5000, std::byte{7});   // its content
        const auto back = decode_file(bytes);
        ASSERT_FINE(back);
        EXPECT_TRUE(*back == state) << length;
    }
    const auto closed = decode_file(encode_file({}));
    ASSERT_FINE(closed);
    EXPECT_FALSE(closed->open);
}

TEST(FileState, anything_else_is_refused) {
    const Bytes good = encode_file(example());
    EXPECT_EQ(file_state_bytes(std::span(good).first(100)), 0u);
    EXPECT_FALSE(decode_file({}));
    for (std::size_t length = 0; length < 45; ++length)
        EXPECT_FALSE(decode_file(std::span(good).first(length))) << length;
    const auto with = [&](std::size_t at, unsigned char value) {
        Bytes bytes = good;
        bytes[at] = std::byte{value};
        return bytes;
    };
    EXPECT_FALSE(decode_file(with(4, 7)));      // a bit that means nothing
    EXPECT_FALSE(decode_file(with(6, 0x06)));   // O_TRUNC: would be one of nobody's
    EXPECT_FALSE(decode_file(with(0, 0x28)));
    EXPECT_FALSE(decode_file(with(0, 0x2a)));
    EXPECT_FALSE(decode_file(with(37, 5)));
    EXPECT_EQ(file_state_bytes(with(3, 0xff)), 0u);
    EXPECT_EQ(decode_file(with(3, 0xff)).error().code, Errc::io);
}

}  // namespace
}  // namespace ssi::ckpt::test
