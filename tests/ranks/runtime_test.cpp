// SPDX-License-Identifier: BSD-3-Clause
// The runtime as an application meets it: real processes, MPI bootstrap, UCX.
#include <gtest/gtest.h>
#include <mpi.h>
#include <sys/resource.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "ssi/node/process_node.hpp"

namespace ssi::node {
namespace {

using namespace std::chrono_literals;

int world_rank() {
    int rank = 0;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    return rank;
}

NodeId node_at(int rank) { return NodeId{static_cast<std::uint32_t>(rank)}; }

template <class F>
bool eventually(F&& condition, std::chrono::milliseconds limit = 20'000ms) {
    const auto end = std::chrono::steady_clock::now() + limit;
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(1ms);
    }
    return true;
}

struct TestHeader {
    MessageHeader message;
    std::uint32_t from = 0;
    std::uint32_t value = 0;
};
enum : std::uint8_t { plain, ping, pong };

// Counts, checks what comes, and answers pings.
struct TestChannel : Channel {
    std::byte* on_large(NodeId, std::span<const std::byte>, std::size_t length) override {
        large.emplace_back(new std::byte[length]);
        return large.back().get();
    }
    void on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                    bool owned) override {
        TestHeader parsed;
        ASSERT_EQ(header.size(), sizeof parsed);
        std::memcpy(&parsed, header.data(), sizeof parsed);
        EXPECT_EQ(parsed.from, from.value);
        EXPECT_EQ(owned, payload.size() > net::max_copied_payload);
        const auto expected = static_cast<std::byte>(parsed.value);
        for (std::byte b : payload) good = good && b == expected;
        bytes += payload.size();
        if (parsed.message.kind == ping) send(from, pong, parsed.value);
        if (parsed.message.kind == pong) ++pongs;
        ++messages;
    }
    void on_large_failed(NodeId, std::byte*) override { ++failures; }
    void on_node_lost(NodeId) override { ++failures; }

    void send(NodeId to, std::uint8_t kind, std::uint32_t value, net::Payload payload = {}) {
        TestHeader h;
        h.message.channel = static_cast<std::uint8_t>(ChannelId::kddm);
        h.message.kind = kind;
        h.from = node->id().value;
        h.value = value;
        const auto sent = node->send(to, std::as_writable_bytes(std::span(&h, 1)), payload);
        EXPECT_TRUE(sent) << sent.error().to_string();
    }

    Node* node = nullptr;
    std::vector<std::unique_ptr<std::byte[]>> large;
    std::atomic<std::uint64_t> messages{0}, bytes{0}, pongs{0}, failures{0};
    bool good = true;
};

// One session over a communicator, with a channel for the test's own messages.
struct Rank {
    explicit Rank(MPI_Comm comm = MPI_COMM_WORLD, Config config = {})
        : process(value_or_throw(ProcessNode::start(std::move(config), &comm))),
          node(process->node()) {
        channel.node = &node;
        node.attach(ChannelId::kddm, &channel);
        EXPECT_TRUE(node.barrier());
    }
    ~Rank() {
        const auto stopped = process->stop();
        EXPECT_TRUE(stopped) << stopped.error().to_string();
        EXPECT_FALSE(process->must_exit_hard());
        EXPECT_EQ(channel.failures, 0u);
        EXPECT_TRUE(channel.good);
    }
    void each_peer(const std::function<void(NodeId)>& body) {
        for (int i = 1; i < node.size(); ++i) body(node_at((node.rank() + i) % node.size()));
    }
    std::unique_ptr<ProcessNode> process;
    Node& node;
    TestChannel channel;
};

TEST(Runtime, knows_who_it_is_and_who_takes_part) {
    Rank rank;
    int size = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    EXPECT_EQ(rank.node.rank(), world_rank());
    EXPECT_EQ(rank.node.size(), size);
    const auto membership = rank.node.membership();
    const Member& self = membership->members[static_cast<std::size_t>(world_rank())];
    EXPECT_EQ(self.process_id, getpid());
    for (const Member& member : membership->members) {
        EXPECT_EQ(member.host_id, self.host_id);
        EXPECT_FALSE(member.host_name.empty());
        EXPECT_EQ(member.incarnation, Incarnation{1});
    }
}

