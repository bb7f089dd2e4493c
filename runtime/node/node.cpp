// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/node.hpp"

#include <fmt/format.h>

#include <array>
#include <cstring>
#include <mutex>
#include <utility>

#include "collectives.hpp"
#include "peer.hpp"
#include "ssi/base/assert.hpp"
#include "ssi/net/peer_map.hpp"
#include "ssi/node/control_verbs.hpp"
#include "ssi/node/wait_list.hpp"

namespace ssi::node {
namespace {
constexpr std::size_t channel_count = 6;  // ChannelId values, 0 unused
}

struct Node::Impl {
    Impl(Node& node, NodeId self) : collectives(node, self) {}

    net::PeerMap<Peer> peers;
    // Written while polls go on by whoever attaches late.
    std::array<std::atomic<Channel*>, channel_count> channels{};
    sys::Mutex kept_mutex;
    std::vector<std::shared_ptr<Channel>> kept;
    std::function<void(NodeId, const Failure&)> suspect_handler;
    bool accept_duplicates = false;
    // Memory that a channel gave for a message still to come. Few at a time; under the poller
    // token.
    struct Incoming {
        std::byte* memory;
        Channel* channel;
    };
    std::vector<Incoming> incoming;
    Counter* duplicates = nullptr;
    Counter* fenced = nullptr;
    Counter* malformed = nullptr;
    ControlVerbs control;
    WaitList waits;
    Collectives collectives;

