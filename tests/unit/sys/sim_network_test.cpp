// SPDX-License-Identifier: BSD-3-Clause
// The simulated network, with receivers of our own.
#include "ssi/net/sim.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <map>
#include <set>
#include <string>

namespace ssi::net {
namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}
std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Notes what it gets; `hook` runs for each message.
struct Recorder : Receiver {
    struct Got {
        NodeId from;
        std::string header;
        std::string payload;
        bool owned;
        Nanoseconds time;
    };
    sys::FiberScheduler& scheduler;
    std::vector<Got> got;
    std::vector<std::unique_ptr<std::byte[]>> memory;
    std::size_t failed = 0;
    std::size_t refuse_above = SIZE_MAX;
    std::function<void(const Got&)> hook;

    explicit Recorder(sys::FiberScheduler& s) : scheduler(s) {}
    std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t length) override {
        if (length > refuse_above) return nullptr;
        memory.push_back(std::make_unique<std::byte[]>(length));
        return memory.back().get();
    }
    void on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                    bool owned) override {
        got.push_back({from, text_of(header), text_of(payload), owned, scheduler.now()});
        if (hook) hook(Got(got.back()));
    }
    void on_large_failed(NodeId, std::byte*) override { ++failed; }
    void on_peer_suspect(NodeId, const Failure&) override {}
};

struct World {
    sys::FiberScheduler scheduler;
    SimNetwork network;
    std::vector<std::unique_ptr<Recorder>> receivers;

    World(std::uint32_t nodes, SimNetwork::Options options, std::uint32_t preempt_every = 0)
        : scheduler({.seed = options.seed, .preempt_every = preempt_every}),
          network(scheduler, options) {
        for (std::uint32_t i = 0; i < nodes; ++i) {
            receivers.push_back(std::make_unique<Recorder>(scheduler));
            node(i).set_receiver(receivers.back().get());
        }
    }
    Transport& node(std::uint32_t i) { return network.endpoint(NodeId{i}, i); }
    Recorder& at(std::uint32_t i) { return *receivers[i]; }
    void on(std::uint32_t group, std::function<void()> body) {
        scheduler.spawn(group, std::move(body));
    }
    void run() { EXPECT_EQ(scheduler.run(), sys::FiberScheduler::Outcome::idle); }
};

TEST(SimNetwork, delivers_header_and_payload_after_the_latency) {
    World world(2, {.latency = 700, .per_kib = 0});
    const std::string payload = "payload";
    world.on(0, [&] {
        std::string header = "header";
        ASSERT_TRUE(world.node(0).send(
            NodeId{1}, bytes_of(header),
            {reinterpret_cast<const std::byte*>(payload.data()), payload.size()}));
        header = "gone";
    });
    world.run();
    ASSERT_EQ(world.at(1).got.size(), 1u);
    EXPECT_EQ(world.at(1).got[0].header, "header");
    EXPECT_EQ(world.at(1).got[0].payload, "payload");
    EXPECT_EQ(world.at(1).got[0].from, NodeId{0});
    EXPECT_FALSE(world.at(1).got[0].owned);
    EXPECT_EQ(world.at(1).got[0].time, 700);
    EXPECT_EQ(world.network.usage().under_way, 0u);
}

TEST(SimNetwork, large_payloads_land_in_the_receivers_memory) {
    World world(2, {});
    const std::string payload(max_copied_payload + 1, 'x');
    int released = 0;
    world.on(0, [&] {
        ASSERT_TRUE(world.node(0).send(
            NodeId{1}, bytes_of("h"),
            {reinterpret_cast<const std::byte*>(payload.data()), payload.size(),
             [](void* count) { ++*static_cast<int*>(count); }, &released}));
        EXPECT_EQ(released, 0);
    });
    world.run();
    EXPECT_EQ(released, 1);
    ASSERT_EQ(world.at(1).got.size(), 1u);
    EXPECT_TRUE(world.at(1).got[0].owned);
    EXPECT_EQ(world.at(1).got[0].payload, payload);
}

TEST(SimNetwork, shows_a_payload_that_changed_before_its_release) {
    World world(2, {});
    std::string payload(100, 'a');
    world.on(0, [&] {
        ASSERT_TRUE(world.node(0).send(
            NodeId{1}, bytes_of("h"),
            {reinterpret_cast<const std::byte*>(payload.data()), payload.size(), [](void*) {},
             nullptr}));
        payload.assign(100, 'b');
    });
    world.run();
    EXPECT_EQ(world.at(1).got.at(0).payload, std::string(100, 'b'));
}

