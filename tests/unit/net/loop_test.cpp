// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/net/loop.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace ssi::net {
namespace {

constexpr NodeId a{0}, b{1};

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}
std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Writes down what the transport does; echoes when told to.
struct Recorder : Receiver {
    explicit Recorder(Transport& t) : transport(t) { t.set_receiver(this); }
    std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t length) override {
        if (refuse_large) return nullptr;
        memory = std::make_unique<std::byte[]>(length);
        return memory.get();
    }
    void on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                    bool owned) override {
        EXPECT_FALSE(inside.exchange(true)) << "two handlers of one node at once";
        headers.push_back(text_of(header));
        payloads.push_back(text_of(payload));
        any_owned = any_owned || owned;
        if (owned) {
            EXPECT_EQ(payload.data(), memory.get());
        }
        if (echo) {
            EXPECT_TRUE(transport.send(from, header, {}));
        }
        inside = false;
    }
    void on_large_failed(NodeId, std::byte* failed) override {
        EXPECT_EQ(failed, memory.get());
        ++large_failures;
    }
    void on_peer_suspect(NodeId peer, const Failure&) override { suspects.push_back(peer); }

    Transport& transport;
    std::vector<std::string> headers, payloads;
    std::vector<NodeId> suspects;
    std::unique_ptr<std::byte[]> memory;
    std::atomic<bool> inside{false};
    bool echo = false, refuse_large = false, any_owned = false;
    int large_failures = 0;
};

struct Lent {
    explicit Lent(std::size_t length) : bytes(length, std::byte{'x'}) {}
    Payload payload() {
        return {bytes.data(), bytes.size(),
                [](void* self) { ++static_cast<Lent*>(self)->releases; }, this};
    }
    std::vector<std::byte> bytes;
    std::atomic<int> releases{0};
};

struct Pair {
    explicit Pair(LoopOptions options = {}) : world(2, options) {}
    void poll_all() {
        for (int i = 0; i < 20; ++i) {
            world.transport(a).poll();
            world.transport(b).poll();
        }
    }
    LoopWorld world;
    Recorder at_a{world.transport(a)}, at_b{world.transport(b)};
};

TEST(Loop, delivers_header_and_payload) {
    Pair pair;
    const std::string payload = "body";
    ASSERT_TRUE(pair.world.transport(a).send(
        b, bytes_of("head"), {bytes_of(payload).data(), payload.size(), nullptr, nullptr}));
    EXPECT_TRUE(pair.world.transport(b).poll());
    EXPECT_EQ(pair.at_b.headers, std::vector<std::string>{"head"});
    EXPECT_EQ(pair.at_b.payloads, std::vector<std::string>{"body"});
    EXPECT_FALSE(pair.world.transport(b).poll());
}