TEST(Runtime, sessions_come_and_go_in_one_mpi_program) {
    for (int i = 0; i < 5; ++i) {
        Rank rank;
        std::uint64_t one = 1;
        ASSERT_TRUE(rank.node.all_reduce(std::span(&one, 1), ReduceOp::sum));
        EXPECT_EQ(one, static_cast<std::uint64_t>(rank.node.size()));
    }
    int finalized = 0;
    MPI_Finalized(&finalized);
    EXPECT_FALSE(finalized) << "MPI is the application's";
}

TEST(Runtime, reduces_and_broadcasts_from_every_root) {
    Rank rank;
    for (int round = 0; round < 50; ++round) {
        double values[2] = {1.0 + rank.node.rank(), -1.0 * rank.node.rank()};
        ASSERT_TRUE(rank.node.all_reduce(values, ReduceOp::max));
        EXPECT_EQ(values[0], rank.node.size());
        EXPECT_EQ(values[1], 0.0);
        ASSERT_TRUE(rank.node.barrier());
    }
    for (int root = 0; root < rank.node.size(); ++root) {
        for (std::size_t length : {0u, 100u, 8192u, 8193u, 5'000'000u}) {
            std::vector<std::byte> bytes;
            if (rank.node.rank() == root) bytes.assign(length, std::byte{42});
            ASSERT_TRUE(rank.node.broadcast(node_at(root), bytes));
            EXPECT_EQ(bytes, std::vector<std::byte>(length, std::byte{42}));
        }
    }
}

TEST(Runtime, carries_payloads_of_every_size_up_to_64_mib) {
    Rank rank;
    std::atomic<int> released{0};
    int lent = 0;
    std::uint64_t sent_bytes = 0, sent = 0;
    std::vector<std::vector<std::byte>> alive;
    for (std::size_t length : {std::size_t{0}, std::size_t{1}, std::size_t{150}, std::size_t{500},
                               std::size_t{8192}, std::size_t{8193}, std::size_t{65536},
                               std::size_t{1} << 20, std::size_t{64} << 20}) {
        const auto value = static_cast<std::uint32_t>(sent % 200);
        alive.emplace_back(length, static_cast<std::byte>(value));
        const auto& bytes = alive.back();
        rank.each_peer([&](NodeId peer) {
            rank.channel.send(peer, plain, value, {bytes.data(), length, nullptr, nullptr});
            if (length > 1 << 20) return;  // once is enough: the pages are slow to touch
            rank.channel.send(peer, plain, value,
                              {bytes.data(), length,
                               [](void* count) { ++*static_cast<std::atomic<int>*>(count); },
                               &released});
            ++lent;
        });
        const int times = length > 1 << 20 ? 1 : 2;
        sent_bytes += times * length;
        sent += times;
    }
    const auto peers = static_cast<std::uint64_t>(rank.node.size() - 1);
    EXPECT_TRUE(eventually([&] { return rank.channel.messages == sent * peers; }))
        << rank.channel.messages;
    EXPECT_TRUE(eventually([&] { return released == lent; })) << released << " of " << lent;
    EXPECT_EQ(rank.channel.bytes, sent_bytes * peers);
}

TEST(Runtime, many_threads_send_at_once_and_nothing_is_lost) {
    constexpr int threads_per_rank = 4;
    constexpr std::uint64_t each = 500;
    Rank rank;
    std::vector<std::thread> threads;
    for (int t = 0; t < threads_per_rank; ++t)
        threads.emplace_back([&, t] {
            const std::vector<std::byte> bytes(static_cast<std::size_t>(t) * 300,
                                               static_cast<std::byte>(t));
            for (std::uint64_t i = 0; i < each; ++i)
                rank.each_peer([&](NodeId peer) {
                    rank.channel.send(peer, plain, static_cast<std::uint32_t>(t),
                                      {bytes.data(), bytes.size(), nullptr, nullptr});
                });
        });
    for (auto& thread : threads) thread.join();
    const auto peers = static_cast<std::uint64_t>(rank.node.size() - 1);
    EXPECT_TRUE(eventually([&] {
        return rank.channel.messages == threads_per_rank * each * peers;
    })) << rank.channel.messages;
}