TEST(SimNetwork, drops_a_large_message_that_the_receiver_refuses) {
    World world(2, {});
    world.at(1).refuse_above = 10'000;
    const std::string payload(20'000, 'x');
    world.on(0, [&] {
        ASSERT_TRUE(world.node(0).send(
            NodeId{1}, bytes_of("h"),
            {reinterpret_cast<const std::byte*>(payload.data()), payload.size()}));
    });
    world.run();
    EXPECT_TRUE(world.at(1).got.empty());
    EXPECT_EQ(world.network.usage().dropped, 1u);
    EXPECT_EQ(world.network.usage().under_way, 0u);
}

TEST(SimNetwork, an_unknown_node_is_refused_and_the_payload_released) {
    World world(1, {});
    int released = 0;
    world.on(0, [&] {
        auto sent = world.node(0).send(NodeId{9}, bytes_of("h"),
                                       {nullptr, 0, [](void* c) { ++*static_cast<int*>(c); },
                                        &released});
        ASSERT_FALSE(sent);
        EXPECT_EQ(sent.error().code, Errc::not_found);
    });
    world.run();
    EXPECT_EQ(released, 1);
}

void send_numbers(World& world, int count) {
    world.on(0, [&world, count] {
        for (int i = 0; i < count; ++i) {
            ASSERT_TRUE(world.node(0).send(NodeId{1}, bytes_of(std::to_string(i)), {}));
            world.scheduler.sleep_until(world.scheduler.now() + 100);
        }
    });
}

TEST(SimNetwork, keeps_order_without_faults_and_loses_it_with_reorder) {
    for (const bool reorder : {false, true}) {
        World world(2, {.reorder = reorder});
        send_numbers(world, 200);
        world.run();
        int overtakes = 0, last = -1;
        for (const auto& got : world.at(1).got) {
            overtakes += std::stoi(got.header) < last;
            last = std::stoi(got.header);
        }
        EXPECT_EQ(world.at(1).got.size(), 200u);
        EXPECT_EQ(overtakes > 20, reorder);
    }
}

TEST(SimNetwork, duplicates_are_counted_and_come_later) {
    World world(2, {.duplicate = true});
    send_numbers(world, 1000);
    world.run();
    std::map<std::string, int> times;
    for (const auto& got : world.at(1).got) ++times[got.header];
    EXPECT_EQ(times.size(), 1000u);
    EXPECT_GT(world.network.usage().duplicates, 10u);
    EXPECT_EQ(world.at(1).got.size(), 1000u + world.network.usage().duplicates);
}

TEST(SimNetwork, delays_have_a_long_tail) {
    World world(2, {.latency = 1000, .delay = true});
    world.on(0, [&world] {
        for (int i = 0; i < 2000; ++i)
            ASSERT_TRUE(world.node(0).send(NodeId{1}, bytes_of("h"), {}));
    });
    world.run();
    std::size_t slow = 0;
    for (const auto& got : world.at(1).got) slow += got.time > 100'000;
    EXPECT_GT(slow, 5u);
    EXPECT_LT(slow, 200u);
}

TEST(SimNetwork, handlers_of_one_node_run_one_at_a_time_though_preempted) {
    World world(3, {.reorder = true}, 3);
    sys::Atomic<int> word{0};
    int inside = 0, most = 0;
    world.at(2).hook = [&](const Recorder::Got&) {
        most = std::max(most, ++inside);
        for (int i = 0; i < 5; ++i) word.fetch_add(1);
        --inside;
    };
    for (std::uint32_t n : {0u, 1u})
        world.on(n, [&world, n] {
            for (int i = 0; i < 100; ++i)
                ASSERT_TRUE(world.node(n).send(NodeId{2}, bytes_of("h"), {}));
        });
    world.run();
    EXPECT_EQ(world.at(2).got.size(), 200u);
    EXPECT_EQ(most, 1);
    EXPECT_GT(world.scheduler.usage().preemptions, 100u);
}

TEST(SimNetwork, a_handler_may_send_and_the_chain_of_delays_is_counted) {
    World world(2, {});
    std::uint32_t delays = 0;
    world.at(1).hook = [&](const Recorder::Got&) {
        ASSERT_TRUE(world.node(1).send(NodeId{0}, bytes_of("reply"), {}));
    };
    world.at(0).hook = [&](const Recorder::Got&) { delays = world.scheduler.causality().delays; };
    world.on(0, [&] { ASSERT_TRUE(world.node(0).send(NodeId{1}, bytes_of("request"), {})); });
    world.run();
    EXPECT_EQ(delays, 2u);
    EXPECT_EQ(world.network.usage().messages, 2u);
    EXPECT_EQ(world.network.usage().bytes, 12u);
}

TEST(SimNetwork, nothing_reaches_a_dead_node) {
    World world(2, {});
    send_numbers(world, 100);
    world.scheduler.at(5000, [](void* n, std::uint64_t) {
        static_cast<SimNetwork*>(n)->kill(NodeId{1});
    }, &world.network, 0);
    world.run();
    EXPECT_LT(world.at(1).got.size(), 60u);
    EXPECT_GT(world.at(1).got.size(), 10u);
    EXPECT_TRUE(world.network.dead(NodeId{1}));
    EXPECT_FALSE(world.network.dead(NodeId{0}));
    EXPECT_EQ(world.network.usage().under_way, 0u);
}

TEST(SimNetwork, forget_fails_large_receives_under_way_and_refuses_sends) {
    World world(2, {.latency = 1000, .per_kib = 1000});
    const std::string payload(100'000, 'x');
    world.on(0, [&] {
        ASSERT_TRUE(world.node(0).send(
            NodeId{1}, bytes_of("h"),
            {reinterpret_cast<const std::byte*>(payload.data()), payload.size()}));
    });
    world.on(1, [&] {
        while (world.at(1).memory.empty()) world.scheduler.yield();
        world.network.kill(NodeId{0});
        world.node(1).forget(NodeId{0});
        auto sent = world.node(1).send(NodeId{0}, bytes_of("h"), {});
        ASSERT_FALSE(sent);
        EXPECT_EQ(sent.error().code, Errc::peer_lost);
    });
    world.run();
    EXPECT_EQ(world.at(1).failed, 1u);
    EXPECT_TRUE(world.at(1).got.empty());
}

std::string trace_of(std::uint64_t seed) {
    World world(4, {.seed = seed, .delay = true, .reorder = true, .duplicate = true}, 5);
    std::string trace;
    world.network.set_observer([&](const SimNetwork::Record& r) {
        trace += std::to_string(world.scheduler.now()) + " " +
                 std::to_string(static_cast<int>(r.what)) + " " + std::to_string(r.from.value) +
                 " " + std::to_string(r.to.value) + " " + text_of(r.header) + "\n";
    });
    for (std::uint32_t n = 0; n < 4; ++n)
        world.on(n, [&world, n] {
            for (std::uint32_t i = 0; i < 50; ++i) {
                const NodeId to{(n + 1 + i % 3) % 4};
                ASSERT_TRUE(world.node(n).send(to, bytes_of(std::to_string(i)), {}));
                world.scheduler.yield();
            }
        });
    world.run();
    return trace;
}

TEST(SimNetwork, same_seed_same_trace) {
    EXPECT_EQ(trace_of(1), trace_of(1));
    EXPECT_NE(trace_of(1), trace_of(2));
    EXPECT_GT(trace_of(1).size(), 1000u);
}

struct Words : ShownMemory {
    alignas(64) std::array<std::uint64_t, 8> words{};
    std::span<const std::byte> piece_at(std::uint64_t place) const override {
        const auto all = std::as_bytes(std::span(words));
        const auto into = place - reinterpret_cast<std::uintptr_t>(all.data());
        return into < all.size() ? all : std::span<const std::byte>();
    }
};

struct Asked : Get {
    std::array<std::uint64_t, 8> got{};
    int ended = 0;
    Errc outcome = Errc::internal;
    explicit Asked(const Words& words) {
        from = NodeId{1};
        address = reinterpret_cast<std::uintptr_t>(words.words.data());
        into = std::as_writable_bytes(std::span(got));
        done = [](Get& get, Errc result) {
            auto& self = static_cast<Asked&>(get);
            self.outcome = result;
            ++self.ended;
        };
    }
};

TEST(SimNetwork, gets_are_torn_between_words_and_nowhere_else) {
    int torn = 0, backwards = 0;
    for (std::uint64_t seed = 1; seed <= 30; ++seed) {
        World world(2, {.seed = seed});
        Words words;
        Asked asked(words);
        world.node(1).show(&words);
        world.on(0, [&] { world.node(0).get(asked); });
        world.on(1, [&] {
            for (std::uint64_t i = 1; asked.ended == 0; ++i) {
                words.words.fill(i << 32 | i);
                world.scheduler.yield();
            }
        });
        world.run();
        EXPECT_EQ(asked.outcome, Errc::ok);
        for (const std::uint64_t word : asked.got) EXPECT_EQ(word >> 32, word & 0xffffffff);
        torn += asked.got.front() != asked.got.back();
        backwards += asked.got.front() > asked.got.back();
        EXPECT_EQ(world.network.usage().gets, 1u);
        EXPECT_EQ(world.network.usage().messages, 0u);
    }
    EXPECT_GT(torn, 10);
    EXPECT_GT(backwards, 3) << "in any order";
}

TEST(SimNetwork, gets_of_what_is_not_shown_and_of_the_dead_end_too) {
    World world(2, {});
    Words words;
    Asked hidden(words), stuck(words), late(words);
    world.on(0, [&] {
        world.node(0).get(hidden);
        while (hidden.ended == 0) world.scheduler.yield();
        world.node(1).show(&words);
        world.network.kill(NodeId{1});
        world.node(0).get(stuck);
        for (int i = 0; i < 1000; ++i) world.scheduler.yield();
        EXPECT_EQ(stuck.ended, 0);
        world.node(0).forget(NodeId{1});
        world.node(0).get(late);
    });
    world.run();
    EXPECT_EQ(hidden.outcome, Errc::not_found);
    EXPECT_EQ(stuck.outcome, Errc::peer_lost);
    EXPECT_EQ(late.outcome, Errc::peer_lost);
    EXPECT_EQ(stuck.ended + late.ended, 2);
}

}  // namespace
}  // namespace ssi::net
