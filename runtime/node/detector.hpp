// SPDX-License-Identifier: BSD-3-Clause
// Detector: finds out that a node is dead, with proof, and tells everybody. Proof is: a pidfd of a
// process on this host that became readable; the word of a node that has proof; or a connection
// that broke to another host, confirmed by a second path: a node on that host, or, where none
// answers, a fresh connection that fails as well. A silent or suspect node is never acted on.
// News travel to the neighbours in the bootstrap tree and on the ring of ranks, who pass them on
// once: whatever node is missing, the rest stays connected.
// Thread-safe; owned by its ProcessNode.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ssi/node/node.hpp"
#include "ssi/node/progress_thread.hpp"

namespace ssi::node {

class Detector {
public:
    Detector(Node& node, ProgressThread& progress, std::vector<NodeId> neighbours);
    ~Detector();
    Detector(const Detector&) = delete;
    Detector& operator=(const Detector&) = delete;

    // Watches the processes on this host. Does nothing with detect.enabled off.
    void start();
    // From now on a process that ends has ended in order.
    void close() { active_.store(false, std::memory_order_release); }

    void on_suspect(NodeId peer, const Failure& why);              // from the transport
    void on_told(NodeId node, std::string_view why);               // by a node that has proof
    void on_question(NodeId from, NodeId about);                   // is it alive, on our host?
    void on_verdict(NodeId from, NodeId about, bool alive);
    void on_tick();

private:
    struct Watched {
        NodeId node;
        std::int32_t process_id = 0;
        int pidfd = -1;               // -1: the kernel has none, so it is asked at every tick
        int error = 0;                // why it has none
    };
    struct Suspicion {
        std::string why;
        int broken_connections = 0;
        int signs_of_life = 0;        // the end of a process closes its connections first
        Nanoseconds asked_at = 0;
    };
    bool active() const { return active_.load(std::memory_order_acquire); }
    void watch(const Watched& process, const Member& member);
    bool is_dead(const Watched& process) const;
    void dead(NodeId node, std::string why);
    void spread(NodeId node, std::string_view why);
    void investigate(NodeId suspect);
    NodeId witness_for(NodeId suspect);
    bool here(NodeId node) const;
    void sign_of_life(NodeId suspect);
    const Member& self() const;

    Node& node_;
    ProgressThread& progress_;
    const std::vector<NodeId> neighbours_;
    std::atomic<bool> active_{false};
    std::vector<Watched> processes_;      // on this host; constant once active

    sys::Mutex mutex_;
    std::map<NodeId, Suspicion> suspicions_;  // under mutex_
};

}  // namespace ssi::node