TEST(Runtime, handlers_answer_while_the_application_does_not_call_us) {
    Rank rank;
    for (std::uint64_t i = 1; i <= 20; ++i) {
        rank.each_peer([&](NodeId peer) {
            rank.channel.send(peer, ping, static_cast<std::uint32_t>(i));
        });
        // Nobody waits here through libssi: only progress threads move messages.
        const auto peers = static_cast<std::uint64_t>(rank.node.size() - 1);
        ASSERT_TRUE(eventually([&] { return rank.channel.pongs == i * peers; }));
    }
}

TEST(Runtime, halves_of_a_split_communicator_form_sessions_of_their_own) {
    const int color = world_rank() % 2;
    MPI_Comm half = MPI_COMM_NULL;
    MPI_Comm_split(MPI_COMM_WORLD, color, -world_rank(), &half);
    int rank_in_half = 0;
    MPI_Comm_rank(half, &rank_in_half);
    {
        Rank rank(half);
        EXPECT_EQ(rank.node.rank(), rank_in_half);
        std::uint64_t sum = static_cast<std::uint64_t>(color);
        ASSERT_TRUE(rank.node.all_reduce(std::span(&sum, 1), ReduceOp::sum));
        EXPECT_EQ(sum, static_cast<std::uint64_t>(color * rank.node.size()));
    }
    MPI_Comm_free(&half);
}

TEST(Runtime, two_sessions_live_side_by_side) {
    Rank first, second;
    for (int i = 0; i < 20; ++i) {
        ASSERT_TRUE(first.node.barrier());
        ASSERT_TRUE(second.node.barrier());
    }
}

TEST(Runtime, does_not_disturb_messages_of_the_application) {
    int size = 0;
    MPI_Comm_size(MPI_COMM_WORLD, &size);
    int token = world_rank(), got = -1;
    MPI_Request request;
    MPI_Irecv(&got, 1, MPI_INT, MPI_ANY_SOURCE, MPI_ANY_TAG, MPI_COMM_WORLD, &request);
    {
        Rank rank;
        ASSERT_TRUE(rank.node.barrier());
    }
    MPI_Send(&token, 1, MPI_INT, (world_rank() + 1) % size, 1, MPI_COMM_WORLD);
    MPI_Wait(&request, MPI_STATUS_IGNORE);
    EXPECT_EQ(got, (world_rank() + size - 1) % size);
}

TEST(Runtime, works_with_every_way_of_waiting) {
    for (const char* progress : {"auto", "spin", "yield", "block"}) {
        int size = 0;
        MPI_Comm_size(MPI_COMM_WORLD, &size);
        if (std::string(progress) == "spin" && size > 2) continue;  // by definition
        Config config;
        ASSERT_TRUE(config.set("progress", progress, "test"));
        Rank rank(MPI_COMM_WORLD, std::move(config));
        for (int i = 0; i < 20; ++i) ASSERT_TRUE(rank.node.barrier());
    }
}

TEST(Runtime, works_over_tcp_alone) {
    Config config;
    ASSERT_TRUE(config.set("net.ucx_tls", "tcp", "test"));
    Rank rank(MPI_COMM_WORLD, std::move(config));
    std::vector<std::byte> bytes(3'000'000, std::byte{7});
    rank.each_peer([&](NodeId peer) {
        rank.channel.send(peer, plain, 7, {bytes.data(), 100, nullptr, nullptr});
        rank.channel.send(peer, plain, 7, {bytes.data(), bytes.size(), nullptr, nullptr});
    });
    const auto peers = static_cast<std::uint64_t>(rank.node.size() - 1);
    EXPECT_TRUE(eventually([&] { return rank.channel.messages == 2 * peers; }));
}

