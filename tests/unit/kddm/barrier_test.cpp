// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/barrier.hpp"

#include "sync_cluster.hpp"

namespace ssi::test {
namespace {

TEST(Barrier, lets_nobody_through_before_the_last_has_arrived) {
    SyncCluster cluster(3);
    constexpr int threads = 2, rounds = 100, all = 3 * threads;
    std::atomic<int> arrived{0};
    cluster.run(threads, [&](int node, int) {
        Barrier barrier(**cluster[node].barrier("b", all));
        for (int k = 1; k <= rounds; ++k) {
            ++arrived;
            barrier.arrive_and_wait();
            EXPECT_GE(arrived.load(), k * all);
            barrier.arrive_and_wait();   // so that nobody counts for the next round yet
        }
    });
}

TEST(Barrier, needs_no_task_on_every_node_and_may_have_many_on_one) {
    SyncCluster cluster(3);
    std::vector<std::thread> all;
    for (const int node : {1, 1, 2})
        all.emplace_back([&, node] {
            for (int k = 0; k < 50; ++k)
                Barrier(**cluster[node].barrier("b", 3)).arrive_and_wait();
        });
    for (auto& thread : all) thread.join();
}

TEST(Barrier, refuses_other_numbers_of_participants) {
    SyncCluster cluster(2);
    EXPECT_EQ(cluster[0].barrier("none", 0).error().code, Errc::invalid_argument);
    auto* three = *cluster[0].barrier("b", 3);
    EXPECT_EQ(cluster[0].barrier("b", 4).error().code, Errc::mismatch);
    auto* four = *cluster[1].barrier("b", 4);
    std::thread first([&] {
        EXPECT_EQ(code_of([&] { Barrier(*three).arrive_and_wait(); }), Errc::peer_lost);
    });
    pause_ms(60);
    EXPECT_EQ(code_of([&] { Barrier(*four).arrive_and_wait(); }), Errc::mismatch);
    // Which leaves the first waiting for two that do not come; a death ends that too.
    cluster.kill(1);
    first.join();
}

TEST(Barrier, a_death_is_told_to_all_that_wait) {
    SyncCluster cluster(3);
    std::atomic<int> told{0};
    std::vector<std::thread> all;
    for (const int node : {0, 0, 2})
        all.emplace_back([&, node] {
            Barrier barrier(**cluster[node].barrier("b", 9));
            told += code_of([&] { barrier.arrive_and_wait(); }) == Errc::peer_lost;
        });
    pause_ms(60);
    EXPECT_EQ(told, 0);
    cluster.kill(1);
    for (auto& thread : all) thread.join();
    EXPECT_EQ(told, 3);
    EXPECT_EQ(code_of([&] { Barrier(**cluster[2].barrier("b", 9)).arrive_and_wait(); }),
              Errc::peer_lost);
}

}  // namespace
}  // namespace ssi::test
