// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/mutex.hpp"

#include <mutex>

#include "sync_cluster.hpp"

namespace ssi::test {
namespace {

using namespace std::chrono_literals;

TEST(Mutex, excludes_every_other_thread_of_every_node) {
    SyncCluster cluster(3);
    constexpr int threads = 3, rounds = 300;
    std::int64_t plain = 0;   // a data race unless the mutex excludes: ThreadSanitizer watches
    std::atomic<int> inside{0};
    cluster.run(threads, [&](int node, int) {
        Mutex mutex(cluster[node].mutex("m"));
        for (int k = 0; k < rounds; ++k) {
            std::lock_guard guard(mutex);
            EXPECT_EQ(inside.fetch_add(1), 0);
            ++plain;
            inside.fetch_sub(1);
        }
    });
    EXPECT_EQ(plain, 3 * threads * rounds);
}

TEST(Mutex, locks_again_without_a_message_when_nobody_else_asked) {
    SyncCluster cluster(2);
    Mutex mutex(cluster[1].mutex(cluster.name_at(0)));
    { std::lock_guard guard(mutex); }
    auto sent = [&] {
        cluster.nodes()[1].publish_stats();
        return cluster.nodes().stats(1).counter("ssi_node_messages_sent_total").value();
    };
    const auto before = sent();
    EXPECT_GT(before, 0u);
    for (int k = 0; k < 100; ++k) std::lock_guard guard(mutex);
    EXPECT_EQ(sent(), before);
}

TEST(Mutex, serves_waiting_nodes_in_the_order_they_asked) {
    SyncCluster cluster(4);
    const std::string name = cluster.name_at(0);
    std::vector<int> order;
    Mutex first(cluster[0].mutex(name));
    std::unique_lock held(first);
    std::vector<std::thread> waiting;
    for (const int node : {2, 1, 3}) {
        waiting.emplace_back([&, node] {
            Mutex mutex(cluster[node].mutex(name));
            std::lock_guard guard(mutex);
            order.push_back(node);
        });
        pause_ms(60);
    }
    held.unlock();
    for (auto& thread : waiting) thread.join();
    EXPECT_EQ(order, (std::vector<int>{2, 1, 3}));
}

TEST(Mutex, a_try_fails_at_once_while_somebody_holds_it_and_takes_it_from_an_idle_node) {
    SyncCluster cluster(2);
    const std::string name = cluster.name_at(0);
    Mutex here(cluster[0].mutex(name)), there(cluster[1].mutex(name));
    here.lock();
    std::thread([&] {
        EXPECT_FALSE(there.try_lock());
        EXPECT_FALSE(there.try_lock());
    }).join();
    here.unlock();
    std::thread([&] {
        while (!there.try_lock()) pause_ms(1);   // what the first try asked for is on its way
        there.unlock();
    }).join();
    EXPECT_TRUE(here.try_lock());
    here.unlock();
}

TEST(Mutex, a_time_limit_ends_the_wait_and_the_lock_still_changes_hands) {
    SyncCluster cluster(2);
    const std::string name = cluster.name_at(0);
    Mutex here(cluster[0].mutex(name)), there(cluster[1].mutex(name));
    here.lock();
    std::thread([&] { EXPECT_FALSE(there.try_lock_for(20ms)); }).join();
    here.unlock();
    std::thread([&] { std::lock_guard guard(there); }).join();
    EXPECT_TRUE(here.try_lock_for(5s));
    here.unlock();
}

TEST(Mutex, the_death_of_the_holder_or_of_the_home_is_told_to_all_that_wait) {
    for (const int victim : {0, 2}) {   // 0 is the home, 2 the holder
        SyncCluster cluster(4);
        const std::string name = cluster.name_at(0);
        cluster[2].mutex(name);
        std::thread([&] { Mutex(cluster[2].mutex(name)).lock(); }).join();
        std::vector<std::thread> waiting;
        std::atomic<int> told{0};
        for (const int node : {1, 3, 3})
            waiting.emplace_back([&, node] {
                Mutex mutex(cluster[node].mutex(name));
                told += code_of([&] { mutex.lock(); }) == Errc::peer_lost;
            });
        pause_ms(60);
        EXPECT_EQ(told, 0);
        cluster.kill(victim);
        for (auto& thread : waiting) thread.join();
        EXPECT_EQ(told, 3);
        Mutex again(cluster[1].mutex(name));
        EXPECT_EQ(code_of([&] { again.lock(); }), Errc::peer_lost);
    }
}

TEST(Mutex, the_death_of_a_node_that_never_wanted_it_disturbs_nobody) {
    SyncCluster cluster(3);
    const std::string name = cluster.name_at(0);
    Mutex here(cluster[0].mutex(name)), there(cluster[1].mutex(name));
    there.lock();
    cluster.kill(2);
    std::thread waiting([&] { std::lock_guard guard(here); });
    pause_ms(20);
    there.unlock();
    waiting.join();
}

TEST(MutexDeathTest, misuse_is_named_with_its_way_out) {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(
        {
            SyncCluster cluster(1);
            Mutex mutex(cluster[0].mutex("m"));
            mutex.lock();
            mutex.lock();
        },
        "holds the mutex already: unlock it first");
    EXPECT_DEATH(
        {
            SyncCluster cluster(1);
            Mutex(cluster[0].mutex("m")).unlock();
        },
        "does not hold: the task that locked it must unlock it");
    EXPECT_DEATH(
        {
            SyncCluster cluster(1);
            Mutex(cluster[0].mutex("m")).lock();
        },
        "unlock it before closing the session");
}

}  // namespace
}  // namespace ssi::test
