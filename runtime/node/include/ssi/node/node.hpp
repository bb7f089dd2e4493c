// SPDX-License-Identifier: BSD-3-Clause
// Node: one member of a session. Owns the mailbox between a Transport and the layers above
// (dispatch by channel, duplicate suppression, fencing of old incarnations, loss of peers) and the
// tree collectives. It is given its doors; it makes no thread, opens no file and knows no UCX or
// MPI: ProcessNode (process_node.hpp) wires the real ones, the simulator wires simulated ones.
// Thread-safe unless said otherwise.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/log.hpp"
#include "ssi/base/random.hpp"
#include "ssi/base/result.hpp"
#include "ssi/base/stats.hpp"
#include "ssi/net/transport.hpp"
#include "ssi/node/membership.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::node {

// Every message starts with this; Node fills it in send(). 16 bytes, little endian.
struct MessageHeader {
    std::uint8_t channel = 0;
    std::uint8_t kind = 0;              // the channel's own
    std::uint16_t flags = 0;            // the channel's own
    std::uint32_t incarnation = 0;      // of the sender
    std::uint64_t sequence = 0;         // per (sender, receiver), from 1: duplicates are dropped
};
static_assert(sizeof(MessageHeader) == 16);

struct Peer;
class ControlVerbs;
class WaitList;

enum class ChannelId : std::uint8_t {
    collective = 1,
    kddm = 2,
    control = 3,
    sync = 4,
    file_system = 5,
};

// A layer's receiver. Same rules as net::Receiver; duplicates and fenced messages never get here.
class Channel {
public:
    virtual ~Channel() = default;
    virtual std::byte* on_large(NodeId from, std::span<const std::byte> header,
                                std::size_t length) = 0;
    virtual void on_message(NodeId from, std::span<const std::byte> header,
                            std::span<std::byte> payload, bool owned) = 0;
    virtual void on_large_failed(NodeId from, std::byte* memory) = 0;
    // A node is dead, with proof. Called once per node, from a poll or the progress thread, no lock
    // held.
    virtual void on_node_lost(NodeId node) = 0;
};

// The doors and settings a Node stands on; all outlive it.
struct Doors {
    net::Transport& transport;
    const Clock& clock;
    sys::Waiter& waiter;
    sys::Tasks& tasks;
    Log& log;
    Stats& stats;
    const Config& config;
    std::uint64_t random_seed;
};

enum class ReduceOp : std::uint8_t { sum, min, max };

// How the elements of two nodes become one: combine(into, from, count, context) folds `count`
// elements, which may be unaligned, into `into`.
struct Reduction {
    std::size_t element_bytes;
    void (*combine)(std::byte* into, const std::byte* from, std::size_t count, void* context);
    void* context;
};

class Node final : public net::Receiver {
public:
    Node(Doors doors, std::shared_ptr<const Membership> membership, NodeId self);
    ~Node() override;
    Node(const Node&) = delete;
    Node& operator=(const Node&) = delete;

    NodeId id() const { return self_; }
    int rank() const { return rank_; }               // position among the members
    int size() const { return size_; }
    std::shared_ptr<const Membership> membership() const { return membership_; }
    // The same without sharing it: valid as long as the node, as members never change yet.
    const Membership& members() const { return *membership_; }
    const SlotTable& slot_table() const { return *membership_->slot_table; }
    const Doors& doors() const { return doors_; }

    // Before the first message of that channel can arrive: attach, then barrier(), then send.
    void attach(ChannelId channel, Channel* handler);
    // The same for one that comes and goes while messages do: the node keeps it to its own end.
    void attach(ChannelId channel, std::shared_ptr<Channel> handler);
    // Who hears that the transport finds a peer unreachable (a suspicion, not a proof): the
    // detector. Before the first poll. Called from a poll.
    void set_suspect_handler(std::function<void(NodeId, const Failure&)> handler);

    // `message` starts with a MessageHeader whose channel, kind and flags the caller set; Node
    // fills the rest. Never blocks; no lock of an object shard may be held. to != id().
    Result<void> send(NodeId to, std::span<std::byte> message, const net::Payload& payload = {});

    // True once the node's death is proven. One relaxed load when nobody was ever lost.
    bool lost(NodeId node) const;
    bool any_lost() const { return any_lost_.load(std::memory_order_acquire); }
    Nanoseconds last_loss() const { return last_loss_.load(std::memory_order_acquire); }
    // By a detector that has proof. Idempotent; logs `node 3 lost: why` once and tells the
    // channels.
    void declare_lost(NodeId node, std::string_view why);

    // Simulator only: lets duplicates through, to prove that the checkers notice.
    void accept_duplicates_for_test();

    // What this node answers on its control socket; layers add to it. And who waits long here.
    ControlVerbs& control();
    WaitList& waits();

    // Copies the message counts into the node's Stats.
    void publish_stats();

    // Collectives over the members, binomial trees, called by one task per node at a time, in the
    // same order everywhere. peer_lost when a member is or becomes dead; mismatch when another
    // node called something else; timed_out (barrier) when `deadline`, an instant of the node's
    // Clock, passes first, after which no collective may be called any more.
    Result<void> barrier(Nanoseconds deadline = sys::Waiter::forever);
    // A barrier that no other collective is mistaken for: mismatch when a node is in another one.
    Result<void> meet_to_close(Nanoseconds deadline = sys::Waiter::forever);
    Result<void> broadcast(NodeId root, std::vector<std::byte>& bytes);
    // Into memory of the same length on every node (else mismatch).
    Result<void> broadcast(NodeId root, std::span<std::byte> bytes);
    // The root gets the result, others lose their values; no_node: all get it. Always combined in
    // the same order.
    Result<void> reduce(std::span<std::byte> values, const Reduction& reduction, NodeId root);
    // `all` holds one `mine` per member, in the order of ranks; at the root, or, with no_node,
    // everywhere.
    Result<void> gather(NodeId root, std::span<const std::byte> mine, std::span<std::byte> all);
    Result<void> all_reduce(std::span<double> values, ReduceOp op);
    Result<void> all_reduce(std::span<std::uint64_t> values, ReduceOp op);

    // net::Receiver
    std::byte* on_large(NodeId from, std::span<const std::byte> header,
                        std::size_t length) override;
    void on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                    bool owned) override;
    void on_large_failed(NodeId from, std::byte* memory) override;
    void on_peer_suspect(NodeId peer, const Failure& why) override;

private:
    struct Impl;
    Peer* peer(NodeId node) const;
    Channel* admit(NodeId from, std::span<const std::byte> bytes, bool fresh);
    Channel* refuse(NodeId from, std::string_view why);

    Doors doors_;
    std::shared_ptr<const Membership> membership_;
    NodeId self_;
    int rank_ = 0;
    int size_ = 0;
    std::atomic<bool> any_lost_{false};
    std::atomic<Nanoseconds> last_loss_{0};
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::node
