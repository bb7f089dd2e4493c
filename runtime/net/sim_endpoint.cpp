// SPDX-License-Identifier: BSD-3-Clause
#include "sim_endpoint.hpp"

#include <algorithm>

#include "ssi/base/assert.hpp"

namespace ssi::net {

Result<void> SimEndpoint::send(NodeId to, std::span<const std::byte> header,
                               const Payload& payload) {
    SSI_ASSERT(to != self_, "a node must not send to itself: call the handler instead");
    SSI_ASSERT(header.size() <= max_header_bytes, "the header is too long: send it as payload");
    sys::preemption_point();
    const bool known = network_.find(to) != nullptr;
    if (!known || forgotten(to)) {
        if (payload.release) payload.release(payload.context);
        return known ? fail(Errc::peer_lost, "the transport has forgotten this node", to)
                     : fail(Errc::not_found, "no such node in the simulated network", to);
    }
    network_.launch(network_.make(self_, to, header, payload));
    return {};
}

void SimEndpoint::forget(NodeId peer) {
    if (forgotten(peer)) return;
    forgotten_.push_back(peer);
    // on_large_failed comes from a poll, like every other call of the receiver.
    for (SimMessage* message : landing_)
        if (message->from == peer) message->stage = SimMessage::Stage::failed;
    forget_gets(peer);
}

bool SimEndpoint::forgotten(NodeId peer) const {
    return std::find(forgotten_.begin(), forgotten_.end(), peer) != forgotten_.end();
}

void SimEndpoint::kill() {
    dead_ = true;
    network_.scheduler_.freeze(group_);
    gets_.clear();
    while (SimMessage* message = inbox_first_) {
        inbox_first_ = message->inbox_next;
        network_.drop(message);
    }
    inbox_last_ = nullptr;
}

void SimEndpoint::enqueue(SimMessage* message) {
    if (dead_) {
        std::erase(gets_, message);
        network_.drop(message);
        return;
    }
    message->inbox_next = nullptr;
    (inbox_last_ ? inbox_last_->inbox_next : inbox_first_) = message;
    inbox_last_ = message;
    if (handling_) return;
    handling_ = true;
    network_.scheduler_.spawn(group_, [this] { handle_inbox(); });
}

// The poller token: one fiber at a time handles a node's messages.
void SimEndpoint::handle_inbox() {
    while (SimMessage* message = inbox_first_) {
        inbox_first_ = message->inbox_next;
        if (!inbox_first_) inbox_last_ = nullptr;
        network_.scheduler_.causality() = message->cause;
        ++handled_;
        handle(message);
    }
    handling_ = false;
}

void SimEndpoint::handle(SimMessage* message) {
    SSI_ASSERT(receiver_, "a message arrived before set_receiver()");
    using Stage = SimMessage::Stage;
    if (message->stage == Stage::getting) return finish_get(message);
    if (message->stage == Stage::leaving) return let_leave(message);
    if (message->stage == Stage::landing || message->stage == Stage::failed)
        return land(message);
    if (forgotten(message->from)) return network_.drop(message);
    if (!message->large()) {
        network_.observe(SimNetwork::Happening::delivered, *message);
        receiver_->on_message(message->from, message->header(), message->payload(), false);
        return network_.destroy(message);
    }
    message->destination = receiver_->on_large(message->from, message->header(),
                                               message->payload_bytes);
    if (!message->destination) return network_.drop(message);
    message->stage = Stage::landing;
    landing_.push_back(message);
    network_.deliver_at(network_.scheduler_.now() + network_.transit(message->payload_bytes),
                        message);
}

// Until here the payload was the sender's: a change since send() is sent as it is now, which the
// checkers then see as torn or foreign bytes.
void SimEndpoint::let_leave(SimMessage* message) {
    const Payload source = message->source;
    if (source.length != 0)
        std::memcpy(message->payload().data(), source.data, source.length);
    message->stage = SimMessage::Stage::travelling;
    message->source = {};
    network_.launch(message);
    source.release(source.context);
}

void SimEndpoint::land(SimMessage* message) {
    std::erase(landing_, message);
    std::byte* const memory = message->destination;
    if (message->stage == SimMessage::Stage::failed) {
        const NodeId from = message->from;
        network_.drop(message);
        receiver_->on_large_failed(from, memory);
        return;
    }
    network_.observe(SimNetwork::Happening::delivered, *message);
    std::memcpy(memory, message->payload().data(), message->payload_bytes);
    receiver_->on_message(message->from, message->header(), {memory, message->payload_bytes}, true);
    network_.destroy(message);
}

}  // namespace ssi::net
