// SPDX-License-Identifier: BSD-3-Clause
// Calls between nodes of one process: answers and failures whole, whatever is asked of whom at
// once, and an end for every call.
#include "calls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <numeric>
#include <thread>

#include "loop_nodes.hpp"

namespace ssi::io {
namespace {

using Bytes = std::vector<std::byte>;
using test::LoopNodes;

enum Kind : std::uint8_t { echo, refuse, work, hold, throws, grow, who, task, unknown = 99 };

Bytes bytes_of(std::string_view text) {
    const auto all = std::as_bytes(std::span(text));
    return {all.begin(), all.end()};
}

Bytes pattern(std::size_t length, unsigned seed) {
    Bytes bytes(length);
    for (std::size_t i = 0; i < length; ++i)
        bytes[i] = static_cast<std::byte>(mix64(i / 64 + seed) >> (i % 8));
    return bytes;
}

// Nodes with calls among them; `hold` waits for `open`.
struct Callers {
    explicit Callers(int count, unsigned tasks = 2, bool start = true) : nodes(count) {
        for (int i = 0; i < count; ++i) {
            calls.push_back(
                std::make_unique<Calls>(nodes[i], node::ChannelId::file_system, tasks));
            register_all(i);
        }
        nodes.start();
        if (start)
            nodes.run([&](node::Node& node) {
                EXPECT_TRUE(calls[node.id().value]->start());
            });
    }
    ~Callers() { stop(); }

