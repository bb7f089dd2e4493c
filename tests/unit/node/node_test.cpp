// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/node.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "loop_nodes.hpp"

namespace ssi::node {
namespace {

using test::LoopNodes;

constexpr NodeId zero{0}, one{1};

struct Recorder : Channel {
    std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t length) override {
        memory = std::make_unique<std::byte[]>(length);
        return memory.get();
    }
    void on_message(NodeId, std::span<const std::byte> header, std::span<std::byte>,
                    bool) override {
        MessageHeader parsed;
        std::memcpy(&parsed, header.data(), sizeof parsed);
        kinds.push_back(parsed.kind);
    }
    void on_large_failed(NodeId, std::byte* failed) override {
        EXPECT_EQ(failed, memory.get());
        ++large_failures;
    }
    void on_node_lost(NodeId node) override { lost.push_back(node); }

    std::vector<int> kinds;
    std::vector<NodeId> lost;
    std::unique_ptr<std::byte[]> memory;
    int large_failures = 0;
};

// A node whose transport nobody polls: the test delivers by hand.
struct Quiet {
    Quiet() : nodes(2, {.loop = {}, .config = {}, .progress_threads = false, .edit_member = {}}) {
        nodes[0].attach(ChannelId::kddm, &channel);
    }
    static MessageHeader header(std::uint64_t sequence, int kind = 0) {
        MessageHeader h;
        h.channel = static_cast<std::uint8_t>(ChannelId::kddm);
        h.kind = static_cast<std::uint8_t>(kind);
        h.incarnation = 1;
        h.sequence = sequence;
        return h;
    }
    void deliver(MessageHeader h, NodeId from = one) {
        nodes[0].on_message(from, std::as_bytes(std::span(&h, 1)), {}, false);
    }
    std::uint64_t count(const char* name) { return nodes.stats(0).counter(name).value(); }

