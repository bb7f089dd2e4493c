// SPDX-License-Identifier: BSD-3-Clause
// Locks of files between nodes: who waits goes on when he may, and for nobody who is gone.
#include "fs_locks_service.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "loop_nodes.hpp"

namespace ssi::fs {
namespace {

using test::LoopNodes;
constexpr auto exclusive = LockKind::exclusive;
constexpr auto shared = LockKind::shared;
const LockService::Patience at_once{.wait = false};

// The home of a file is the node of its number.
struct Nodes {
    explicit Nodes(int count) : nodes(count) {
        for (int i = 0; i < count; ++i) {
            calls.push_back(
                std::make_unique<io::Calls>(nodes[i], node::ChannelId::file_system, 1));
            services.push_back(std::make_unique<LockService>(
                nodes[i], *calls.back(), 10,
                [count](InodeId file) { return NodeId(file.value % unsigned(count)); }));
        }
        nodes.start();
        nodes.run([&](node::Node& node) {
            ASSERT_TRUE(calls[node.id().value]->start());
            services[node.id().value]->start();
        });
    }
    ~Nodes() {
        for (auto& service : services) service->stop();
        for (auto& one : calls) one->stop();
    }
    LockService& operator[](std::size_t i) { return *services[i]; }

    LoopNodes nodes;
    std::vector<std::unique_ptr<io::Calls>> calls;
    std::vector<std::unique_ptr<LockService>> services;
};

LockName ranges(std::uint64_t file) { return {InodeId(file), LockFamily::range}; }
LockName whole(std::uint64_t file) { return {InodeId(file), LockFamily::whole}; }
void nap(int milliseconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds(milliseconds));
}

TEST(LockService, one_at_a_time_has_an_exclusive_lock_wherever_he_is) {
    Nodes n(3);
    std::uint64_t plain[2] = {};   // nothing but the locks guards them
    std::vector<std::thread> threads;
    for (unsigned t = 0; t < 6; ++t)
        threads.emplace_back([&, t] {
            LockService& mine = n[t % 3];
            for (unsigned i = 0; i < 150; ++i) {
                const unsigned which = (t + i) % 2;
                const LockName name = which ? ranges(1) : whole(2);
                const LockRange range = which ? LockRange{5, 9} : LockRange{};
                const auto locked = mine.lock(name, t + 1, exclusive, range, 0, {});
                ASSERT_TRUE(locked) << locked.error().to_string();
                const std::uint64_t before = plain[which];
                if (i % 16 == 0) std::this_thread::yield();
                plain[which] = before + 1;
                if (i % 3 == 0)
                    ASSERT_TRUE(mine.close(name, t + 1));
                else
                    ASSERT_TRUE(mine.unlock(name, t + 1, range));
            }
        });
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(plain[0] + plain[1], 900u);
    EXPECT_EQ(n.nodes.errors(), "");
}

TEST(LockService, says_what_is_in_the_way) {
    Nodes n(2);
    ASSERT_TRUE(n[0].lock(ranges(1), 7, exclusive, {10, 19}, 4711, {}));
    for (std::size_t i : {0u, 1u}) {
        const auto found = n[i].test(ranges(1), 8, shared, {0, 10});
        ASSERT_TRUE(found && *found);
        EXPECT_EQ(**found, (FileLock{{NodeId(0), 7}, exclusive, {10, 19}, 4711}));
        EXPECT_EQ(n[i].test(ranges(1), 8, shared, {0, 9}).value(), std::nullopt);
        const auto refused = n[i].lock(ranges(1), 8, shared, {0, 10}, 0, at_once);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error().code, Errc::would_block);
        EXPECT_EQ(refused.error().sys_errno, EAGAIN);
    }
    EXPECT_EQ(n[0].test(ranges(1), 7, exclusive, {}).value(), std::nullopt) << "his own";
    EXPECT_EQ(n[1].lock(ranges(1), 1, shared, {5, 4}, 0, {}).error().code, Errc::bad_message);
}

