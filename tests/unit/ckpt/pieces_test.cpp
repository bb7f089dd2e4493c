// SPDX-License-Identifier: BSD-3-Clause
// Messages with many bytes from one node to another, of three in one process.
#include "pieces.hpp"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "loop_session.hpp"
#include "ssi/base/random.hpp"

namespace ssi::ckpt::test {
namespace {

PieceDoors doors(LoopMember& member) { return {member.node, member.engine, member.hub}; }

Bytes content(std::uint64_t seed) {
    Random random(seed);
    Bytes bytes(1 + random.below(most_piece / 64));
    for (std::byte& one : bytes) one = std::byte(random.below(256));
    return bytes;
}

void send(LoopMember& member, std::uint64_t first, std::uint64_t count) {
    auto sender = value_or_throw(PieceSender::open(doors(member), 1));
    for (std::uint64_t i = first; i < first + count; ++i) {
        const Bytes bytes = content(i);
        const auto memory = value_or_throw(sender.room());
        ASSERT_EQ(memory.size(), most_piece);
        std::ranges::copy(bytes, memory.begin());
        // The same memory until it is sent.
        ASSERT_EQ(value_or_throw(sender.room()).data(), memory.data());
        ASSERT_TRUE(sender.send(std::as_bytes(std::span(&i, 1)), bytes.size()));
        if (i % 5 == 0) {
            ASSERT_TRUE(sender.send({}));
        }
    }
    ASSERT_TRUE(sender.settle());
}

// The bytes of each `skip`-th are not wanted.
void receive(LoopMember& member, std::uint64_t first, std::uint64_t count, std::uint64_t skip) {
    auto receiver = value_or_throw(PieceReceiver::open(doors(member), 0));
    for (std::uint64_t i = first; i < first + count; ++i) {
        const auto piece = value_or_throw(receiver.receive());
        const Bytes wanted = content(i);
        std::uint64_t number = 0;
        ASSERT_EQ(piece.head.size(), sizeof number);
        std::memcpy(&number, piece.head.data(), sizeof number);
        ASSERT_EQ(number, i);
        ASSERT_EQ(piece.bytes, wanted.size());
        if (i % skip != 0) {
            Bytes bytes(piece.bytes);
            ASSERT_TRUE(receiver.read(bytes));
            ASSERT_TRUE(bytes == wanted) << i;
            ASSERT_FALSE(receiver.read(bytes));   // once
        }
        if (i % 5 != 0) continue;
        const auto empty = value_or_throw(receiver.receive());
        ASSERT_TRUE(empty.head.empty());
        ASSERT_EQ(empty.bytes, 0u);
    }
}

void both(LoopMember& member, std::uint64_t first, std::uint64_t count, std::uint64_t skip) {
    if (member.node.rank() == 0) send(member, first, count);
    if (member.node.rank() == 1) receive(member, first, count, skip);
}

TEST(Pieces, bytes_come_as_they_were_sent_and_in_order) {
    loop_session(3, [](LoopMember& member) { both(member, 1, 203, 1000); });
}

TEST(Pieces, bytes_that_nobody_reads_hold_nobody_up) {
    loop_session(3, [](LoopMember& member) { both(member, 1, 101, 2); });
}

// Each has a sender of its own, which knows nothing of the one before.
TEST(Pieces, one_sender_comes_after_another) {
    loop_session(3, [](LoopMember& member) {
        for (std::uint64_t round = 0; round < 4; ++round)
            both(member, round * 30 + 1, 21, 1000);
    });
}

// A sender that has to wait for each object changes it as soon as it may.
TEST(Pieces, a_sender_that_is_ahead_changes_nothing_unread) {
    constexpr int count = 150;
    std::atomic<int> sent{0};
    loop_session(2, [&](LoopMember& member) {
        if (member.first()) {
            auto sender = value_or_throw(PieceSender::open(doors(member), 1));
            for (; sent < count; ++sent) {
                std::ranges::fill(value_or_throw(sender.room()), std::byte(sent.load()));
                ASSERT_TRUE(sender.send({}, most_piece));
            }
            ASSERT_TRUE(sender.settle());
            return;
        }
        auto receiver = value_or_throw(PieceReceiver::open(doors(member), 0));
        Bytes bytes(most_piece);
        for (int i = 0; i < count; ++i) {
            ASSERT_EQ(value_or_throw(receiver.receive()).bytes, most_piece);
            const int ahead = std::min(count, i + static_cast<int>(pieces_under_way));
            while (sent < ahead) member.node.doors().tasks.sleep_for(20'000);
            member.node.doors().tasks.sleep_for(200'000);
            ASSERT_EQ(sent, ahead);
            ASSERT_TRUE(receiver.read(bytes));
            ASSERT_EQ(std::ranges::count(bytes, std::byte(i)), std::ptrdiff_t{most_piece}) << i;
        }
    });
}

TEST(Pieces, what_makes_no_sense_is_refused) {
    loop_session(2, [](LoopMember& member) {
        if (member.first()) return;
        auto receiver = value_or_throw(PieceReceiver::open(doors(member), 0));
        auto* channel = value_or_throw(
            member.hub.channel(pieces_name(0, 1), pieces_under_way, UINT64_MAX));
        const auto refused = [&](std::uint32_t bytes, std::uint8_t object, std::size_t length = 8) {
            Bytes message(8);
            std::memcpy(message.data(), &bytes, sizeof bytes);
            message[4] = std::byte{object};
            message.resize(length);
            ASSERT_TRUE(kddm::sync::send(*channel, message));
            const auto piece = receiver.receive();
            ASSERT_FALSE(piece) << bytes << ' ' << int{object} << ' ' << length;
            EXPECT_EQ(piece.error().code, Errc::bad_message);
        };
        refused(0, 0xff, 7);
        refused(0, 0);                   // an object without bytes
        refused(1, 0xff);                // bytes without an object
        refused(1, pieces_under_way);
        refused(most_piece + 1, 0);
    });
}

TEST(Pieces, a_sender_that_hears_nonsense_fails) {
    loop_session(2, [](LoopMember& member) {
        if (!member.first()) return;
        auto sender = value_or_throw(PieceSender::open(doors(member), 1));
        auto* taken = value_or_throw(
            member.hub.channel(taken_name(0, 1), pieces_under_way, UINT64_MAX));
        (void)value_or_throw(sender.room());
        ASSERT_TRUE(sender.send({}, 10));
        const std::byte wrong{pieces_under_way};
        ASSERT_TRUE(kddm::sync::send(*taken, std::span(&wrong, 1)));
        const auto settled = sender.settle();
        ASSERT_FALSE(settled);
        EXPECT_EQ(settled.error().code, Errc::bad_message);
    });
}

}  // namespace
}  // namespace ssi::ckpt::test