    LoopNodes nodes;
    Recorder channel;
};

TEST(Node, drops_duplicates_but_not_messages_that_overtook) {
    Quiet quiet;
    for (std::uint64_t sequence : {2, 1, 2, 4, 1, 4, 3, 3})
        quiet.deliver(Quiet::header(sequence, static_cast<int>(sequence)));
    EXPECT_EQ(quiet.channel.kinds, (std::vector<int>{2, 1, 4, 3}));
    EXPECT_EQ(quiet.count("ssi_node_duplicates_dropped_total"), 4u);
    EXPECT_EQ(quiet.nodes.errors(), "");
}

TEST(Node, lets_duplicates_through_when_the_simulator_asks) {
    Quiet quiet;
    quiet.nodes[0].accept_duplicates_for_test();
    quiet.deliver(Quiet::header(1));
    quiet.deliver(Quiet::header(1));
    EXPECT_EQ(quiet.channel.kinds.size(), 2u);
}

TEST(Node, fences_another_incarnation) {
    Quiet quiet;
    auto old = Quiet::header(1);
    old.incarnation = 0;
    quiet.deliver(old);
    EXPECT_TRUE(quiet.channel.kinds.empty());
    EXPECT_EQ(quiet.count("ssi_node_fenced_dropped_total"), 1u);
    quiet.deliver(Quiet::header(1));
    EXPECT_EQ(quiet.channel.kinds.size(), 1u) << "a fenced message must not use up its number";
}

TEST(Node, fences_the_dead) {
    Quiet quiet;
    quiet.nodes[0].declare_lost(one, "test");
    quiet.deliver(Quiet::header(1));
    EXPECT_TRUE(quiet.channel.kinds.empty());
    EXPECT_EQ(quiet.count("ssi_node_fenced_dropped_total"), 1u);
}

TEST(Node, drops_and_logs_what_it_cannot_understand) {
    Quiet quiet;
    auto wrong_channel = Quiet::header(1);
    wrong_channel.channel = 200;
    quiet.deliver(wrong_channel);
    auto unserved = Quiet::header(2);
    unserved.channel = static_cast<std::uint8_t>(ChannelId::control);
    quiet.deliver(unserved);
    quiet.deliver(Quiet::header(1), NodeId{77});
    const std::byte small[3]{};
    quiet.nodes[0].on_message(one, small, {}, false);
    EXPECT_EQ(quiet.count("ssi_node_malformed_dropped_total"), 4u);
    EXPECT_EQ(quiet.nodes.log().lines(LogLevel::error).size(), 4u);
    EXPECT_TRUE(quiet.nodes.log().contains("its sender is not a member"));
}

TEST(Node, gives_back_memory_of_a_large_message_that_its_senders_death_overtook) {
    Quiet quiet;
    MessageHeader h = Quiet::header(1);
    const auto header = std::as_bytes(std::span(&h, 1));
    std::byte* memory = quiet.nodes[0].on_large(one, header, 100'000);
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(quiet.nodes[0].on_large(one, header, 100'000), nullptr) << "a duplicate";
    quiet.nodes[0].declare_lost(one, "test");
    quiet.nodes[0].on_message(one, header, {memory, 100'000}, true);
    EXPECT_TRUE(quiet.channel.kinds.empty());
    EXPECT_EQ(quiet.channel.large_failures, 1);
}

TEST(Node, passes_a_failed_large_message_to_the_channel_that_gave_the_memory) {
    Quiet quiet;
    MessageHeader h = Quiet::header(1);
    std::byte* memory = quiet.nodes[0].on_large(one, std::as_bytes(std::span(&h, 1)), 100'000);
    quiet.nodes[0].on_large_failed(one, memory);
    EXPECT_EQ(quiet.channel.large_failures, 1);
}

TEST(Node, names_a_lost_node_once_and_tells_its_channels_once) {
    Quiet quiet;
    EXPECT_FALSE(quiet.nodes[0].any_lost());
    EXPECT_FALSE(quiet.nodes[0].lost(one));
    quiet.nodes[0].declare_lost(one, "its process exited");
    quiet.nodes[0].declare_lost(one, "again");
    quiet.nodes[0].declare_lost(zero, "itself");
    quiet.nodes[0].declare_lost(NodeId{50}, "a stranger");
    EXPECT_TRUE(quiet.nodes[0].lost(one));
    EXPECT_FALSE(quiet.nodes[0].lost(zero));
    EXPECT_GT(quiet.nodes[0].last_loss(), 0);
    EXPECT_EQ(quiet.channel.lost, std::vector<NodeId>{one});
    const auto lines = quiet.nodes.log().lines();
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_NE(lines[0].find("node 1 lost: its process exited"), std::string::npos) << lines[0];
}

TEST(Node, refuses_to_send_to_the_dead_and_to_strangers) {
    Quiet quiet;
    quiet.nodes[0].declare_lost(one, "test");
    MessageHeader h = Quiet::header(0);
    int releases = 0;
    const net::Payload payload{nullptr, 0, [](void* n) { ++*static_cast<int*>(n); }, &releases};
    const auto dead =
        quiet.nodes[0].send(one, std::as_writable_bytes(std::span(&h, 1)), payload);
    ASSERT_FALSE(dead);
    EXPECT_EQ(dead.error().code, Errc::peer_lost);
    const auto stranger =
        quiet.nodes[0].send(NodeId{9}, std::as_writable_bytes(std::span(&h, 1)), payload);
    ASSERT_FALSE(stranger);
    EXPECT_EQ(stranger.error().code, Errc::invalid_argument);
    EXPECT_EQ(releases, 2);
}

TEST(Node, reports_a_suspicion_but_does_not_act_on_it) {
    Quiet quiet;
    std::vector<NodeId> suspects;
    quiet.nodes[0].set_suspect_handler(
        [&](NodeId peer, const Failure&) { suspects.push_back(peer); });
    quiet.nodes[0].on_peer_suspect(one, Failure{});
    EXPECT_EQ(suspects, std::vector<NodeId>{one});
    EXPECT_FALSE(quiet.nodes[0].any_lost());
}

TEST(Node, numbers_messages_of_many_threads_without_gap_or_repetition) {
    LoopNodes nodes(2, {.loop = {.reorder_seed = 9, .duplicate = true}, .config = {}});
    std::atomic<int> arrived{0};
    struct Counting : Recorder {
        std::atomic<int>* arrived = nullptr;
        void on_message(NodeId, std::span<const std::byte>, std::span<std::byte>, bool) override {
            ++*arrived;
        }
    } channel;
    channel.arrived = &arrived;
    nodes[1].attach(ChannelId::kddm, &channel);
    nodes.start();
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 500; ++i) {
                MessageHeader h = Quiet::header(0);
                ASSERT_TRUE(nodes[0].send(one, std::as_writable_bytes(std::span(&h, 1))));
            }
        });
    for (auto& thread : threads) thread.join();
    nodes.run([](Node& node) { ASSERT_TRUE(node.barrier()); });
    for (int i = 0; i < 5000 && arrived < 2000; ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    EXPECT_EQ(arrived, 2000);
    nodes.stop();
    nodes[0].publish_stats();
    nodes[1].publish_stats();
    EXPECT_EQ(nodes.stats(0).counter("ssi_node_messages_sent_total").value(), 2001u);
    EXPECT_EQ(nodes.stats(1).counter("ssi_node_messages_received_total").value(), 2001u);
    EXPECT_EQ(nodes.errors(), "");
}

TEST(Membership, spreads_slots_evenly_and_finds_sparse_members) {
    std::vector<Member> members(3);
    members[0].node = NodeId{30};
    members[1].node = NodeId{10};
    members[2].node = NodeId{20};
    const auto membership = make_membership(members);
    EXPECT_EQ(membership->members[0].node, NodeId{10});
    EXPECT_EQ(membership->index_of(NodeId{30}), 2);
    EXPECT_EQ(membership->index_of(NodeId{11}), -1);
    EXPECT_EQ(membership->find(NodeId{11}), nullptr);
    EXPECT_EQ(membership->slot_table->size(), 1024u);
    EXPECT_EQ(membership->slot_table->at(SlotId{4}).node, NodeId{20});
    EXPECT_EQ(make_membership(std::vector<Member>(1))->slot_table->size(), 1024u);
    members.resize(100);
    for (std::uint32_t i = 0; i < 100; ++i) members[i].node = NodeId{i};
    EXPECT_EQ(make_membership(members)->slot_table->size(), 2048u);
}

}  // namespace
}  // namespace ssi::node