    void register_all(int i) {
        Calls& mine = *calls[static_cast<std::size_t>(i)];
        mine.handle(echo, Calls::Sort::leaf, [](NodeId, std::span<const std::byte> a) {
            return Result<Bytes>(Bytes(a.begin(), a.end()));
        });
        mine.handle(refuse, Calls::Sort::leaf,
                    [](NodeId from, std::span<const std::byte>) -> Result<Bytes> {
                        return tl::unexpected(
                            Failure{Errc::io, ENOSPC, NodeId(from.value + 40),
                                    std::string(20'000, 'x')});
                    });
        mine.handle(throws, Calls::Sort::leaf,
                    [](NodeId, std::span<const std::byte>) -> Result<Bytes> {
                        throw std::runtime_error("no such thing");
                    });
        mine.handle(grow, Calls::Sort::leaf, [](NodeId, std::span<const std::byte>) {
            return Result<Bytes>(Bytes(Calls::most_bytes + 1));
        });
        mine.handle(hold, Calls::Sort::operation,
                    [this](NodeId, std::span<const std::byte> a) {
                        ++holding;
                        while (!open) std::this_thread::yield();
                        return Result<Bytes>(Bytes(a.begin(), a.end()));
                    });
        // Which task executes it.
        mine.handle(
            task, Calls::Sort::operation,
            [this](NodeId, std::span<const std::byte>) {
                ++executed;
                const std::uint64_t id = sys::current_task().id;
                const auto bytes = std::as_bytes(std::span(&id, 1));
                return Result<Bytes>(Bytes(bytes.begin(), bytes.end()));
            },
            Calls::Pace::quick);
        mine.handle(who, Calls::Sort::leaf, [i](NodeId from, std::span<const std::byte>) {
            return Result<Bytes>(Bytes{static_cast<std::byte>(i),
                                       static_cast<std::byte>(from.value)});
        });
    }
    Calls& operator[](int i) { return *calls[static_cast<std::size_t>(i)]; }
    void stop() {
        open = true;
        for (auto& one : calls) one->stop();
    }

    LoopNodes nodes;
    std::vector<std::unique_ptr<Calls>> calls;
    std::atomic<int> holding{0}, executed{0};
    std::atomic<bool> open{false};
};

TEST(Calls, answers_come_from_the_node_that_was_asked) {
    Callers c(3);
    for (std::uint32_t to = 0; to < 3; ++to) {
        const auto answer = c[1].call(NodeId(to), who, {});
        ASSERT_TRUE(answer) << answer.error().to_string();
        EXPECT_EQ(*answer, (Bytes{static_cast<std::byte>(to), std::byte{1}}));
    }
    const NodeId all[] = {NodeId(2), NodeId(0), NodeId(1), NodeId(2)};
    const auto answers = c[0].call_all(all, who, {});
    ASSERT_EQ(answers.size(), 4u);
    for (std::size_t i = 0; i < 4; ++i) {
        ASSERT_TRUE(answers[i]);
        EXPECT_EQ((*answers[i])[0], static_cast<std::byte>(all[i].value));
    }
    EXPECT_TRUE(c[0].call_all({}, who, {}).empty());
    EXPECT_EQ(c[0].call(NodeId(2), echo, {}).value().size(), 0u);
    EXPECT_EQ(c.nodes.errors(), "");
}

TEST(Calls, failures_travel_whole) {
    Callers c(2);
    for (const NodeId to : {NodeId(1), NodeId(0)}) {
        const auto answer = c[0].call(to, refuse, bytes_of("x"));
        ASSERT_FALSE(answer);
        EXPECT_EQ(answer.error().code, Errc::io);
        EXPECT_EQ(answer.error().sys_errno, ENOSPC);
        EXPECT_EQ(answer.error().node, NodeId(40));
        EXPECT_EQ(answer.error().text, std::string(20'000, 'x'));
        const auto thrown = c[0].call(to, throws, {});
        ASSERT_FALSE(thrown);
        EXPECT_EQ(thrown.error().code, Errc::function_failed);
        EXPECT_NE(thrown.error().text.find("no such thing"), std::string::npos);
        EXPECT_EQ(c[0].call(to, unknown, {}).error().code, Errc::unsupported);
    }
    EXPECT_EQ(c.nodes.errors(), "");
}

TEST(Calls, large_bytes_go_both_ways) {
    Callers c(2);
    for (const std::size_t length : {std::size_t{1}, std::size_t{8192}, std::size_t{8193},
                                     std::size_t{65536}, Calls::most_bytes}) {
        const Bytes sent = pattern(length, 7);
        const auto answer = c[1].call(NodeId(0), echo, sent);
        ASSERT_TRUE(answer) << answer.error().to_string();
        EXPECT_TRUE(*answer == sent) << length;
    }
    EXPECT_EQ(c.nodes.errors(), "");
}

TEST(Calls, too_large_is_refused_both_ways) {
    Callers c(2);
    const Bytes bytes(Calls::most_bytes + 1);
    for (const NodeId to : {NodeId(1), NodeId(0)}) {
        EXPECT_EQ(c[0].call(to, echo, bytes).error().code, Errc::too_large);
        EXPECT_EQ(c[0].call(to, grow, {}).error().code, Errc::too_large);
    }
}

TEST(Calls, many_callers_of_both_sides_at_once) {
    Callers c(2);
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 8; ++t)
        threads.emplace_back([&, t] {
            for (unsigned i = 0; i < 300; ++i) {
                const Bytes sent = pattern(i % 7 == 0 ? 20'000 : i, i * 8 + unsigned(t));
                const auto got = c[t % 2].call(NodeId(1u - unsigned(t) % 2), echo, sent);
                if (!got || *got != sent) ++wrong;
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(c.nodes.errors(), "");
}

TEST(Calls, leaf_calls_are_answered_while_all_operations_wait) {
    Callers c(2, 1);
    std::vector<std::thread> threads;
    std::atomic<int> answered{0};
    for (int t = 0; t < 6; ++t)
        threads.emplace_back([&, t] {
            if (c[t % 2].call(NodeId(1u - unsigned(t) % 2), hold, bytes_of("h"))) ++answered;
        });
    while (c.holding < 2) std::this_thread::yield();
    for (unsigned i = 0; i < 50; ++i)
        for (unsigned from : {0u, 1u})
            EXPECT_TRUE(c[int(from)].call(NodeId(1 - from), echo, bytes_of("e")));
    EXPECT_EQ(answered, 0);
    c.open = true;
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(answered, 6);
}

TEST(Calls, stop_ends_calls_under_way_on_both_sides) {
    Callers c(2, 1);
    std::vector<std::thread> threads;
    std::atomic<int> cancelled{0}, answered{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            const auto got = c[0].call(NodeId(1), hold, bytes_of("h"));
            if (!got && got.error().code == Errc::cancelled) ++cancelled;
        });
    for (int t = 0; t < 3; ++t)
        threads.emplace_back([&] {
            const auto got = c[1].call(NodeId(0), hold, bytes_of("h"));
            if (got) ++answered;
            if (!got && got.error().code == Errc::cancelled) ++cancelled;
        });
    while (c.holding < 2) std::this_thread::yield();
    std::thread opens([&] {
        std::this_thread::sleep_for(std::chrono::milliseconds(30));
        c.open = true;
    });
    c[0].stop();   // its own calls end; what it executes comes to its end, what waits does not
    opens.join();
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(cancelled + answered, 7);
    EXPECT_GE(cancelled, 6);
    EXPECT_EQ(c[0].call(NodeId(1), echo, {}).error().code, Errc::cancelled);
    EXPECT_EQ(c[0].call(NodeId(0), echo, {}).error().code, Errc::cancelled);
    EXPECT_EQ(c[1].call(NodeId(0), echo, {}).error().code, Errc::cancelled);
    EXPECT_TRUE(c[1].call(NodeId(1), echo, {}));
    c.calls[0].reset();   // and when it is gone
    EXPECT_EQ(c[1].call(NodeId(0), echo, {}).error().code, Errc::cancelled);
    c.calls.erase(c.calls.begin());
    EXPECT_EQ(c.nodes.errors(), "");
}

TEST(Calls, begin_again_in_the_same_session) {
    Callers c(2);
    EXPECT_TRUE(c[0].call(NodeId(1), who, {}));
    for (int round = 0; round < 3; ++round) {
        c.calls.clear();
        for (int i = 0; i < 2; ++i) {
            c.calls.push_back(
                std::make_unique<Calls>(c.nodes[i], node::ChannelId::file_system, 1));
            c.register_all(i);
        }
        EXPECT_EQ(c[0].call(NodeId(1), who, {}).error().code, Errc::cancelled);
        c.nodes.run([&](node::Node& node) {
            Calls& mine = *c.calls[node.id().value];
            ASSERT_TRUE(mine.start());
            EXPECT_TRUE(mine.call(NodeId(1 - node.id().value), who, {}));
        });
    }
    EXPECT_EQ(c.nodes.errors(), "");
}

TEST(Calls, a_lost_node_fails_the_calls_to_it) {
    Callers c(3, 1);
    std::vector<std::thread> threads;
    std::atomic<int> lost{0}, answered{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&, t] {
            const auto got = c[0].call(NodeId(1u + unsigned(t) % 2), hold, bytes_of("h"));
            if (got) ++answered;
            if (!got && got.error().code == Errc::peer_lost && got.error().node == NodeId(1))
                ++lost;
        });
    while (c.holding < 2) std::this_thread::yield();
    c.nodes[0].declare_lost(NodeId(1), "it was told so");
    threads[0].join();
    threads[2].join();
    EXPECT_EQ(lost, 2);
    EXPECT_EQ(c[0].call(NodeId(1), echo, {}).error().code, Errc::peer_lost);
    const NodeId all[] = {NodeId(1), NodeId(2), NodeId(0)};
    const auto answers = c[0].call_all(all, echo, {});
    EXPECT_FALSE(answers[0]);
    EXPECT_TRUE(answers[1]);
    EXPECT_TRUE(answers[2]);
    c.open = true;
    threads[1].join();
    threads[3].join();
    EXPECT_EQ(answered, 2);
}

// Whatever comes on the channel, the node goes on; a request that can be answered is.
TEST(Calls, malformed_messages_are_reported_once_and_dropped) {
    Callers c(2);
    Random random(3);
    const auto send = [&](std::size_t length, std::uint8_t kind, std::size_t payload) {
        Bytes bytes(std::max(length, sizeof(node::MessageHeader)));
        for (auto& byte : bytes) byte = static_cast<std::byte>(random.next());
        node::MessageHeader header;
        header.channel = static_cast<std::uint8_t>(node::ChannelId::file_system);
        header.kind = kind;
        header.flags = static_cast<std::uint16_t>(random.next());
        std::memcpy(bytes.data(), &header, sizeof header);
        const Bytes after(payload);
        ASSERT_TRUE(c.nodes[0].send(NodeId(1), bytes, {after.data(), after.size(), nullptr,
                                                       nullptr}));
    };
    for (std::size_t length = 16; length < 80; ++length)
        for (std::uint8_t kind = 0; kind < 5; ++kind) send(length, kind, length * 3);
    EXPECT_EQ(c[0].call(NodeId(1), echo, bytes_of("still")).value(), bytes_of("still"));
    EXPECT_EQ(c[1].call(NodeId(0), echo, bytes_of("there")).value(), bytes_of("there"));
    const std::string errors = c.nodes.errors();
    EXPECT_NE(errors.find("malformed message of node 0 dropped"), std::string::npos) << errors;
    EXPECT_EQ(std::ranges::count(errors, '\n'), 1) << errors;
}

// Node 0's only task for operations is held up: none but the caller is there to execute more.
TEST(Calls, who_waits_for_an_operation_executes_quick_ones_of_others) {
    Callers c(2, 1);
    std::thread holder([&] { EXPECT_TRUE(c[1].call(NodeId(0), hold, {})); });
    while (c.holding < 1) std::this_thread::yield();
    std::uint64_t caller = 0;
    std::atomic<bool> served{false};
    std::atomic<std::uint64_t> by{0};
    std::thread other([&] {
        const auto answer = c[1].call(NodeId(0), task, {});
        ASSERT_TRUE(answer && answer->size() == sizeof(std::uint64_t));
        std::uint64_t id = 0;
        std::memcpy(&id, answer->data(), sizeof id);
        by = id;
        served = true;
    });
    caller = sys::current_task().id;
    // Each call is a new wait, awake at first.
    while (!served) ASSERT_TRUE(c[0].call(NodeId(1), task, {}));
    EXPECT_EQ(by, caller);
    other.join();
    c.open = true;
    holder.join();
}

TEST(Calls, that_are_quick_are_executed_by_who_looks_for_them) {
    Callers c(2);
    std::atomic<bool> done{false};
    std::atomic<std::uint64_t> mine{0};
    std::thread worker([&] {
        mine = sys::current_task().id;
        while (!done) c[0].serve_others();
    });
    int by_worker = 0, calls = 0;
    for (; by_worker < 10 && calls < 200'000; ++calls) {
        const auto answer = c[1].call(NodeId(0), task, {});
        std::uint64_t id = 0;
        EXPECT_TRUE(answer && answer->size() == sizeof id);
        if (answer) std::memcpy(&id, answer->data(), sizeof id);
        by_worker += id == mine;
    }
    done = true;
    worker.join();
    EXPECT_EQ(by_worker, 10);
    EXPECT_EQ(c.executed, calls);
}

TEST(Calls, begun_earlier_are_answered_later_in_any_order_or_dropped) {
    Callers c(3);
    std::vector<Calls::Begun> begun;
    for (std::uint32_t i = 0; i < 30; ++i) {
        const Bytes bytes = pattern(i * 1000, i);
        begun.push_back(c[0].begin(NodeId(i % 3), echo, bytes));
    }
    for (std::uint32_t i = 30; i-- > 10;) {
        const auto answer = begun[i].answer();
        ASSERT_TRUE(answer) << answer.error().to_string();
        EXPECT_EQ(*answer, pattern(i * 1000, i));
    }
    begun.clear();
    auto refused = c[0].begin(NodeId(1), refuse, {});
    EXPECT_EQ(refused.answer().error().sys_errno, ENOSPC);
    auto held = c[0].begin(NodeId(1), hold, {});
    std::thread stopper([&] { c[0].stop(); });
    EXPECT_EQ(held.answer().error().code, Errc::cancelled);
    stopper.join();
    EXPECT_EQ(c[0].begin(NodeId(1), echo, {}).answer().error().code, Errc::cancelled);
}

TEST(Calls, that_nobody_waits_for_are_all_executed_before_drain_returns) {
    Callers c(2);
    constexpr int calls = 20'000;
    for (int i = 0; i < calls; ++i) c[0].call_later(NodeId(i % 2), task, {});
    c[0].drain();
    EXPECT_EQ(c.executed, calls);
    c[0].drain();
    c[0].call_later(NodeId(1), throws, {});   // told to nobody
    c[0].drain();
    c.stop();
    c[0].call_later(NodeId(1), task, {});
    c[0].drain();
    EXPECT_EQ(c.executed, calls);
    EXPECT_EQ(c.nodes.errors(), "");
}

TEST(Calls, of_a_node_that_is_no_member_fail) {
    Callers c(2);
    EXPECT_EQ(c[0].call(NodeId(9), echo, {}).error().code, Errc::invalid_argument);
}

}  // namespace
}  // namespace ssi::io
