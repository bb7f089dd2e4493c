// SPDX-License-Identifier: BSD-3-Clause
// Sessions of several nodes in one process, a thread for each.
#pragma once

#include <gtest/gtest.h>

#include <exception>
#include <memory>
#include <vector>

#include "loop_nodes.hpp"
#include "ssi/kddm/engine.hpp"
#include "ssi/kddm/sync.hpp"

namespace ssi::ckpt::test {

// What a node of a session is to a test.
struct LoopMember {
    node::Node& node;
    kddm::Engine& engine;
    kddm::sync::Hub& hub;
    bool first() const { return node.rank() == 0; }
};

// What a member's thread throws fails the test; it must not have left others waiting.
template <class Body>
void loop_session(int count, Body&& body, const Config& config = {}) {
    ssi::test::LoopNodes::Options with;
    with.config = config;
    ssi::test::LoopNodes nodes(count, with);
    std::vector<std::unique_ptr<kddm::Engine>> engines;
    std::vector<std::unique_ptr<kddm::sync::Hub>> hubs;
    for (int i = 0; i < count; ++i) {
        kddm::Engine::Options options;
        options.peers_in_process = true;
        engines.push_back(std::make_unique<kddm::Engine>(nodes[i], options));
        hubs.push_back(std::make_unique<kddm::sync::Hub>(nodes[i]));
    }
    nodes.start();
    nodes.run([&](node::Node& node) {
        const auto i = static_cast<std::size_t>(node.rank());
        LoopMember member{node, *engines[i], *hubs[i]};
        try {
            body(member);
        } catch (const std::exception& error) {
            ADD_FAILURE() << "node " << i << ": " << error.what();
        }
        EXPECT_TRUE(node.barrier());
    });
    nodes.stop();
    for (int quiet = 0; quiet < 8; ++quiet)
        for (int i = 0; i < count; ++i)
            if (nodes[i].doors().transport.poll()) quiet = 0;
    EXPECT_EQ(nodes.errors(), "");
}

}  // namespace ssi::ckpt::test
