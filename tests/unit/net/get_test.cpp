// SPDX-License-Identifier: BSD-3-Clause
// Gets of the loop twin: reads of another node's memory.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "ssi/net/loop.hpp"
#include "ssi/sys/racing.hpp"

namespace ssi::net {
namespace {

constexpr NodeId a{0}, b{1};

struct Silent : Receiver {
    std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t) override {
        return nullptr;
    }
    void on_message(NodeId, std::span<const std::byte>, std::span<std::byte>, bool) override {}
    void on_large_failed(NodeId, std::byte*) override {}
    void on_peer_suspect(NodeId, const Failure&) override { ++suspicions; }
    int suspicions = 0;
};

// Words, shown in pieces of 1 KiB but for the last one, which is shown in part.
struct Words : ShownMemory {
    alignas(1024) std::array<std::uint64_t, 1024> words{};
    std::size_t shown_bytes = 8000;
    std::uint64_t address() const { return reinterpret_cast<std::uintptr_t>(words.data()); }
    std::span<const std::byte> piece_at(std::uint64_t place) const override {
        const auto all = std::as_bytes(std::span(words)).first(shown_bytes);
        const std::uint64_t into = place - address();
        if (into >= all.size()) return {};
        const std::size_t begin = into / 1024 * 1024;
        return all.subspan(begin, std::min<std::size_t>(1024, all.size() - begin));
    }
};

struct Asked : Get {
    std::vector<std::byte> room;
    std::atomic<int> ended{0};
    Errc outcome = Errc::internal;
    Asked(NodeId node, std::uint64_t at, std::size_t bytes) : room(bytes) {
        from = node;
        address = at;
        into = room;
        done = [](Get& get, Errc result) {
            auto& self = static_cast<Asked&>(get);
            self.outcome = result;
            ++self.ended;
        };
    }
};

class Gets : public testing::TestWithParam<std::uint64_t> {
protected:
    Gets() : world(2, {.reorder_seed = GetParam()}) {
        for (const NodeId node : {a, b}) world.transport(node).set_receiver(&silent);
        std::iota(words.words.begin(), words.words.end(), 1);
        world.transport(b).show(&words);
    }
    bool finish(Asked& asked) {
        for (int i = 0; i < 100 && asked.ended == 0; ++i) world.transport(a).poll();
        return asked.ended == 1;
    }
    LoopWorld world;
    Silent silent;
    Words words;
};
INSTANTIATE_TEST_SUITE_P(Orders, Gets, testing::Values(0, 7));

TEST_P(Gets, bring_every_length_from_every_place_without_the_other_node) {
    for (const std::size_t offset : {0u, 3u, 8u, 1000u, 1023u})
        for (const std::size_t bytes : {0u, 1u, 7u, 8u, 9u, 31u, 64u, 1024u, 5000u}) {
            Asked asked(b, words.address() + offset, bytes);
            world.transport(a).get(asked);
            ASSERT_TRUE(finish(asked)) << "nobody polls node b";
            ASSERT_EQ(asked.outcome, Errc::ok);
            const auto* all = reinterpret_cast<const std::byte*>(words.words.data());
            EXPECT_TRUE(std::equal(asked.room.begin(), asked.room.end(), all + offset));
        }
}

TEST_P(Gets, find_nothing_that_is_not_shown) {
    for (const std::uint64_t at : {words.address() - 8, words.address() + 7996,
                                   words.address() + 8000, std::uint64_t{0}, ~std::uint64_t{7}}) {
        Asked asked(b, at, 8);
        world.transport(a).get(asked);
        ASSERT_TRUE(finish(asked));
        EXPECT_EQ(asked.outcome, Errc::not_found);
    }
    world.transport(b).show(nullptr);
    Asked asked(b, words.address(), 8);
    world.transport(a).get(asked);
    ASSERT_TRUE(finish(asked));
    EXPECT_EQ(asked.outcome, Errc::not_found);
}

TEST_P(Gets, are_no_snapshots) {
    std::set<std::size_t> mixtures;
    for (int changed_after = 0; changed_after < 6; ++changed_after) {
        words.words.fill(1);
        Asked asked(b, words.address(), 64);
        world.transport(a).get(asked);
        for (int i = 0; i < changed_after; ++i) world.transport(a).poll();
        words.words.fill(2);
        ASSERT_TRUE(finish(asked));
        std::array<std::uint64_t, 8> got;
        std::memcpy(got.data(), asked.room.data(), 64);
        mixtures.insert(static_cast<std::size_t>(std::count(got.begin(), got.end(), 2u)));
    }
    EXPECT_EQ(mixtures, (std::set<std::size_t>{0, 2, 4, 6, 8}));
}

TEST_P(Gets, of_a_dead_node_end_when_it_is_forgotten) {
    Asked asked(b, words.address(), 64);
    world.kill(b);
    world.transport(a).get(asked);
    EXPECT_FALSE(finish(asked));
    EXPECT_EQ(silent.suspicions, 1);
    world.transport(a).forget(b);
    ASSERT_TRUE(finish(asked));
    EXPECT_EQ(asked.outcome, Errc::peer_lost);
    Asked later(b, words.address(), 64);
    world.transport(a).get(later);
    ASSERT_TRUE(finish(later));
    EXPECT_EQ(later.outcome, Errc::peer_lost);
}

TEST_P(Gets, may_be_started_by_the_end_of_another) {
    struct Chain : Get {
        Transport* transport;
        std::atomic<int> left{20};
        std::uint64_t word = 0;
    } chain;
    chain.transport = &world.transport(a);
    chain.from = b;
    chain.address = words.address();
    chain.into = std::as_writable_bytes(std::span(&chain.word, 1));
    chain.done = [](Get& get, Errc outcome) {
        auto& self = static_cast<Chain&>(get);
        EXPECT_EQ(outcome, Errc::ok);
        self.address += 8;
        if (--self.left > 0) self.transport->get(self);
    };
    world.transport(a).get(chain);
    for (int i = 0; i < 200 && chain.left != 0; ++i) world.transport(a).poll();
    EXPECT_EQ(chain.left, 0);
    EXPECT_EQ(chain.word, 20u);
}

// For ThreadSanitizer, and for whoever takes the memory away meanwhile.
TEST_P(Gets, run_beside_writers_until_nothing_is_shown) {
    std::atomic<bool> stop{false};
    std::thread writer([&] {
        while (!stop)
            for (auto& word : words.words) std::atomic_ref(word).fetch_add(2);
    });
    std::atomic<int> got{0}, refused{0};
    std::thread reader([&] {
        while (refused == 0) {
            Asked asked(b, words.address() + 16, 160);
            world.transport(a).get(asked);
            while (asked.ended == 0) world.transport(a).poll();
            ++(asked.outcome == Errc::ok ? got : refused);
        }
    });
    while (got < 100) std::this_thread::yield();
    world.transport(b).show(nullptr);
    reader.join();
    stop = true;
    writer.join();
}

}  // namespace
}  // namespace ssi::net