TEST(LockService, refuses_to_wait_in_a_circle) {
    Nodes n(2);
    ASSERT_TRUE(n[0].lock(ranges(1), 1, exclusive, {0, 0}, 0, {}));
    ASSERT_TRUE(n[1].lock(ranges(1), 1, exclusive, {1, 1}, 0, {}));
    std::thread waits([&] { EXPECT_TRUE(n[0].lock(ranges(1), 1, exclusive, {1, 1}, 0, {})); });
    Result<void> refused;
    for (int i = 0; i < 200 && refused; ++i) {   // until the other waits
        nap(5);
        refused = n[1].lock(ranges(1), 1, exclusive, {0, 0}, 0, {.deadline = 0});
        if (!refused && refused.error().code == Errc::timed_out) refused = {};
    }
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Errc::deadlock);
    EXPECT_EQ(refused.error().sys_errno, EDEADLK);
    ASSERT_TRUE(n[1].close(ranges(1), 1));
    waits.join();
}

TEST(LockService, waits_no_longer_than_it_is_told) {
    Nodes n(2);
    ASSERT_TRUE(n[0].lock(whole(1), 1, exclusive, {}, 0, {}));
    const Clock& clock = n.nodes[1].doors().clock;
    auto late = n[1].lock(whole(1), 1, shared, {}, 0, {.deadline = clock.now() + 20'000'000});
    ASSERT_FALSE(late);
    EXPECT_EQ(late.error().code, Errc::timed_out);
    std::atomic<bool> interrupted{false};
    std::thread waits([&] {
        const auto ended = n[1].lock(whole(1), 2, shared, {}, 0, {.interrupted = &interrupted});
        ASSERT_FALSE(ended);
        EXPECT_EQ(ended.error().sys_errno, EINTR);
    });
    std::thread closed([&] {
        const auto ended = n[1].lock(whole(1), 3, shared, {}, 0, {});
        ASSERT_FALSE(ended);
        EXPECT_EQ(ended.error().sys_errno, EBADF);
    });
    nap(30);
    interrupted = true;
    waits.join();
    ASSERT_TRUE(n[1].close(whole(1), 3));
    closed.join();
    // None of them is in the way any more.
    ASSERT_TRUE(n[0].unlock(whole(1), 1, {}));
    EXPECT_TRUE(n[0].lock(whole(1), 5, exclusive, {}, 0, at_once));
}

TEST(LockService, locks_of_a_dead_node_go) {
    Nodes n(3);
    ASSERT_TRUE(n[2].lock(ranges(0), 1, exclusive, {}, 0, {}));
    ASSERT_TRUE(n[0].lock(ranges(2), 1, exclusive, {}, 0, {}));
    std::thread waits([&] { EXPECT_TRUE(n[1].lock(ranges(0), 1, exclusive, {}, 0, {})); });
    std::thread asks_the_dead([&] {
        EXPECT_EQ(n[1].lock(ranges(2), 1, exclusive, {}, 0, {}).error().code, Errc::peer_lost);
    });
    nap(30);
    n.nodes[0].declare_lost(NodeId(2), "it was told so");
    n.nodes[1].declare_lost(NodeId(2), "it was told so");
    waits.join();
    asks_the_dead.join();
}

TEST(LockService, who_waits_while_it_stops_is_told) {
    Nodes n(2);
    ASSERT_TRUE(n[0].lock(ranges(0), 1, exclusive, {}, 0, {}));
    std::thread waits([&] {
        const auto ended = n[1].lock(ranges(0), 1, exclusive, {}, 0, {});
        ASSERT_FALSE(ended);
        EXPECT_EQ(ended.error().code, Errc::cancelled);
    });
    nap(30);
    n[1].stop();
    waits.join();
    EXPECT_EQ(n[1].lock(ranges(0), 1, exclusive, {}, 0, {}).error().code, Errc::cancelled);
    n.services[1].reset();   // late requests of others find nothing that is gone
    n.services[1] = nullptr;
    n.services.pop_back();
    EXPECT_TRUE(n[0].lock(ranges(1), 1, exclusive, {}, 0, at_once));
}

}  // namespace
}  // namespace ssi::fs
