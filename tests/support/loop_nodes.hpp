// SPDX-License-Identifier: BSD-3-Clause
// LoopNodes: N real Nodes in one process over a LoopWorld, with real waiters and progress threads,
// for unit tests:
//     LoopNodes nodes(3);
//     ... attach channels or make Engines on nodes[0] .. nodes[2] ...
//     nodes.start();
//     nodes.run([&](node::Node& node) { EXPECT_TRUE(node.barrier()); });   // a thread per node
// Log lines are recorded, not printed: nodes.errors() should be empty at the end.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "ssi/net/loop.hpp"
#include "ssi/node/node.hpp"
#include "ssi/node/poll_waiter.hpp"
#include "ssi/node/progress_thread.hpp"
#include "ssi/sys/topology.hpp"

namespace ssi::test {

class LoopNodes {
public:
    struct Options {
        net::LoopOptions loop;
        Config config;
        LogLevel log_level = LogLevel::debug;
        bool progress_threads = true;
        // Changes what the members say of themselves: host and process ids.
        std::function<void(node::Member&)> edit_member;
    };
    explicit LoopNodes(int count) : LoopNodes(count, Options{}) {}
    LoopNodes(int count, Options options)
        : options_(std::move(options)), world_(count, options_.loop) {
        std::vector<node::Member> members;
        for (int i = 0; i < count; ++i) {
            node::Member member;
            member.node = NodeId{static_cast<std::uint32_t>(i)};
            member.incarnation = Incarnation{1};
            member.host_id = 1;
            member.host_name = "loop";
            if (options_.edit_member) options_.edit_member(member);
            members.push_back(std::move(member));
        }
        membership_ = node::make_membership(std::move(members));
        const auto policy = node::WaitPolicy::from_config(options_.config, sys::usable_cores(),
                                                          count);
        for (const node::Member& member : membership_->members)
            parts_.push_back(std::make_unique<Part>(*this, member.node, policy));
    }
    ~LoopNodes() { stop(); }

    // Channels are attached: messages may arrive from now on.
    void start() {
        if (!options_.progress_threads) return;
        for (auto& part : parts_) value_or_throw(part->progress.start());
    }
    void stop() {
        for (auto& part : parts_) part->progress.stop();
    }

    int size() const { return static_cast<int>(parts_.size()); }
    node::Node& operator[](int i) { return parts_[static_cast<std::size_t>(i)]->node; }
    node::ProgressThread& progress(int i) { return parts_[static_cast<std::size_t>(i)]->progress; }
    Stats& stats(int i) { return parts_[static_cast<std::size_t>(i)]->stats; }
    net::LoopWorld& world() { return world_; }
    LogRecorder& log() { return recorder_; }
    std::string errors() const { return recorder_.errors(); }

    // One thread per node, all at once.
    void run(const std::function<void(node::Node&)>& body) {
        std::vector<std::thread> threads;
        for (auto& part : parts_)
            threads.emplace_back([&body, &part] { body(part->node); });
        for (auto& thread : threads) thread.join();
    }

private:
    struct Part {
        Part(LoopNodes& owner, NodeId self, node::WaitPolicy policy)
            : tasks(sys::make_thread_tasks()),
              log(owner.options_.log_level, owner.recorder_.sink()),
              waiter(owner.world_.transport(self), clock, *tasks, policy),
              progress(owner.world_.transport(self), clock, *tasks, {}),
              node(node::Doors{owner.world_.transport(self), clock, waiter, *tasks, log, stats,
                               owner.options_.config, mix64(self.value + 1)},
                   owner.membership_, self) {
            log.set_node(self);
        }
        RealClock clock;
        std::unique_ptr<sys::Tasks> tasks;
        Log log;
        Stats stats;
        node::PollWaiter waiter;
        node::ProgressThread progress;
        node::Node node;
    };

    Options options_;
    LogRecorder recorder_;
    net::LoopWorld world_;
    std::shared_ptr<const node::Membership> membership_;
    std::vector<std::unique_ptr<Part>> parts_;
};

}  // namespace ssi::test