    Channel* forget_incoming(const std::byte* memory) {
        for (Incoming& in : incoming) {
            if (in.memory != memory) continue;
            Channel* channel = in.channel;
            in = incoming.back();
            incoming.pop_back();
            return channel;
        }
        return nullptr;
    }
};

Node::Node(Doors doors, std::shared_ptr<const Membership> membership, NodeId self)
    : doors_(doors), membership_(std::move(membership)), self_(self) {
    rank_ = membership_->index_of(self);
    size_ = static_cast<int>(membership_->members.size());
    SSI_ASSERT(rank_ >= 0, "a Node must be a member of its membership");
    impl_ = std::make_unique<Impl>(*this, self);
    impl_->duplicates = &doors_.stats.counter("ssi_node_duplicates_dropped_total");
    impl_->fenced = &doors_.stats.counter("ssi_node_fenced_dropped_total");
    impl_->malformed = &doors_.stats.counter("ssi_node_malformed_dropped_total");
    attach(ChannelId::collective, &impl_->collectives);
    doors_.transport.set_receiver(this);
}

Node::~Node() = default;

void Node::attach(ChannelId channel, Channel* handler) {
    impl_->channels[static_cast<std::size_t>(channel)].store(handler, std::memory_order_release);
}

void Node::attach(ChannelId channel, std::shared_ptr<Channel> handler) {
    Channel* const known = handler.get();
    {
        std::lock_guard lock(impl_->kept_mutex);
        impl_->kept.push_back(std::move(handler));
    }
    attach(channel, known);
}

void Node::set_suspect_handler(std::function<void(NodeId, const Failure&)> handler) {
    impl_->suspect_handler = std::move(handler);
}

Peer* Node::peer(NodeId node) const {
    if (Peer* known = impl_->peers.find(node)) return known;
    const Member* member = membership_->find(node);
    return member ? &impl_->peers.find_or_make(node, member->incarnation) : nullptr;
}

Result<void> Node::send(NodeId to, std::span<std::byte> message, const net::Payload& payload) {
    SSI_ASSERT(message.size() >= sizeof(MessageHeader) && message.size() <= net::max_header_bytes,
               "a message starts with a MessageHeader and has at most max_header_bytes");
    SSI_ASSERT(to != self_, "a node does not send to itself: call the handler");
    Peer* peer = this->peer(to);
    if (!peer || peer->lost.load(std::memory_order_relaxed)) [[unlikely]] {
        if (payload.release) payload.release(payload.context);
        if (!peer)
            return fail(Errc::invalid_argument,
                        fmt::format("node {} is not a member of the session", to.value), to);
        return fail(Errc::peer_lost, fmt::format("node {} is dead", to.value), to);
    }
    MessageHeader header;
    std::memcpy(&header, message.data(), sizeof header);
    header.incarnation = membership_->members[static_cast<std::size_t>(rank_)].incarnation.value;
    header.sequence = peer->sent.fetch_add(1, std::memory_order_relaxed) + 1;
    std::memcpy(message.data(), &header, sizeof header);
    return doors_.transport.send(to, message, payload);
}

bool Node::lost(NodeId node) const {
    if (!any_lost_.load(std::memory_order_relaxed)) [[likely]]
        return false;
    const Peer* peer = impl_->peers.find(node);
    return peer && peer->lost.load(std::memory_order_acquire);
}

void Node::declare_lost(NodeId node, std::string_view why) {
    Peer* peer = node == self_ ? nullptr : this->peer(node);
    if (!peer || peer->lost.exchange(true, std::memory_order_acq_rel)) return;
    impl_->collectives.note_lost(node);
    last_loss_.store(doors_.clock.now(), std::memory_order_release);
    // The first loss ends the session, so that others end after it is no news.
    if (!any_lost_.exchange(true, std::memory_order_acq_rel))
        SSI_LOG(doors_.log, error, "session", "node {} lost: {}", node.value, why);
    else
        SSI_LOG(doors_.log, info, "session", "node {} ended as well: {}", node.value, why);
    doors_.transport.forget(node);
    for (const auto& attached : impl_->channels)
        if (Channel* channel = attached.load(std::memory_order_acquire))
            channel->on_node_lost(node);
}

ControlVerbs& Node::control() { return impl_->control; }
WaitList& Node::waits() { return impl_->waits; }

void Node::accept_duplicates_for_test() { impl_->accept_duplicates = true; }

void Node::publish_stats() {
    std::uint64_t sent = 0, received = 0;
    impl_->peers.for_each([&](const Peer& peer) {
        sent += peer.sent.load(std::memory_order_relaxed);
        received += peer.arrived.load(std::memory_order_relaxed);
    });
    doors_.stats.counter("ssi_node_messages_sent_total").set(sent);
    doors_.stats.counter("ssi_node_messages_received_total").set(received);
}

Result<void> Node::barrier(Nanoseconds deadline) { return impl_->collectives.barrier(deadline); }

Result<void> Node::meet_to_close(Nanoseconds deadline) {
    return impl_->collectives.close(deadline);
}

Result<void> Node::broadcast(NodeId root, std::vector<std::byte>& bytes) {
    return impl_->collectives.broadcast(root, bytes);
}

Result<void> Node::broadcast(NodeId root, std::span<std::byte> bytes) {
    return impl_->collectives.broadcast(root, bytes);
}

Result<void> Node::reduce(std::span<std::byte> values, const Reduction& reduction, NodeId root) {
    return impl_->collectives.reduce(values, reduction, root);
}

Result<void> Node::gather(NodeId root, std::span<const std::byte> mine,
                          std::span<std::byte> all) {
    return impl_->collectives.gather(root, mine, all);
}

Result<void> Node::all_reduce(std::span<double> values, ReduceOp op) {
    return impl_->collectives.all_reduce(values, op);
}

Result<void> Node::all_reduce(std::span<std::uint64_t> values, ReduceOp op) {
    return impl_->collectives.all_reduce(values, op);
}

// The channel a message may go to, or null when it must be dropped. `fresh`: its sequence number
// is to be checked and remembered.
Channel* Node::admit(NodeId from, std::span<const std::byte> bytes, bool fresh) {
    MessageHeader header;
    if (bytes.size() < sizeof header) [[unlikely]]
        return refuse(from, "it is shorter than a header");
    std::memcpy(&header, bytes.data(), sizeof header);
    Peer* peer = this->peer(from);
    if (!peer) [[unlikely]]
        return refuse(from, "its sender is not a member");
    if (peer->incarnation != header.incarnation || peer->lost.load(std::memory_order_relaxed))
        [[unlikely]] {
        impl_->fenced->add();
        return nullptr;
    }
    Channel* const channel = header.channel < channel_count
                                 ? impl_->channels[header.channel].load(std::memory_order_acquire)
                                 : nullptr;
    if (!channel) [[unlikely]]
        return refuse(from, "nobody serves its channel");
    if (fresh) {
        if (!peer->received.accept(header.sequence) && !impl_->accept_duplicates) [[unlikely]] {
            impl_->duplicates->add();
            return nullptr;
        }
        peer->arrived.store(peer->arrived.load(std::memory_order_relaxed) + 1,
                            std::memory_order_relaxed);
    }
    return channel;
}

Channel* Node::refuse(NodeId from, std::string_view why) {
    impl_->malformed->add();
    SSI_LOG(doors_.log, error, "session", "message from node {} dropped: {}", from.value, why);
    return nullptr;
}

std::byte* Node::on_large(NodeId from, std::span<const std::byte> header, std::size_t length) {
    Channel* channel = admit(from, header, true);
    std::byte* memory = channel ? channel->on_large(from, header, length) : nullptr;
    if (memory) impl_->incoming.push_back({memory, channel});
    return memory;
}

void Node::on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                      bool owned) {
    // An owned payload went through on_large: its number is taken, its memory is a channel's.
    Channel* giver = owned ? impl_->forget_incoming(payload.data()) : nullptr;
    if (Channel* channel = admit(from, header, !owned))
        channel->on_message(from, header, payload, owned);
    else if (giver)
        giver->on_large_failed(from, payload.data());
}

void Node::on_large_failed(NodeId from, std::byte* memory) {
    if (Channel* giver = impl_->forget_incoming(memory)) giver->on_large_failed(from, memory);
}

void Node::on_peer_suspect(NodeId peer, const Failure& why) {
    if (impl_->suspect_handler && !lost(peer)) impl_->suspect_handler(peer, why);
}

}  // namespace ssi::node
