// SPDX-License-Identifier: BSD-3-Clause
// The detector over the loop transport: the members' processes are children of this test.
#include "detector.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <thread>

#include "address_book.hpp"
#include "control.hpp"
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

// A process that does nothing until it is killed.
class Child {
public:
    Child() : pid_(::fork()) {
        if (pid_ == 0) {
            for (;;) ::pause();
        }
    }
    ~Child() { kill(); }
    pid_t pid() const { return pid_; }
    void kill() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
        pid_ = 0;
    }

private:
    pid_t pid_;
};

std::vector<NodeId> ring(int node, int size) {
    auto id = [&](int i) { return NodeId{static_cast<std::uint32_t>((i + size) % size)}; };
    return {id(node - 1), id(node + 1)};
}

// Node i runs as children[i] on host hosts[i], and knows its neighbours on the ring.
struct World {
    explicit World(std::vector<std::uint64_t> host_ids, const char* interval_ms = "20")
        : hosts(std::move(host_ids)), children(hosts.size()), nodes(count(), options(interval_ms)) {
        for (int i = 0; i < count(); ++i) {
            Node& node = nodes[i];
            detectors.push_back(
                std::make_unique<Detector>(node, nodes.progress(i), ring(i, count())));
            books.push_back(std::make_unique<AddressBook>(
                node, no_node, NodeId{0}, std::map<NodeId, AddressBook::Address>{},
                [](NodeId, std::span<const std::byte>) {}));
            controls.push_back(
                std::make_unique<Control>(node, *books.back(), *detectors.back()));
            node.attach(ChannelId::control, controls.back().get());
            Detector* detector = detectors.back().get();
            node.set_suspect_handler([detector](NodeId peer, const Failure& why) {
                detector->on_suspect(peer, why);
            });
            nodes.progress(i).set_tick(20'000'000, [detector] { detector->on_tick(); });
        }
    }
    ~World() { nodes.stop(); }

    int count() const { return static_cast<int>(hosts.size()); }
    LoopNodes::Options options(const char* interval_ms) {
        LoopNodes::Options result;
        EXPECT_TRUE(result.config.set("detect.interval_ms", interval_ms, "test"));
        result.edit_member = [this](Member& member) {
            member.host_id = hosts[member.node.value];
            member.process_id = children[member.node.value].pid();
        };
        return result;
    }
    void start() {
        nodes.start();
        for (auto& detector : detectors) detector->start();
    }
    // The process ends and its node falls silent.
    void kill(int i) {
        nodes.world().kill(NodeId{static_cast<std::uint32_t>(i)});
        children[static_cast<std::size_t>(i)].kill();
    }
    bool lost(int dead) {
        for (int i = 0; i < count(); ++i)
            if (i != dead && !nodes[i].lost(NodeId{static_cast<std::uint32_t>(dead)})) return false;
        return true;
    }
    std::string logged() {
        std::string text;
        for (const std::string& line : nodes.log().lines()) text += line + "\n";
        return text;
    }
    void send(int from, int to) {
        send_control(nodes[from], NodeId{static_cast<std::uint32_t>(to)}, ControlKind::pong,
                     NodeId{static_cast<std::uint32_t>(from)});
    }

    std::vector<std::uint64_t> hosts;
    std::vector<Child> children;
    LoopNodes nodes;
    std::vector<std::unique_ptr<Detector>> detectors;
    std::vector<std::unique_ptr<AddressBook>> books;
    std::vector<std::unique_ptr<Control>> controls;
};

TEST(Detector, the_end_of_a_process_on_this_host_is_a_loss) {
    World world({1, 1, 1});
    world.start();
    std::this_thread::sleep_for(50ms);
    EXPECT_FALSE(world.nodes[0].any_lost());
    world.kill(1);
    EXPECT_TRUE(eventually([&] { return world.lost(1); }));
    EXPECT_FALSE(world.nodes[0].lost(NodeId{2}));
    EXPECT_TRUE(world.nodes.log().contains("node 1 lost: process"));
}

