// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/progress_thread.hpp"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "loop_nodes.hpp"

namespace ssi::node {
namespace {

using test::LoopNodes;
using namespace std::chrono_literals;

template <class F>
bool eventually(F&& condition, std::chrono::milliseconds limit = 5000ms) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

struct Counting : Channel {
    std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t) override {
        return nullptr;
    }
    void on_message(NodeId, std::span<const std::byte>, std::span<std::byte>, bool) override {
        ++arrived;
    }
    void on_large_failed(NodeId, std::byte*) override {}
    void on_node_lost(NodeId) override {}
    std::atomic<int> arrived{0};
};

void send_one(Node& node, NodeId to) {
    MessageHeader h;
    h.channel = static_cast<std::uint8_t>(ChannelId::kddm);
    ASSERT_TRUE(node.send(to, std::as_writable_bytes(std::span(&h, 1))));
}

class Progress : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(with_and_without_fd, Progress, testing::Bool());

TEST_P(Progress, a_node_answers_while_nobody_of_it_waits) {
    LoopNodes nodes(2, {.loop = {.event_fds = GetParam()}, .config = {}});
    Counting channel;
    nodes[1].attach(ChannelId::kddm, &channel);
    nodes.start();
    for (int i = 1; i <= 5; ++i) {
        std::this_thread::sleep_for(20ms);
        send_one(nodes[0], NodeId{1});
        ASSERT_TRUE(eventually([&] { return channel.arrived == i; }));
    }
}

TEST(Progress, sleeps_when_nothing_happens) {
    LoopNodes nodes(2);
    nodes.start();
    ASSERT_TRUE(eventually([&] { return nodes.progress(0).counts().sleeps > 0; }));
    std::this_thread::sleep_for(20ms);
    rusage before{}, after{};
    getrusage(RUSAGE_SELF, &before);
    const auto sleeps = nodes.progress(0).counts().sleeps;
    std::this_thread::sleep_for(400ms);
    getrusage(RUSAGE_SELF, &after);
    auto us = [](const rusage& u) {
        return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1'000'000 + u.ru_utime.tv_usec +
               u.ru_stime.tv_usec;
    };
    EXPECT_LE(nodes.progress(0).counts().sleeps - sleeps, 3u);
    EXPECT_LT(us(after) - us(before), 40'000) << "an idle node uses the processor";
}

// A transport on which others seem to poll, when told so: however crowded the machine is.
struct Beside : net::Transport {
    Beside() : fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
    ~Beside() override { ::close(fd); }
    NodeId self() const override { return NodeId{0}; }
    void set_receiver(net::Receiver*) override {}
    Result<void> send(NodeId, std::span<const std::byte>,
                      const net::Payload&) override { return {}; }
    bool poll() override {
        ++polls;
        return false;
    }
    void forget(NodeId) override {}
    int event_fd() const override { return fd; }
    bool arm() override {
        std::uint64_t count;
        [[maybe_unused]] const auto n = ::read(fd, &count, sizeof count);
        ++arms;
        if (others_between) polls += 100;
        return !busy;
    }
    std::uint64_t poll_count() const override {
        if (others) polls += 100;
        return polls;
    }
    void event() const {
        const std::uint64_t one = 1;
        ASSERT_EQ(::write(fd, &one, sizeof one), static_cast<ssize_t>(sizeof one));
    }
    const int fd;
    mutable std::atomic<std::uint64_t> polls{0};
    std::atomic<bool> others{false};
    std::atomic<bool> others_between{false};
    std::atomic<bool> busy{false};     // cannot be armed
    std::atomic<int> arms{0};
};

struct BesidePollers {
    RealClock clock;
    std::unique_ptr<sys::Tasks> tasks = sys::make_thread_tasks();
    Beside transport;
    ProgressThread progress{transport, clock, *tasks, {}};
};

// Finds a message at every look, and never the one that is waited for.
struct Flood final : Beside {
    bool poll() override {
        ++polls;
        return true;
    }
};

TEST(PollWaiter, keeps_its_deadline_while_other_messages_come) {
    RealClock clock;
    const auto tasks = sys::make_thread_tasks();
    Flood transport;
    WaitPolicy policy;
    policy.usable_cores = 2;
    PollWaiter waiter(transport, clock, *tasks, policy);
    sys::WaitCell never;
    const Nanoseconds start = clock.now();
    EXPECT_FALSE(waiter.wait_until(never, start + 20'000'000));
    EXPECT_LT(clock.now() - start, 5'000'000'000) << "it went far beyond its deadline";
}

TEST(Progress, never_sleeps_armed_while_others_poll) {
    BesidePollers world;
    auto& [clock, tasks, transport, progress] = world;
    transport.others = true;
    ASSERT_TRUE(progress.start());
    std::this_thread::sleep_for(50ms);
    EXPECT_EQ(transport.arms, 0);
    transport.others = false;
    EXPECT_TRUE(eventually([&] { return transport.arms == 1; })) << "then it takes over";
}

TEST(Progress, goes_back_to_watching_when_others_begin_to_poll) {
    BesidePollers world;
    auto& [clock, tasks, transport, progress] = world;
    ASSERT_TRUE(progress.start());
    ASSERT_TRUE(eventually([&] { return transport.arms == 1; }));
    transport.others = true;
    for (int i = 0; i < 20; ++i) {
        transport.event();  // wakes it the first time; then it should not sleep armed again
        std::this_thread::sleep_for(1ms);
    }
    EXPECT_EQ(transport.arms, 1) << "it armed again beside a poller";
}

// On one core the others poll only while the progress thread does not run.
TEST(Progress, goes_back_to_watching_when_it_cannot_sleep_and_others_poll_between) {
    BesidePollers world;
    auto& [clock, tasks, transport, progress] = world;
    transport.busy = true;   // as UCX is while messages keep coming
    transport.others_between = true;
    ASSERT_TRUE(progress.start());
    EXPECT_TRUE(eventually([&] { return progress.counts().takeovers >= 3; }))
        << "it went on beside a poller";
}

TEST(Progress, watches_for_an_interval_when_others_polled_while_it_slept) {
    BesidePollers world;
    auto& [clock, tasks, transport, progress] = world;
    ASSERT_TRUE(progress.start());
    ASSERT_TRUE(eventually([&] { return transport.arms == 1; }));
    EXPECT_EQ(progress.counts().takeovers, 1u);
    transport.polls += 100;
    transport.event();
    EXPECT_TRUE(eventually([&] { return progress.counts().takeovers == 2; }));
    EXPECT_TRUE(eventually([&] { return transport.arms == 2; }));
    transport.event();  // nobody else polled: it stays in charge
    EXPECT_TRUE(eventually([&] { return transport.arms == 3; }));
    EXPECT_EQ(progress.counts().takeovers, 2u);
}

TEST(Progress, tells_of_a_watched_fd_once) {
    LoopNodes nodes(1);
    nodes.start();
    const int fd = eventfd(0, EFD_NONBLOCK);
    std::atomic<int> calls{0};
    ASSERT_TRUE(nodes.progress(0).watch(fd, [&] { ++calls; }));
    std::this_thread::sleep_for(10ms);
    EXPECT_EQ(calls, 0);
    const std::uint64_t one = 1;
    ASSERT_EQ(::write(fd, &one, sizeof one), static_cast<ssize_t>(sizeof one));
    EXPECT_TRUE(eventually([&] { return calls == 1; }));
    std::this_thread::sleep_for(10ms);
    EXPECT_EQ(calls, 1);
    nodes.stop();
    ::close(fd);
    EXPECT_FALSE(nodes.progress(0).watch(-1, [] {}));
}

TEST(Progress, ticks_while_idle_and_while_messages_pour_in) {
    LoopNodes nodes(2);
    std::atomic<int> ticks{0};
    nodes.progress(1).set_tick(5'000'000, [&] { ++ticks; });
    Counting channel;
    nodes[1].attach(ChannelId::kddm, &channel);
    nodes.start();
    EXPECT_TRUE(eventually([&] { return ticks >= 5; }));
    const int before = ticks;
    const auto end = std::chrono::steady_clock::now() + 300ms;
    while (std::chrono::steady_clock::now() < end) {
        send_one(nodes[0], NodeId{1});
        std::this_thread::sleep_for(20us);
    }
    EXPECT_GE(ticks - before, 5);
}

class Waiting : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(policy, Waiting, testing::Values("auto", "spin", "yield", "block"));

TEST_P(Waiting, wakes_when_notified_and_stops_at_the_deadline) {
    LoopNodes::Options options;
    ASSERT_TRUE(options.config.set("progress", GetParam(), "test"));
    LoopNodes nodes(1, std::move(options));
    nodes.start();
    sys::Waiter& waiter = nodes[0].doors().waiter;
    const Clock& clock = nodes[0].doors().clock;
    for (int delay_ms : {0, 1, 15, 70}) {
        sys::WaitCell cell;
        std::thread signaller([&] {
            std::this_thread::sleep_for(std::chrono::milliseconds(delay_ms));
            waiter.notify(cell);
        });
        EXPECT_TRUE(waiter.wait_until(cell, clock.now() + 10'000'000'000));
        signaller.join();
    }
    sys::WaitCell never;
    const Nanoseconds start = clock.now();
    EXPECT_FALSE(waiter.wait_until(never, start + 30'000'000));
    EXPECT_GE(clock.now() - start, 30'000'000);
    EXPECT_LT(clock.now() - start, 10'000'000'000);
    sys::WaitCell past;
    EXPECT_FALSE(waiter.wait_until(past, start));
    waiter.notify(past);
    EXPECT_TRUE(waiter.wait_until(past, start));
}

TEST_P(Waiting, cells_on_the_stack_survive_a_storm_of_notifications) {
    LoopNodes::Options options;
    ASSERT_TRUE(options.config.set("progress", GetParam(), "test"));
    LoopNodes nodes(1, std::move(options));
    sys::Waiter& waiter = nodes[0].doors().waiter;
    std::atomic<sys::WaitCell*> offered{nullptr};
    std::atomic<bool> stop{false};
    std::thread signaller([&] {
        while (!stop) {
            if (sys::WaitCell* cell = offered.exchange(nullptr)) waiter.notify(*cell);
            std::this_thread::yield();
        }
    });
    for (int i = 0; i < 300; ++i) {
        sys::WaitCell cell;
        offered = &cell;
        EXPECT_TRUE(waiter.wait_until(cell, sys::Waiter::forever));
    }
    stop = true;
    signaller.join();
}

}  // namespace
}  // namespace ssi::node