// No rank may read another's memory then, and what is large travels in chunks.
TEST(Runtime, pulls_large_payloads_from_other_hosts) {
    setenv("SSI_TEST_HOST_ID", std::to_string(world_rank()).c_str(), 1);
    {
        Rank rank;
        std::vector<std::byte> bytes(5'000'001, std::byte{9});
        std::atomic<int> released{0};
        const auto peers = static_cast<std::uint64_t>(rank.node.size() - 1);
        rank.each_peer([&](NodeId peer) {
            rank.channel.send(peer, plain, 9,
                              {bytes.data(), bytes.size(),
                               [](void* count) { ++*static_cast<std::atomic<int>*>(count); },
                               &released});
            rank.channel.send(peer, plain, 9, {bytes.data(), 9000, nullptr, nullptr});
        });
        EXPECT_TRUE(eventually([&] { return rank.channel.messages == 2 * peers; }));
        EXPECT_TRUE(eventually([&] { return released == static_cast<int>(peers); }));
        EXPECT_EQ(rank.channel.bytes, (bytes.size() + 9000) * peers);
    }
    unsetenv("SSI_TEST_HOST_ID");
}

TEST(Runtime, names_an_unusable_network_on_every_rank) {
    Config config;
    ASSERT_TRUE(config.set("net.ucx_tls", "no_such_transport", "test"));
    MPI_Comm comm = MPI_COMM_WORLD;
    const auto started = ProcessNode::start(std::move(config), &comm);
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().code, Errc::transport);
    EXPECT_NE(started.error().text.find("no_such_transport"), std::string::npos)
        << started.error().text;
}

TEST(Runtime, writes_the_statistics_of_each_node) {
    const auto directory = std::filesystem::temp_directory_path() /
                           ("ssi-ranks-" + std::to_string(getpid()));
    std::filesystem::create_directory(directory);
    Config config;
    ASSERT_TRUE(config.set("stats.file", (directory / "node-%n.txt").string(), "test"));
    {
        Rank rank(MPI_COMM_WORLD, std::move(config));
        for (int i = 0; i < 10; ++i) ASSERT_TRUE(rank.node.barrier());
    }
    std::ifstream in(directory / ("node-" + std::to_string(world_rank()) + ".txt"));
    std::stringstream text;
    text << in.rdbuf();
    EXPECT_NE(text.str().find("ssi_node_messages_sent_total"), std::string::npos);
    EXPECT_TRUE(text.str().ends_with("# EOF\n"));
    std::filesystem::remove_all(directory);
}

TEST(Runtime, reaches_nodes_whose_address_it_must_ask_for) {
    Rank rank;
    // The tree is asked for the address of whom a rank does not know: 3 finds 1 by way of 2 and 0.
    if (rank.node.size() == 4 && rank.node.rank() == 3) rank.channel.send(node_at(1), ping, 0);
    if (rank.node.size() == 4 && rank.node.rank() == 3) {
        EXPECT_TRUE(eventually([&] { return rank.channel.pongs == 1; }));
    }
    ASSERT_TRUE(rank.node.barrier());
}

TEST(Runtime, an_idle_session_uses_no_processor) {
    Rank rank;
    std::this_thread::sleep_for(200ms);
    auto used_us = [] {
        rusage u{};
        getrusage(RUSAGE_SELF, &u);
        return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1'000'000 + u.ru_utime.tv_usec +
               u.ru_stime.tv_usec;
    };
    const auto before = used_us();
    std::this_thread::sleep_for(1000ms);
    const auto used = used_us() - before;
    RecordProperty("idle_us_per_s", static_cast<int>(used));
    EXPECT_LT(used, 30'000);
}

}  // namespace
}  // namespace ssi::node