TEST(Detector, a_process_that_is_gone_before_the_start_is_a_loss) {
    World world({1, 1});
    world.kill(1);
    world.start();
    EXPECT_TRUE(eventually([&] { return world.nodes[0].lost(NodeId{1}); }));
}

TEST(Detector, news_reach_every_host_over_the_neighbours) {
    World world({1, 1, 2, 3, 4, 5});
    world.start();
    world.kill(1);
    EXPECT_TRUE(eventually([&] { return world.lost(1); }));
}

TEST(Detector, a_broken_connection_is_confirmed_by_a_node_on_the_same_host) {
    World world({1, 2, 2, 3});
    world.start();
    world.kill(2);
    world.send(0, 2);  // finds the connection broken
    EXPECT_TRUE(eventually([&] { return world.lost(2); }));
}

TEST(Detector, without_a_witness_a_second_broken_connection_is_the_proof) {
    World world({1, 2});
    world.start();
    world.kill(1);
    world.send(0, 1);
    EXPECT_TRUE(eventually([&] { return world.lost(1); }));
    EXPECT_TRUE(world.nodes.log().contains("and so did a fresh one"));
}

TEST(Detector, the_end_of_a_whole_host_is_found_although_its_nodes_are_each_others_witnesses) {
    World world({1, 2, 2});
    world.start();
    for (std::uint32_t i : {1u, 2u}) world.nodes.world().kill(NodeId{i});  // before either tells
    world.kill(1);
    world.kill(2);
    world.send(0, 1);
    EXPECT_TRUE(eventually([&] {
        return world.nodes[0].lost(NodeId{1}) && world.nodes[0].lost(NodeId{2});
    })) << world.logged();
}

TEST(Detector, a_broken_connection_to_a_living_node_is_no_loss) {
    World world({1, 2, 2});
    world.start();
    world.detectors[0]->on_suspect(NodeId{1}, Failure{Errc::transport, 0, NodeId{1}, "a test"});
    EXPECT_TRUE(eventually([&] { return world.nodes.log().contains("node 1 lives, but a test"); }));
    world.detectors[1]->on_suspect(NodeId{2}, Failure{Errc::transport, 0, NodeId{2}, "on host"});
    EXPECT_TRUE(
        eventually([&] { return world.nodes.log().contains("node 2 lives, but on host"); }));
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(world.nodes[i].any_lost());
}

TEST(Detector, a_silent_node_is_no_loss) {
    World world({1, 1, 2});
    world.start();
    world.nodes.world().kill(NodeId{1});  // silent, but its process lives
    world.send(0, 1);
    std::this_thread::sleep_for(200ms);
    for (int i = 0; i < 3; ++i) EXPECT_FALSE(world.nodes[i].any_lost());
}

TEST(Detector, does_nothing_after_close_or_when_switched_off) {
    World closed({1, 1});
    closed.start();
    closed.detectors[0]->close();
    closed.kill(1);
    std::this_thread::sleep_for(50ms);
    EXPECT_FALSE(closed.nodes[0].any_lost());

    World off({1, 1});  // its detectors are never started, as with detect.enabled off
    off.nodes.start();
    off.kill(1);
    off.detectors[0]->on_told(NodeId{1}, "hearsay");
    std::this_thread::sleep_for(50ms);
    EXPECT_FALSE(off.nodes[0].any_lost());
}

TEST(Control, drops_what_it_does_not_know) {
    World world({1, 1});
    world.start();
    send_control(world.nodes[0], NodeId{1}, static_cast<ControlKind>(99), NodeId{0});
    EXPECT_TRUE(eventually([&] { return world.nodes.log().contains("dropped: kind 99"); }));
}

// ---- addresses

