// SPDX-License-Identifier: BSD-3-Clause
// Asynchronous verbs, and the loops over what a node holds.
#include <atomic>
#include <chrono>
#include <set>

#include "cluster.hpp"
#include "ssi/kddm/set.hpp"

namespace ssi::test {
namespace {

using namespace std::chrono_literals;
using kddm::Access;

TEST(Futures, a_get_is_asked_for_at_once_and_held_by_who_waits) {
    Cluster c(2, kddm::Plant::none, patient("500000"));
    auto s = c.open("s", counters(10, "node:0"));
    set_number(*s[0].grab(3), 42);
    auto future = s[1].get_async(3);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!future.ready() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    ASSERT_TRUE(future.ready());
    EXPECT_EQ(s[1].find(3), Access::read);
    EXPECT_TRUE(s[0].try_grab(3).has_value());   // nobody holds it
    auto guard = future.get();
    EXPECT_FALSE(future.valid());
    EXPECT_EQ(number(guard), 42u);
    EXPECT_FALSE(s[0].try_grab(3).has_value());
}

TEST(Futures, what_was_taken_away_meanwhile_is_asked_for_again) {
    Cluster c(2);
    auto s = c.open("s", counters(10, "node:0"));
    auto future = s[1].grab_async(3);
    for (int round = 1; round <= 20; ++round) {
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (!future.ready() && std::chrono::steady_clock::now() < end)
            std::this_thread::yield();
        ASSERT_TRUE(future.ready());
        set_number(*s[0].grab(3), static_cast<std::uint64_t>(round));
    }
    EXPECT_EQ(number(future.get()), 20u);
}

TEST(Futures, waiting_ends_in_time_while_another_node_holds_the_object) {
    Cluster c(2);
    auto s = c.open("s", counters(10, "node:0"));
    auto held = s[0].grab(3);
    auto future = s[1].grab_async(3);
    EXPECT_FALSE(future.wait_for(5ms));
    EXPECT_FALSE(future.ready());
    set_number(*held, 5);
    EXPECT_TRUE(held->put());
    EXPECT_TRUE(future.wait_for(10s));
    EXPECT_EQ(number(future.get()), 5u);
}

TEST(Futures, operations_run_and_their_results_come_in_any_order_of_asking) {
    Cluster c(2);
    for (int i = 0; i < 2; ++i)
        c[i].register_function("twice", kddm::Run::inline_in_handler,
                               [](kddm::ObjectView&, std::span<const std::byte> arguments,
                                  std::vector<std::byte>& reply) -> Result<void> {
                                   reply.assign(arguments.begin(), arguments.end());
                                   reply.insert(reply.end(), arguments.begin(), arguments.end());
                                   return {};
                               });
    auto s = c.open("s", counters(100, "hashed"));
    kddm::Set<std::uint64_t> set(s[1]);
    std::vector<Future<std::uint64_t>> adds;
    for (std::uint64_t i = 0; i < 1000; ++i)
        adds.push_back(set.fetch_add_async(i % 100, std::uint64_t{1}));
    auto apply = s[1].apply_async(7, "twice", std::vector<std::byte>(3, std::byte{9}));
    when_all(adds);
    std::vector<std::set<std::uint64_t>> seen(100);
    for (std::size_t i = 0; i < adds.size(); ++i) {
        EXPECT_TRUE(adds[i].ready());
        seen[i % 100].insert(adds[i].get());
    }
    for (const auto& values : seen) EXPECT_EQ(values.size(), 10u);
    EXPECT_EQ(apply.get(), std::vector<std::byte>(6, std::byte{9}));
    for (std::uint64_t i = 0; i < 100; ++i) EXPECT_EQ(number(*s[0].get(i)), 10u);
}

TEST(Futures, a_dropped_operation_still_executes_and_its_answer_finds_nobody) {
    Cluster c(2);
    auto s = c.open("s", counters(10, "node:0"));
    kddm::Set<std::uint64_t> set(s[1]);
    auto held = s[0].grab(3);
    for (int i = 0; i < 50; ++i) (void)set.fetch_add_async(3, std::uint64_t{1});
    EXPECT_TRUE(held->put());
    while (number(*s[1].get(3)) != 50) {
    }
}

TEST(Futures, errors_are_the_future_s) {
    Cluster c(2);
    auto s = c.open("s", counters(10, "node:0"));
    EXPECT_EQ(s[1].get_async(10).result().error().code, Errc::invalid_argument);
    EXPECT_EQ(s[1].apply_async(1, "nobody", {}).result().error().code, Errc::not_found);
    EXPECT_EQ(s[1].atomic_async(1, {}, 4).result().error().code, Errc::invalid_argument);
    kddm::Set<std::uint64_t> set(s[1]);
    auto held = s[1].get(5);
    EXPECT_EQ(set.fetch_add_async(5, 1).result().error().code, Errc::deadlock);
    EXPECT_EQ(set.fetch_add_async(4, 1).result().error().code, Errc::deadlock);
    EXPECT_EQ(s[1].get_async(4).result().error().code, Errc::deadlock);
    EXPECT_THROW((void)set.get_async(4).get(), Error);
    EXPECT_TRUE(held->put());
    EXPECT_EQ(set.fetch_add_async(5, 1).get(), 0);
}

TEST(Futures, when_all_takes_guards_in_ascending_order) {
    Cluster c(2);
    auto s = c.open("s", counters(10, "hashed"));
    c.run([&](int node) {
        for (int round = 0; round < 100; ++round) {
            std::vector<Future<kddm::RawGuard>> futures;
            for (const std::uint64_t id : {7, 2, 9, 4}) futures.push_back(s[node].grab_async(id));
            when_all(futures);
            for (auto& future : futures) {
                auto guard = future.get();
                set_number(guard, number(guard) + 1);
            }
        }
    });
    for (const std::uint64_t id : {7, 2, 9, 4}) EXPECT_EQ(number(*s[0].get(id)), 200u);
}

TEST(Futures, wait_any_names_one_that_is_ready) {
    Cluster c(2);
    auto s = c.open("s", counters(10, "node:0"));
    auto held = s[0].grab(1);
    kddm::Set<std::uint64_t> set(s[1]);
    std::vector<Future<std::uint64_t>> futures;
    futures.push_back(set.fetch_add_async(1, std::uint64_t{1}));
    futures.push_back(set.fetch_add_async(2, std::uint64_t{1}));
    EXPECT_EQ(wait_any(futures), 1u);
    EXPECT_FALSE(futures[0].ready());
    EXPECT_TRUE(held->put());
    EXPECT_EQ(futures[0].get(), 0u);
}

TEST(LocalObjects, loops_visit_what_is_here_and_what_is_owned) {
    Cluster c(2);
    auto s = c.open("s", counters(100, "node:0"));
    for (std::uint64_t i = 0; i < 40; ++i) set_number(*s[0].grab(i), i);
    for (std::uint64_t i = 0; i < 10; ++i) (void)s[1].get(i);
    for (std::uint64_t i = 10; i < 15; ++i) (void)s[1].grab(i);
    const auto ids = [](kddm::RawSet& set, bool owned) {
        std::vector<std::uint64_t> ids;
        const auto visit = [&](kddm::RawGuard& guard) { ids.push_back(guard.id().lo); };
        auto count = owned ? set.for_each_owned(visit, Access::read) : set.for_each_local(visit);
        EXPECT_TRUE(count.has_value());
        EXPECT_EQ(*count, ids.size());
        EXPECT_TRUE(std::is_sorted(ids.begin(), ids.end()));
        return ids;
    };
    EXPECT_EQ(ids(s[1], false).size(), 15u);
    EXPECT_EQ(ids(s[1], true), (std::vector<std::uint64_t>{10, 11, 12, 13, 14}));
    EXPECT_EQ(ids(s[0], true).size(), 35u);
    auto written = s[0].for_each_owned([](kddm::RawGuard& guard) { set_number(guard, 7); });
    EXPECT_EQ(*written, 35u);
    EXPECT_EQ(number(*s[1].get(3)), 7u);
    EXPECT_EQ(number(*s[1].get(12)), 12u);
}

TEST(LocalObjects, a_loop_that_would_grab_what_its_task_holds_is_a_deadlock) {
    Cluster c(1);
    auto s = c.open("s", counters(100, "node:0"));
    for (const std::uint64_t i : {3, 5}) set_number(*s[0].grab(i), i);
    const auto count = [&](Access access) {
        return s[0].for_each_owned([](kddm::RawGuard&) {}, access);
    };
    auto first = s[0].get(3);
    auto refused = count(Access::write);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, Errc::deadlock);
    EXPECT_NE(refused.error().text.find("let go first"), std::string::npos);
    EXPECT_EQ(*count(Access::read), 2u);
    ASSERT_TRUE(first->put());
    EXPECT_EQ(*count(Access::write), 2u);
}

TEST(LocalObjects, loops_go_on_while_others_take_objects_away) {
    Cluster c(2);
    auto s = c.open("s", counters(200, "hashed"));
    std::atomic<bool> stop{false};
    std::thread other([&] {
        for (std::uint64_t i = 0; !stop; ++i) {
            auto guard = s[1].grab(i * 7 % 200);
            set_number(*guard, number(*guard) + 1);
            if (i % 3 == 0) {
                ASSERT_TRUE(guard->put());
                (void)s[1].remove(i * 11 % 200);
            }
        }
    });
    for (int round = 0; round < 50; ++round)
        ASSERT_TRUE(s[0].for_each_owned([](kddm::RawGuard& guard) { set_number(guard, 1); }));
    stop = true;
    other.join();
}

}  // namespace
}  // namespace ssi::test
