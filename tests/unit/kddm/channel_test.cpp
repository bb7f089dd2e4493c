// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/kddm/channel.hpp"

#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>

#include <map>
#include <mutex>

#include "ssi/kddm/serialized.hpp"
#include "sync_cluster.hpp"

namespace ssi::test {
namespace {

using namespace std::chrono_literals;

template <class T>
Channel<T> channel(SyncCluster& cluster, int node, std::string_view name, std::uint32_t capacity) {
    return Channel<T>(*value_or_throw(cluster[node].channel(name, capacity, Channel<T>::type)));
}

struct Item {
    std::int32_t sender;
    std::int32_t number;
};

// `senders` and `receivers` threads on each node; everything arrives once, each sender's in order.
void stream(int nodes, int senders, int receivers, int count, std::uint32_t capacity, bool many) {
    SyncCluster cluster(nodes);
    std::atomic<int> left{nodes * senders};
    std::mutex mutex;
    std::map<int, std::vector<std::vector<int>>> seen;   // by sender: one sequence per receiver
    cluster.run(senders + receivers, [&](int node, int thread) {
        auto c = channel<Item>(cluster, node, "c", capacity);
        if (thread < senders) {
            const int self = node * senders + thread;
            std::vector<Item> batch;
            for (int k = 0; k < count; ++k) {
                if (!many) {
                    c.send({self, k});
                    continue;
                }
                batch.push_back({self, k});
                if (batch.size() < 7 && k + 1 < count) continue;
                c.send_many(batch);
                batch.clear();
            }
            if (--left == 0) c.close();
            return;
        }
        std::map<int, std::vector<int>> mine;
        if (many) {
            for (auto items = c.receive_many(5); !items.empty(); items = c.receive_many(5))
                for (const Item& item : items) mine[item.sender].push_back(item.number);
        } else {
            while (auto item = c.receive()) mine[item->sender].push_back(item->number);
        }
        std::lock_guard guard(mutex);
        for (auto& [sender, numbers] : mine) seen[sender].push_back(std::move(numbers));
    });
    for (int sender = 0; sender < nodes * senders; ++sender) {
        std::vector<int> all;
        for (const auto& numbers : seen[sender]) {
            EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
            all.insert(all.end(), numbers.begin(), numbers.end());
        }
        std::sort(all.begin(), all.end());
        ASSERT_EQ(all.size(), static_cast<std::size_t>(count));
        for (int k = 0; k < count; ++k) ASSERT_EQ(all[static_cast<std::size_t>(k)], k);
    }
}

TEST(Channel, delivers_every_message_once_and_in_the_order_of_its_sender) {
    stream(3, 2, 2, 200, 8, false);
}
TEST(Channel, works_with_room_for_a_single_message) { stream(2, 2, 1, 100, 1, false); }
TEST(Channel, works_with_much_room) { stream(2, 1, 1, 2000, 1000, false); }
TEST(Channel, sends_and_receives_in_batches_larger_than_its_room) { stream(3, 2, 2, 300, 4, true); }

TEST(Channel, a_sender_waits_while_the_channel_is_full) {
    SyncCluster cluster(3);
    auto a = channel<int>(cluster, 1, "c", 3);
    auto b = channel<int>(cluster, 2, "c", 3);
    // Room that was reserved for one node is called back for another.
    a.send(0);
    EXPECT_TRUE(b.try_send(1));
    EXPECT_TRUE(b.try_send(2));
    EXPECT_FALSE(b.try_send(3));
    EXPECT_FALSE(a.send_for(3, 20ms));
    std::atomic<bool> sent{false};
    std::thread sender([&] {
        a.send(3);
        sent = true;
    });
    pause_ms(40);
    EXPECT_FALSE(sent);
    EXPECT_TRUE(b.receive().has_value());
    sender.join();
    int sum = 0;
    for (int k = 0; k < 3; ++k) sum += b.receive().value();
    EXPECT_EQ(sum, 6);
    EXPECT_FALSE(a.try_receive().has_value());
}

TEST(Channel, a_receiver_waits_for_a_message_or_its_time_limit) {
    SyncCluster cluster(2);
    auto a = channel<int>(cluster, 0, "c", 4);
    auto b = channel<int>(cluster, 1, "c", 4);
    bool ended = true;
    EXPECT_FALSE(a.receive_for(10ms, &ended).has_value());
    EXPECT_FALSE(ended);
    std::thread sender([&] {
        pause_ms(30);
        b.send(42);
    });
    EXPECT_EQ(a.receive_for(10s), 42);
    sender.join();
}

// A limit that is about as long as the way of a message: none may fall between the two.
TEST(Channel, a_time_limit_never_loses_a_message_on_its_way) {
    SyncCluster cluster(2);
    constexpr int count = 2000;
    std::atomic<int> received{0};
    cluster.run(2, [&](int node, int) {
        auto c = channel<int>(cluster, node, "c", 2);
        if (node == 0) {
            for (int k = 0; k < count; ++k) c.send(k);
        } else {
            while (received < 2 * count)
                received += c.receive_for(std::chrono::microseconds(3)).has_value();
        }
    });
    EXPECT_EQ(received, 2 * count);
}

TEST(Channel, closing_lets_receivers_drain_it_and_refuses_senders) {
    SyncCluster cluster(2);
    auto a = channel<int>(cluster, 0, "c", 4);
    auto b = channel<int>(cluster, 1, "c", 4);
    a.send(1);
    b.send(2);
    std::atomic<int> ends{0};
    a.close();
    a.close();
    EXPECT_EQ(code_of([&] { for (int k = 0; k < 9; ++k) b.send(3); }), Errc::cancelled);
    int sum = 0;
    while (auto message = b.receive()) sum += *message;
    EXPECT_EQ(sum % 3, 0);
    bool ended = false;
    EXPECT_FALSE(a.try_receive(&ended).has_value());
    EXPECT_TRUE(ended);
}

TEST(Channel, closing_wakes_whoever_waits) {
    SyncCluster cluster(3);
    auto full = channel<int>(cluster, 0, "full", 1);
    auto empty = channel<int>(cluster, 0, "empty", 1);
    full.send(1);
    std::atomic<int> told{0};
    std::thread other([&] {
        pause_ms(60);
        full.close();
        empty.close();
    });
    cluster.run(1, [&](int node, int) {
        auto c = channel<int>(cluster, node, node == 2 ? "full" : "empty", 1);
        if (node == 2)
            told += code_of([&] { for (;;) c.send(2); }) == Errc::cancelled;
        else
            told += !c.receive().has_value();
    });
    other.join();
    EXPECT_EQ(told, 3);
}

TEST(Channel, select_receives_from_whichever_has_a_message) {
    SyncCluster cluster(2);
    auto ints = channel<int>(cluster, 0, "ints", 4);
    auto items = channel<Item>(cluster, 0, "items", 4);
    EXPECT_EQ(select(10ms, on(ints, [](int) { FAIL(); }), on(items, [](Item) { FAIL(); })).what,
              Selected::What::timed_out);
    std::thread sender([&] {
        pause_ms(20);
        channel<Item>(cluster, 1, "items", 4).send({3, 4});
    });
    int got = 0;
    const auto selected =
        select(10s, on(ints, [](int) { FAIL(); }), on(items, [&](Item i) { got = i.number; }));
    sender.join();
    EXPECT_EQ(got, 4);
    EXPECT_EQ(selected.index, 1u);
    ints.close();
    std::thread later([&] {
        pause_ms(20);
        items.close();
    });
    EXPECT_EQ(select(on(ints, [](int) {}), on(items, [](Item) {})).what, Selected::What::ended);
    later.join();
}

// Wherever the home is: its answer counts, however short the time.
TEST(Channel, select_without_time_to_wait_sees_what_is_there) {
    SyncCluster cluster(2);
    for (int i = 0; i < 8; ++i) {   // homes at both nodes
        auto c = channel<int>(cluster, 0, "c" + std::to_string(i), 4);
        const auto attempt = [&] { return select(0s, on(c, [](int) {})).what; };
        EXPECT_EQ(attempt(), Selected::What::timed_out);
        channel<int>(cluster, 1, c.name(), 4).send(1);
        kddm::sync::Object* const objects[] = {&c.object()};
        ASSERT_TRUE(kddm::sync::select(objects));   // it has arrived
        EXPECT_EQ(attempt(), Selected::What::received) << c.name();
        EXPECT_EQ(attempt(), Selected::What::timed_out) << c.name();
    }
}

TEST(Channel, selecting_tasks_share_messages_without_losing_any) {
    SyncCluster cluster(2);
    constexpr int count = 300;
    std::atomic<int> received{0}, done{0};
    cluster.run(4, [&](int node, int thread) {
        auto a = channel<int>(cluster, node, "a", 3);
        auto b = channel<int>(cluster, node, "b", 3);
        if (thread < 2) {
            for (int k = 0; k < count; ++k) (thread ? a : b).send(k);
            if (++done == 4) {
                a.close();
                b.close();
            }
            return;
        }
        while (select(on(a, [&](int) { ++received; }), on(b, [&](int) { ++received; }))) {
        }
    });
    EXPECT_EQ(received, 4 * count);
}

TEST(Channel, encodes_types_that_are_not_plain_bytes) {
    SyncCluster cluster(2);
    using Texts = std::vector<std::string>;
    auto a = channel<Texts>(cluster, 0, "texts", 4);
    auto b = channel<Texts>(cluster, 1, "texts", 4);
    const Texts large(300, std::string(1000, 'x'));   // beyond what the transport copies
    a.send({"one", "two"});
    b.send(large);
    Texts first = b.receive().value(), second = a.receive().value();
    if (first.size() != 2) std::swap(first, second);
    EXPECT_EQ(first, (Texts{"one", "two"}));
    EXPECT_EQ(second, large);
}

TEST(Channel, refuses_other_options_and_types) {
    SyncCluster cluster(2);
    channel<int>(cluster, 0, "c", 4);
    EXPECT_EQ(code_of([&] { channel<int>(cluster, 1, "c", 5); }), Errc::mismatch);
    EXPECT_EQ(code_of([&] { channel<Item>(cluster, 1, "c", 4); }), Errc::mismatch);
    EXPECT_EQ(code_of([&] { channel<int>(cluster, 1, "d", 0); }), Errc::invalid_argument);
}

TEST(Channel, a_death_is_told_to_all_that_wait_and_what_was_sent_is_kept) {
    SyncCluster cluster(3);
    std::string name;
    for (int i = 0; name.empty(); ++i) {
        auto c = channel<int>(cluster, 1, "c" + std::to_string(i), 4);
        if (kddm::sync::home_of(c.object()) == NodeId(0)) name = "c" + std::to_string(i);
    }
    auto empty = channel<int>(cluster, 1, name + " empty", 1);
    auto c = channel<int>(cluster, 1, name, 4);
    channel<int>(cluster, 2, name, 4).send(7);
    Errc code = Errc::ok;
    std::thread waiting([&] { code = code_of([&] { empty.receive(); }); });
    pause_ms(60);
    cluster.kill(2);
    waiting.join();
    EXPECT_EQ(code, Errc::peer_lost);
    EXPECT_EQ(c.receive(), 7);
    EXPECT_EQ(code_of([&] { c.receive(); }), Errc::peer_lost);
    c.send(8);
    EXPECT_EQ(c.receive(), 8);
    cluster.kill(0);
    EXPECT_EQ(code_of([&] { for (int k = 0; k < 9; ++k) c.send(9); }), Errc::peer_lost);
}

}  // namespace
}  // namespace ssi::test
