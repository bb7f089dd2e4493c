// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/condition.hpp"

#include "sync_cluster.hpp"

namespace ssi::test {
namespace {

using namespace std::chrono_literals;

TEST(Condition, no_notification_is_lost_between_looking_and_waiting) {
    SyncCluster cluster(2);
    int turn = 0;   // guarded by the mutex
    constexpr int rounds = 300;
    cluster.run(1, [&](int node, int) {
        Mutex mutex(cluster[node].mutex("m"));
        Condition changed(cluster[node].condition("c"));
        for (int k = 0; k < rounds; ++k) {
            std::unique_lock lock(mutex);
            changed.wait(lock, [&] { return turn % 2 == node; });
            ++turn;
            changed.notify_one();
        }
    });
    EXPECT_EQ(turn, 2 * rounds);
}

TEST(Condition, notify_all_wakes_every_waiting_thread) {
    SyncCluster cluster(3);
    bool go = false;
    std::atomic<int> ready{0}, woken{0};
    std::thread starter([&] {
        while (ready < 6) pause_ms(1);
        pause_ms(30);
        Mutex mutex(cluster[0].mutex("m"));
        std::lock_guard guard(mutex);
        go = true;
        Condition(cluster[0].condition("c")).notify_all();
    });
    cluster.run(2, [&](int node, int) {
        Mutex mutex(cluster[node].mutex("m"));
        std::unique_lock lock(mutex);
        ++ready;
        Condition(cluster[node].condition("c")).wait(lock, [&] { return go; });
        ++woken;
    });
    starter.join();
    EXPECT_EQ(woken, 6);
}

TEST(Condition, a_time_limit_ends_the_wait_with_the_mutex_locked) {
    SyncCluster cluster(2);
    Mutex mutex(cluster[1].mutex("m"));
    Condition never(cluster[1].condition(cluster.name_at(0)));
    std::unique_lock lock(mutex);
    EXPECT_FALSE(never.wait_for(lock, 20ms));
    EXPECT_TRUE(lock.owns_lock());
}

TEST(Condition, the_death_of_whoever_might_notify_ends_the_wait) {
    SyncCluster cluster(3);
    const std::string name = cluster.name_at(0);
    Errc code = Errc::ok;
    bool owned = false;
    std::thread waiting([&] {
        Mutex mutex(cluster[1].mutex(name));
        std::unique_lock lock(mutex);
        code = code_of([&] { Condition(cluster[1].condition(name)).wait(lock); });
        owned = lock.owns_lock();
    });
    pause_ms(60);
    cluster.kill(2);
    waiting.join();
    EXPECT_EQ(code, Errc::peer_lost);
    EXPECT_TRUE(owned);
}

}  // namespace
}  // namespace ssi::test
