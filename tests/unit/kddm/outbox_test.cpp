// SPDX-License-Identifier: BSD-3-Clause
// Batches of messages and the elements of updates, as they travel.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "outbox.hpp"
#include "ssi/net/transport.hpp"
#include "updates.hpp"

namespace ssi::kddm {
namespace {

struct Recorder final : Outbox::Carrier {
    struct Sent {
        NodeId to;
        Message message;
        std::vector<std::byte> bytes;
    };
    std::vector<Sent> single, packed;
    int released = 0;
    void send_one(NodeId to, Message& m, const Body&) override {
        single.push_back({to, m, {}});
    }
    void send_packed(NodeId to, Message& m, std::span<const std::byte> bytes) override {
        packed.push_back({to, m, {bytes.begin(), bytes.end()}});
    }
    void release(Block*) override { ++released; }
};

// An object's bytes with their header in front, as in an arena.
struct Bytes {
    alignas(16) std::byte memory[sizeof(sys::ObjectHeader) + 4096] = {};
    Body body(std::uint32_t length, int fill) {
        auto* header = new (memory) sys::ObjectHeader;
        header->length = length;
        std::memset(sys::bytes_of(header), fill, length);
        return Body(header);
    }
};

Message data(std::uint64_t id, std::uint32_t length) {
    Message m = make_message(Kind::data, SetId(3), id, TxnId(id + 1), NodeId(9));
    m.length = length;
    return m;
}

TEST(Outbox, packs_per_destination_and_keeps_the_order) {
    Recorder recorder;
    Bytes bytes;
    {
        Outbox outbox(recorder);
        for (std::uint64_t i = 0; i < 30; ++i) {
            Message m = data(i, static_cast<std::uint32_t>(i));
            outbox.add(NodeId(i % 3), m, bytes.body(m.length, static_cast<int>(i)));
        }
        EXPECT_TRUE(recorder.packed.empty());
    }
    EXPECT_EQ(recorder.released, 30);
    ASSERT_EQ(recorder.packed.size(), 3u);
    for (auto& sent : recorder.packed) {
        EXPECT_EQ(sent.message.kind(), Kind::batch);
        EXPECT_EQ(sent.message.acks, 10u);
        EXPECT_EQ(sent.message.length, sent.bytes.size());
        Unpacker unpacker(sent.bytes);
        std::uint64_t id = sent.to.value;
        while (unpacker.next()) {
            EXPECT_EQ(unpacker.message().object(), ObjectId(id));
            EXPECT_EQ(unpacker.message().txn, id + 1);
            ASSERT_EQ(unpacker.payload().size(), id);
            for (const std::byte b : unpacker.payload())
                EXPECT_EQ(std::to_integer<std::uint64_t>(b), id);
            id += 3;
        }
        EXPECT_TRUE(unpacker.ok());
        EXPECT_EQ(id, sent.to.value + 30);
    }
}

TEST(Outbox, never_exceeds_a_copied_payload_and_sends_large_ones_alone) {
    Recorder recorder;
    Bytes bytes;
    Outbox outbox(recorder);
    for (std::uint64_t i = 0; i < 100; ++i) {
        Message m = data(i, 2048);
        outbox.add(NodeId(0), m, bytes.body(2048, 1));
    }
    Message large = data(7, 2049);
    outbox.add(NodeId(0), large, bytes.body(2049, 1));
    outbox.flush();
    outbox.flush();
    EXPECT_EQ(recorder.single.size(), 1u);
    std::uint32_t count = 0;
    for (const auto& sent : recorder.packed) {
        EXPECT_LE(sent.bytes.size(), net::max_copied_payload);
        count += sent.message.acks;
    }
    EXPECT_EQ(count, 100u);
}

TEST(Unpacker, refuses_bytes_that_are_no_messages) {
    Recorder recorder;
    Bytes bytes;
    {
        Outbox outbox(recorder);
        for (std::uint64_t i = 0; i < 3; ++i) {
            Message m = data(i, 20);
            outbox.add(NodeId(0), m, bytes.body(20, 1));
        }
    }
    const auto whole = recorder.packed.at(0).bytes;
    const auto read = [](std::vector<std::byte> some) {
        Unpacker unpacker(some);
        int count = 0;
        while (unpacker.next()) ++count;
        return std::pair(count, unpacker.ok());
    };
    EXPECT_EQ(read(whole), std::pair(3, true));
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const auto [count, ok] = read({whole.begin(), whole.begin() + static_cast<long>(length)});
        EXPECT_EQ(ok, length % (whole.size() / 3) == 0);
        EXPECT_EQ(static_cast<std::size_t>(count), length / (whole.size() / 3));
    }
    auto nested = whole;
    nested[1] = static_cast<std::byte>(Kind::batch);
    EXPECT_EQ(read(nested), std::pair(0, false));
    auto unknown = whole;
    unknown[1] = std::byte{200};
    EXPECT_EQ(read(unknown), std::pair(0, false));
    auto too_long = whole;
    const std::uint32_t length = UINT32_MAX - 2;
    std::memcpy(too_long.data() + offsetof(Message, length), &length, 4);
    EXPECT_EQ(read(too_long), std::pair(0, false));
}

TEST(UpdateElements, survive_their_two_forms) {
    std::vector<std::byte> bytes(64);
    const Element narrow{{(1ull << 40) - 1}, 77, (64u << 20) - 8};
    ASSERT_TRUE(NarrowElement::fits(narrow.id));
    put_element(bytes.data() + 16, false, narrow);
    const Element wide{{3, UINT64_MAX}, 78, 24};
    EXPECT_FALSE(NarrowElement::fits(wide.id));
    EXPECT_FALSE(NarrowElement::fits(1ull << 40));
    const auto same = [](const Element& a, const Element& b) {
        return a.id == b.id && a.operand == b.operand && a.offset == b.offset;
    };
    EXPECT_TRUE(same(element_at(bytes, 1, false), narrow));
    put_element(bytes.data() + 32, true, wide);
    EXPECT_TRUE(same(element_at(bytes, 1, true), wide));
}

}  // namespace
}  // namespace ssi::kddm