TEST(Loop, delivers_large_payloads_into_the_receivers_memory_and_releases_once) {
    Pair pair;
    Lent lent(100'000);
    ASSERT_TRUE(pair.world.transport(a).send(b, bytes_of("h"), lent.payload()));
    EXPECT_EQ(lent.releases, 0);
    pair.poll_all();
    ASSERT_EQ(pair.at_b.payloads.size(), 1u);
    EXPECT_EQ(pair.at_b.payloads[0], std::string(100'000, 'x'));
    EXPECT_TRUE(pair.at_b.any_owned);
    EXPECT_EQ(lent.releases, 1);
}

TEST(Loop, copies_a_large_payload_that_is_not_lent) {
    Pair pair;
    std::string payload(50'000, 'p');
    ASSERT_TRUE(pair.world.transport(a).send(
        b, bytes_of("h"), {bytes_of(payload).data(), payload.size(), nullptr, nullptr}));
    payload.assign(payload.size(), 'q');
    pair.poll_all();
    ASSERT_EQ(pair.at_b.payloads.size(), 1u);
    EXPECT_EQ(pair.at_b.payloads[0], std::string(50'000, 'p'));
}

TEST(Loop, releases_a_payload_that_the_receiver_refuses) {
    Pair pair;
    pair.at_b.refuse_large = true;
    Lent lent(100'000);
    ASSERT_TRUE(pair.world.transport(a).send(b, bytes_of("h"), lent.payload()));
    pair.poll_all();
    EXPECT_TRUE(pair.at_b.headers.empty());
    EXPECT_EQ(lent.releases, 1);
}

TEST(Loop, handlers_may_send) {
    Pair pair;
    pair.at_b.echo = true;
    ASSERT_TRUE(pair.world.transport(a).send(b, bytes_of("ping"), {}));
    pair.poll_all();
    EXPECT_EQ(pair.at_a.headers, std::vector<std::string>{"ping"});
}

TEST(Loop, lets_messages_overtake_and_repeat_when_asked_to) {
    Pair pair({.reorder_seed = 3, .duplicate = true});
    std::vector<std::string> sent;
    for (int i = 0; i < 200; ++i) {
        sent.push_back(std::to_string(1000 + i));
        ASSERT_TRUE(pair.world.transport(a).send(b, bytes_of(sent.back()), {}));
        if (i % 10 == 9) pair.world.transport(b).poll();
    }
    pair.poll_all();
    auto got = pair.at_b.headers;
    EXPECT_FALSE(std::is_sorted(got.begin(), got.end()));
    EXPECT_GT(got.size(), sent.size());
    std::sort(got.begin(), got.end());
    got.erase(std::unique(got.begin(), got.end()), got.end());
    EXPECT_EQ(got, sent);
}

TEST(Loop, keeps_order_without_a_seed) {
    Pair pair;
    for (int i = 0; i < 100; ++i)
        ASSERT_TRUE(pair.world.transport(a).send(b, bytes_of(std::to_string(1000 + i)), {}));
    pair.poll_all();
    ASSERT_EQ(pair.at_b.headers.size(), 100u);
    EXPECT_TRUE(std::is_sorted(pair.at_b.headers.begin(), pair.at_b.headers.end()));
}

TEST(Loop, a_killed_node_is_suspect_and_hears_nothing) {
    Pair pair;
    pair.world.kill(b);
    Lent lent(100'000);
    EXPECT_TRUE(pair.world.transport(a).send(b, bytes_of("h"), lent.payload()));
    pair.poll_all();
    EXPECT_EQ(pair.at_a.suspects, std::vector<NodeId>{b});
    EXPECT_TRUE(pair.at_b.headers.empty());
    EXPECT_EQ(lent.releases, 1);
}

TEST(Loop, forget_fails_the_large_receives_of_a_dead_sender) {
    Pair pair;
    Lent lent(100'000);
    ASSERT_TRUE(pair.world.transport(a).send(b, bytes_of("h"), lent.payload()));
    EXPECT_TRUE(pair.world.transport(b).poll());  // memory is asked for
    pair.world.kill(a);
    pair.poll_all();
    EXPECT_EQ(pair.at_b.large_failures, 0);
    pair.world.transport(b).forget(a);
    pair.poll_all();
    EXPECT_EQ(pair.at_b.large_failures, 1);
    EXPECT_TRUE(pair.at_b.headers.empty());
}

TEST(Loop, refuses_unknown_nodes_and_long_headers) {
    Pair pair;
    Lent lent(10);
    const auto unknown = pair.world.transport(a).send(NodeId{9}, bytes_of("h"), lent.payload());
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, Errc::transport);
    EXPECT_EQ(lent.releases, 1);
    const auto longer =
        pair.world.transport(a).send(b, bytes_of(std::string(max_header_bytes + 1, 'h')), {});
    ASSERT_FALSE(longer);
    EXPECT_EQ(longer.error().code, Errc::too_large);
}

bool readable(int fd) {
    pollfd p{fd, POLLIN, 0};
    return ::poll(&p, 1, 0) == 1;
}

TEST(Loop, the_event_fd_tells_of_arrivals_only_when_armed) {
    Pair pair;
    Transport& at = pair.world.transport(b);
    ASSERT_TRUE(pair.world.transport(a).send(b, bytes_of("1"), {}));
    EXPECT_FALSE(readable(at.event_fd()));
    EXPECT_FALSE(at.arm()) << "there is something to poll";
    at.poll();
    EXPECT_TRUE(at.arm());
    EXPECT_FALSE(readable(at.event_fd()));
    ASSERT_TRUE(pair.world.transport(a).send(b, bytes_of("2"), {}));
    EXPECT_TRUE(readable(at.event_fd()));
    at.poll();
    EXPECT_TRUE(at.arm());
    EXPECT_FALSE(readable(at.event_fd()));
}

TEST(Loop, many_threads_send_and_poll_without_losing_a_message) {
    constexpr int per_thread = 500;
    LoopWorld world(2, {.reorder_seed = 5});
    Recorder at_a(world.transport(a)), at_b(world.transport(b));
    std::atomic<int> running{3};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < per_thread; ++i)
                ASSERT_TRUE(world.transport(a).send(b, bytes_of("x"), {}));
            --running;
        });
    for (int t = 0; t < 2; ++t)
        threads.emplace_back([&] {
            while (running > 0) world.transport(b).poll();
        });
    for (auto& thread : threads) thread.join();
    for (int i = 0; i < 100; ++i) world.transport(b).poll();
    EXPECT_EQ(at_b.headers.size(), 3u * per_thread);
}

}  // namespace
}  // namespace ssi::net
