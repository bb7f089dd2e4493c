// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/net/peer_map.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace ssi::net {
namespace {

struct Entry {
    Entry(NodeId id, int start) : node(id), value(start) {}
    const NodeId node;
    std::atomic<int> value;
};

NodeId id(std::uint32_t n) { return NodeId{n}; }

TEST(PeerMap, finds_nothing_in_an_empty_map) {
    PeerMap<Entry> map;
    EXPECT_EQ(map.find(id(0)), nullptr);
    EXPECT_EQ(map.size(), 0u);
}

TEST(PeerMap, makes_each_entry_once_and_keeps_its_address) {
    PeerMap<Entry> map;
    Entry& first = map.find_or_make(id(7), 1);
    for (std::uint32_t n = 0; n < 1000; ++n) map.find_or_make(id(n), 2);
    EXPECT_EQ(map.find(id(7)), &first);
    EXPECT_EQ(first.value, 1);
    EXPECT_EQ(map.size(), 1000u);
    EXPECT_EQ(map.find(id(1000)), nullptr);
}

TEST(PeerMap, holds_sparse_ids_that_share_their_low_bits) {
    PeerMap<Entry> map;
    for (std::uint32_t n = 0; n < 64; ++n) map.find_or_make(id(n << 20), static_cast<int>(n));
    for (std::uint32_t n = 0; n < 64; ++n) {
        ASSERT_NE(map.find(id(n << 20)), nullptr);
        EXPECT_EQ(map.find(id(n << 20))->value, static_cast<int>(n));
    }
}

TEST(PeerMap, readers_and_makers_of_many_threads_agree) {
    PeerMap<Entry> map;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (std::uint32_t n = 0; n < 2000; ++n) {
                ++map.find_or_make(id(n % 500), 0).value;
                if (const Entry* entry = map.find(id((n * 7) % 500))) {
                    EXPECT_EQ(entry->node, id((n * 7) % 500));
                }
            }
        });
    for (auto& thread : threads) thread.join();
    int total = 0;
    map.for_each([&](const Entry& entry) { total += entry.value; });
    EXPECT_EQ(total, 8000);
}

}  // namespace
}  // namespace ssi::net
