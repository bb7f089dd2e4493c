// SPDX-License-Identifier: BSD-3-Clause
// Drain: copies versions of level global from the nodes' stores to the global one, and commits them
// there by itself, while the application goes on. Each node copies its own member; all vote; the
// first one writes the manifest, and prunes.
//
// One version at a time, the newest that all nodes have; older ones that wait are skipped. What it
// refers to goes along, unless it is there. A version that waits, or is being copied, is locked in
// the node's store, so that nobody removes it.
#pragma once

#include <deque>
#include <memory>

#include "places.hpp"
#include "saving.hpp"
#include "store_state.hpp"
#include "votes.hpp"

namespace ssi::ckpt {

class Drain {
public:
    // Not collective; all nodes make one before any drains. `bytes_per_second`: of this node's
    // writes; 0: no limit.
    static Result<std::unique_ptr<Drain>> make(node::Node& node, kddm::Engine& engine,
                                               kddm::sync::Hub& hub, Places& places,
                                               std::uint64_t bytes_per_second);
    // Waits for what was added.
    ~Drain();
    Drain(const Drain&) = delete;
    Drain& operator=(const Drain&) = delete;

    // Of a version that is committed in the nodes' stores: every node adds the same ones, in the
    // same order. The ticket ends when it is in the global store, or is not going to be.
    // `keep`: of versions there.
    void add(std::shared_ptr<CheckpointTicket::State> ticket, std::size_t keep);
    void finish();                       // until nothing waits

    struct Status {
        VersionNumber version = 0;       // that is being copied; 0: none
        std::uint64_t copied_bytes = 0;  // by this node, with what it refers to
        std::uint64_t bytes = 0;         // of all of that
        std::size_t waiting = 0;         // more versions
    };
    Status status() const;

private:
    struct Waiting {
        std::shared_ptr<CheckpointTicket::State> ticket;
        std::size_t keep = 1;
        std::unique_ptr<MemberLock> lock;
    };
    Drain(node::Node& node, Places& places, std::unique_ptr<Votes> votes, std::uint64_t rate)
        : node_(node), places_(places), votes_(std::move(votes)), rate_(rate) {}
    void run();
    void drain_next();
    Bytes choose(const std::vector<Bytes>& newest);
    Result<std::vector<Manifest>> with_bases(VersionNumber version);
    void skip_before(VersionNumber version);
    Waiting take(VersionNumber version);
    void end(Waiting waiting, Result<void> outcome);
    Result<void> copy_all(const std::vector<Manifest>& manifests);
    Result<void> copy_one(const Manifest& manifest);
    Result<void> copy_mine(const Manifest& manifest);
    Result<void> commit(const Manifest& manifest);
    void prune(std::size_t keep);
    void fail_all(const Failure& why);

    node::Node& node_;
    Places& places_;
    const std::unique_ptr<Votes> votes_;
    const std::uint64_t rate_;
    std::atomic<std::uint64_t> copied_{0};
    mutable sys::Mutex mutex_;           // of all below; held across no wait
    sys::Condition changed_;
    std::deque<Waiting> queue_;          // ascending
    Status now_;                         // but for copied_bytes
    bool busy_ = false, leaving_ = false;
    std::unique_ptr<sys::Tasks::Handle> task_;
};

}  // namespace ssi::ckpt