// A chain: each node's parent is the one before it, and it knows only that one's address.
struct Chain {
    explicit Chain(int size) : told(static_cast<std::size_t>(size)), nodes(size, quiet()) {
        for (int i = 0; i < size; ++i) {
            std::map<NodeId, AddressBook::Address> known;
            for (int k = 0; k < size; ++k)
                if (i == 0 || k == i - 1)
                    known[id(k)] = AddressBook::Address(8, static_cast<std::byte>(k));
            books.push_back(std::make_unique<AddressBook>(
                nodes[i], i ? id(i - 1) : no_node, id(0), std::move(known),
                [this, i](NodeId target, std::span<const std::byte> address) {
                    EXPECT_EQ(address.size(), 8u);
                    EXPECT_EQ(address[0], static_cast<std::byte>(target.value));
                    ++told[static_cast<std::size_t>(i)];
                }));
            detectors.push_back(
                std::make_unique<Detector>(nodes[i], nodes.progress(i), std::vector<NodeId>{}));
            controls.push_back(
                std::make_unique<Control>(nodes[i], *books.back(), *detectors.back()));
            nodes[i].attach(ChannelId::control, controls.back().get());
        }
    }
    static NodeId id(int i) { return NodeId{static_cast<std::uint32_t>(i)}; }
    static LoopNodes::Options quiet() {
        LoopNodes::Options options;
        options.progress_threads = false;
        return options;
    }
    void poll_all() {
        for (int round = 0; round < 20; ++round)
            for (int i = 0; i < nodes.size(); ++i) nodes[i].doors().transport.poll();
    }
    std::vector<int> told;
    LoopNodes nodes;
    std::vector<std::unique_ptr<AddressBook>> books;
    std::vector<std::unique_ptr<Detector>> detectors;
    std::vector<std::unique_ptr<Control>> controls;
};

TEST(AddressBook, answers_at_once_for_whom_it_knows) {
    Chain chain(3);
    chain.books[2]->want(Chain::id(1));
    EXPECT_EQ(chain.told[2], 1);
}

TEST(AddressBook, asks_up_the_tree_and_keeps_what_passes_through) {
    Chain chain(5);
    chain.books[4]->want(Chain::id(2));
    EXPECT_EQ(chain.told[4], 0);
    chain.poll_all();
    EXPECT_EQ(chain.told[4], 1);
    // The one between has seen the answer: nobody above is asked again.
    chain.nodes[0].publish_stats();
    const auto before = chain.nodes.stats(0).counter("ssi_node_messages_sent_total").value();
    chain.books[3]->want(Chain::id(2));
    chain.poll_all();
    chain.nodes[0].publish_stats();
    EXPECT_EQ(chain.told[3], 1);
    EXPECT_EQ(chain.nodes.stats(0).counter("ssi_node_messages_sent_total").value(), before);
}

TEST(AddressBook, merges_requests_for_the_same_node) {
    Chain chain(5);
    chain.books[4]->want(Chain::id(1));
    chain.books[4]->want(Chain::id(1));
    chain.books[3]->want(Chain::id(1));
    chain.poll_all();
    EXPECT_EQ(chain.told[4], 2);
    EXPECT_EQ(chain.told[3], 1);
    chain.nodes[3].publish_stats();
    EXPECT_EQ(chain.nodes.stats(3).counter("ssi_node_messages_sent_total").value(), 2u)
        << "one question up, one answer down";
}

TEST(AddressBook, goes_past_a_dead_parent_to_the_root) {
    Chain chain(4);
    chain.nodes[3].declare_lost(Chain::id(2), "test");
    chain.books[3]->want(Chain::id(1));
    chain.poll_all();
    EXPECT_EQ(chain.told[3], 1);
}

TEST(AddressBook, says_when_nobody_can_know) {
    Chain chain(2);
    chain.books[0]->want(NodeId{77});
    EXPECT_TRUE(chain.nodes.log().contains("nobody knows the address of node 77"));
}

}  // namespace
}  // namespace ssi::node
