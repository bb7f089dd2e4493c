// SPDX-License-Identifier: BSD-3-Clause
// The small parts on their own: pin word, copyset, index, wire format.
#include <gtest/gtest.h>

#include <cstring>

#include "copyset.hpp"
#include "index.hpp"
#include "pin_word.hpp"
#include "wire.hpp"

namespace ssi::kddm {
namespace {

TEST(PinWord, readers_share_and_a_writer_is_alone) {
    pin::Word w{pin::readable | pin::writable};
    EXPECT_TRUE(pin::try_read(w));
    EXPECT_TRUE(pin::try_read(w));
    EXPECT_FALSE(pin::try_write(w));
    EXPECT_EQ(pin::count(pin::drop(w, Access::read)), 2u);
    EXPECT_EQ(pin::count(pin::drop(w, Access::read)), 1u);
    EXPECT_TRUE(pin::try_write(w));
    EXPECT_FALSE(pin::try_read(w));
    EXPECT_FALSE(pin::try_write(w));
    pin::drop(w, Access::write);
    EXPECT_EQ(w.load(), pin::readable | pin::writable | pin::dirty | pin::referenced);
}

TEST(PinWord, revocation_stops_new_pins_and_the_last_unpin_must_run_the_machine) {
    pin::Word w{pin::readable | pin::writable};
    ASSERT_TRUE(pin::try_read(w));
    EXPECT_FALSE(pin::revoke_all(w));
    EXPECT_FALSE(pin::try_read(w));
    pin::pin_again(w);
    EXPECT_FALSE(pin::must_run(pin::drop(w, Access::read)));
    EXPECT_TRUE(pin::must_run(pin::drop(w, Access::read)));
    EXPECT_TRUE(pin::revoke_all(w));
    EXPECT_EQ(w.load(), pin::referenced);
}

TEST(PinWord, readers_survive_a_revocation_of_writing) {
    pin::Word w{pin::readable | pin::writable};
    ASSERT_TRUE(pin::try_read(w));
    EXPECT_TRUE(pin::revoke_write(w));
    EXPECT_TRUE(pin::try_read(w));
    EXPECT_FALSE(pin::try_write(w));
}

TEST(Copyset, is_exact_up_to_six_and_a_superset_beyond) {
    std::vector<node::Member> members(2000);
    for (std::uint32_t i = 0; i < members.size(); ++i) members[i].node = NodeId(i * 3);
    const auto m = node::make_membership(std::move(members));
    Copyset c;
    for (std::uint32_t i = 0; i < 6; ++i) c.add(NodeId(i * 300), *m);
    EXPECT_FALSE(c.coarse());
    EXPECT_EQ(c.inline_size(), 6u);
    c.add(NodeId(300), *m);
    EXPECT_EQ(c.inline_size(), 6u);
    EXPECT_FALSE(c.covers(NodeId(3), *m));
    c.add(NodeId(1800), *m);
    EXPECT_TRUE(c.coarse());
    for (std::uint32_t i = 0; i <= 6; ++i) EXPECT_TRUE(c.covers(NodeId(i * 300), *m));
    EXPECT_FALSE(c.covers(NodeId(5001), *m)) << "a member, of another group";
    c.clear();
    EXPECT_TRUE(c.empty());
}

TEST(Index, names_that_come_and_go_take_no_more_memory) {
    Index index;
    std::vector<Entry> entries(100'000);
    constexpr std::size_t live = 400;   // of 1024 slots
    std::size_t early = 0;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        entries[i].id = ObjectId(i);
        entries[i].set = 7;
        ASSERT_TRUE(index.insert(hash_object(SetId(7), i), &entries[i]));
        if (i >= live) index.erase(hash_object(SetId(7), i - live), &entries[i - live]);
        if (i == 5000) early = index.bytes();
    }
    EXPECT_EQ(index.size(), live);
    EXPECT_LE(index.bytes(), early);
    for (std::size_t i = entries.size() - live; i < entries.size(); ++i)
        EXPECT_EQ(index.find(hash_object(SetId(7), i), i), &entries[i]);
}

TEST(Index, finds_what_was_inserted_through_growth_and_erasure) {
    Index index;
    std::vector<Entry> entries(5000);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        entries[i].id = ObjectId(i);
        entries[i].set = 7;
        ASSERT_TRUE(index.insert(hash_object(SetId(7), i), &entries[i]));
    }
    for (std::size_t i = 0; i < entries.size(); i += 2)
        index.erase(hash_object(SetId(7), i), &entries[i]);
    EXPECT_EQ(index.size(), 2500u);
    for (std::size_t i = 0; i < entries.size(); ++i) {
        EXPECT_EQ(index.find(hash_object(SetId(7), i), i), i % 2 ? &entries[i] : nullptr);
    }
    for (int round = 0; round < 20; ++round)
        for (std::size_t i = 0; i < 200; i += 2) {
            index.insert(hash_object(SetId(7), i), &entries[i]);
            index.erase(hash_object(SetId(7), i), &entries[i]);
        }
    EXPECT_EQ(index.size(), 2500u);
    EXPECT_EQ(index.find(hash_object(SetId(7), 4999), 4999), &entries[4999]);
}

TEST(Wire, golden_bytes_of_a_request) {
    Message m = make_message(Kind::grab_request, SetId(0x01020304), ObjectId(0x1122334455667788,
                             0x99aabbccddeeff00), TxnId(0x0a0b0c0d), NodeId(5));
    m.header.flags = flag::write | flag::has_copy;
    m.version = 6;
    m.slot_version = 1;
    const unsigned char expected[72] = {
        2, 2, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,              // channel kind flags inc seq
        4, 3, 2, 1, 5, 0, 0, 0,                                      // set, requester
        0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11,              // hi
        0x00, 0xff, 0xee, 0xdd, 0xcc, 0xbb, 0xaa, 0x99,              // lo
        0x0d, 0x0c, 0x0b, 0x0a, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0,  // txn, version
        0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0};             // acks length slot after
    ASSERT_EQ(wire_bytes(Kind::grab_request), sizeof(expected));
    EXPECT_EQ(std::memcmp(&m, expected, sizeof(expected)), 0);
    Message back;
    EXPECT_TRUE(decode(std::as_bytes(std::span(expected)), back));
    EXPECT_EQ(back.object(), m.object());
}

TEST(Wire, refuses_wrong_sizes_and_kinds) {
    Message m = make_message(Kind::ack, SetId(1), 2, TxnId(3), NodeId(4));
    const auto bytes = std::as_bytes(std::span(&m, 1));
    Message out;
    EXPECT_TRUE(decode(bytes.first(64), out));
    EXPECT_FALSE(decode(bytes.first(63), out));
    EXPECT_FALSE(decode(bytes.first(72), out));
    EXPECT_FALSE(decode(bytes.first(8), out));
    m.header.kind = 200;
    EXPECT_FALSE(decode(bytes.first(64), out));
    m.header.kind = 0;
    EXPECT_FALSE(decode(bytes.first(64), out));
}

}  // namespace
}  // namespace ssi::kddm
