// SPDX-License-Identifier: BSD-3-Clause
// SyncCluster: N hubs in one process over the loop transport, for the unit tests of
// synchronisation. Messages overtake each other, as they may.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "loop_nodes.hpp"
#include "ssi/kddm/sync.hpp"

namespace ssi::test {

class SyncCluster {
public:
    explicit SyncCluster(int count, kddm::sync::Plant plant = kddm::sync::Plant::none)
        : nodes_(count, reordering()) {
        for (int i = 0; i < count; ++i)
            hubs_.push_back(std::make_unique<kddm::sync::Hub>(nodes_[i], plant));
        nodes_.start();
    }
    ~SyncCluster() {
        nodes_.stop();
        for (int quiet = 0; quiet < 8; ++quiet)
            for (int i = 0; i < size(); ++i)
                if (nodes_[i].doors().transport.poll()) quiet = 0;
        if (!expect_errors) {
            EXPECT_EQ(nodes_.errors(), "");
        }
    }

    bool expect_errors = false;   // the test provokes logged faults

    kddm::sync::Hub& operator[](int i) { return *hubs_[static_cast<std::size_t>(i)]; }
    LoopNodes& nodes() { return nodes_; }
    int size() const { return static_cast<int>(hubs_.size()); }

    // A name whose home is the given node.
    std::string name_at(int home) {
        for (int i = 0;; ++i) {
            std::string name = "name " + std::to_string(i);
            const auto& object = hubs_.front()->mutex(name);
            const auto& channel = hubs_.front()->condition(name);
            const NodeId wanted(static_cast<std::uint32_t>(home));
            if (kddm::sync::home_of(object) == wanted && kddm::sync::home_of(channel) == wanted)
                return name;
        }
    }

    // `threads` of each node, all at once; the body gets the node and the thread's number.
    void run(int threads, const std::function<void(int node, int thread)>& body) {
        std::vector<std::thread> all;
        for (int i = 0; i < size(); ++i)
            for (int t = 0; t < threads; ++t) all.emplace_back([&body, i, t] { body(i, t); });
        for (auto& thread : all) thread.join();
    }

    // The node dies and the others are told.
    void kill(int node) {
        expect_errors = true;
        const NodeId dead(static_cast<std::uint32_t>(node));
        nodes_.world().kill(dead);
        for (int i = 0; i < size(); ++i)
            if (i != node) nodes_[i].declare_lost(dead, "killed by the test");
        // The dead do not take their session apart in good order.
        nodes_[node].declare_lost(NodeId(node == 0 ? 1u : 0u), "this node is dead");
    }

private:
    static LoopNodes::Options reordering() {
        LoopNodes::Options options;
        options.loop.reorder_seed = 7;
        options.loop.duplicate = true;
        return options;
    }
    LoopNodes nodes_;
    std::vector<std::unique_ptr<kddm::sync::Hub>> hubs_;
};

// Of a call that must fail.
template <class F>
Errc code_of(F&& call) {
    try {
        call();
    } catch (const Error& e) {
        return e.code();
    }
    return Errc::ok;
}

inline void pause_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

}  // namespace ssi::test
