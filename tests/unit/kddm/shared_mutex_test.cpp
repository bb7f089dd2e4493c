// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/shared_mutex.hpp"

#include <mutex>
#include <shared_mutex>

#include "sync_cluster.hpp"

namespace ssi::test {
namespace {

using namespace std::chrono_literals;

TEST(SharedMutex, has_one_writer_or_many_readers) {
    SyncCluster cluster(3);
    constexpr int threads = 3, rounds = 200;
    std::int64_t plain = 0;
    std::atomic<int> readers{0}, writers{0}, written{0};
    cluster.run(threads, [&](int node, int thread) {
        SharedMutex mutex(cluster[node].shared_mutex("m"));
        for (int k = 0; k < rounds; ++k) {
            if ((k + thread) % 3 == 0) {
                std::lock_guard guard(mutex);
                EXPECT_EQ(writers.fetch_add(1) + readers.load(), 0);
                ++plain;
                ++written;
                writers.fetch_sub(1);
            } else {
                std::shared_lock guard(mutex);
                readers.fetch_add(1);
                EXPECT_EQ(writers.load(), 0);
                EXPECT_LE(plain, 3 * threads * rounds);
                readers.fetch_sub(1);
            }
        }
    });
    EXPECT_EQ(plain, written.load());
}

TEST(SharedMutex, readers_on_different_nodes_hold_it_at_the_same_time) {
    SyncCluster cluster(3);
    const std::string name = cluster.name_at(0);
    SharedMutex a(cluster[1].shared_mutex(name)), b(cluster[2].shared_mutex(name));
    std::shared_lock first(a);
    std::thread([&] {
        std::shared_lock second(b);
        EXPECT_FALSE(SharedMutex(cluster[0].shared_mutex(name)).try_lock());
    }).join();
}

TEST(SharedMutex, a_waiting_writer_is_not_passed_by_readers_that_come_later) {
    SyncCluster cluster(2);
    const std::string name = cluster.name_at(0);
    SharedMutex here(cluster[0].shared_mutex(name)), there(cluster[1].shared_mutex(name));
    std::shared_lock held(here);
    std::atomic<bool> wrote{false};
    std::thread writer([&] {
        std::lock_guard guard(there);
        wrote = true;
    });
    pause_ms(60);
    std::thread late([&] {
        std::shared_lock guard(here);
        EXPECT_TRUE(wrote);
    });
    pause_ms(60);
    EXPECT_FALSE(wrote);
    held.unlock();
    writer.join();
    late.join();
}

TEST(SharedMutex, a_try_takes_it_from_idle_readers_of_other_nodes) {
    SyncCluster cluster(3);
    const std::string name = cluster.name_at(0);
    for (int i = 0; i < 3; ++i) {
        SharedMutex mutex(cluster[i].shared_mutex(name));
        std::shared_lock guard(mutex);
    }
    SharedMutex mutex(cluster[1].shared_mutex(name));
    EXPECT_TRUE(mutex.try_lock());
    std::thread([&] {
        SharedMutex other(cluster[2].shared_mutex(name));
        EXPECT_FALSE(other.try_lock_shared());
        EXPECT_FALSE(other.try_lock_shared_for(20ms));
    }).join();
    mutex.unlock();
}

TEST(SharedMutex, survives_a_dead_reader_and_is_lost_with_a_writer) {
    for (const bool wrote : {false, true}) {
        SyncCluster cluster(3);
        const std::string name = cluster.name_at(0);
        std::thread([&] {
            SharedMutex mutex(cluster[2].shared_mutex(name));
            wrote ? mutex.lock() : mutex.lock_shared();
        }).join();
        Errc code = Errc::internal;
        std::thread waiting([&] {
            SharedMutex mutex(cluster[1].shared_mutex(name));
            code = code_of([&] {
                mutex.lock();
                mutex.unlock();
            });
        });
        pause_ms(40);
        cluster.kill(2);
        waiting.join();
        EXPECT_EQ(code, wrote ? Errc::peer_lost : Errc::ok);
    }
}

TEST(SharedMutexDeathTest, misuse_is_named_with_its_way_out) {
    ::testing::FLAGS_gtest_death_test_style = "threadsafe";
    EXPECT_DEATH(
        {
            SyncCluster cluster(1);
            SharedMutex mutex(cluster[0].shared_mutex("m"));
            mutex.lock_shared();
            mutex.lock();
        },
        "neither recursive nor upgradable");
    EXPECT_DEATH(
        {
            SyncCluster cluster(1);
            SharedMutex mutex(cluster[0].shared_mutex("m"));
            mutex.lock_shared();
            mutex.unlock();
        },
        "unlock_shared after lock_shared");
}

}  // namespace
}  // namespace ssi::test
