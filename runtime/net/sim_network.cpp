// SPDX-License-Identifier: BSD-3-Clause
#include <cstdlib>
#include <new>

#include "sim_endpoint.hpp"
#include "ssi/base/assert.hpp"

namespace ssi::net {

SimNetwork::SimNetwork(sys::FiberScheduler& scheduler, Options options)
    : scheduler_(scheduler), options_(options), random_(options.seed) {}

SimNetwork::~SimNetwork() {
    while (first_) destroy(first_);
}

Transport& SimNetwork::endpoint(NodeId node, sys::FiberGroup group) {
    SSI_ASSERT(node.value < 1u << 24, "simulated node ids are indexes: keep them small");
    if (node.value >= endpoints_.size()) endpoints_.resize(node.value + 1);
    auto& endpoint = endpoints_[node.value];
    if (!endpoint) endpoint = std::make_unique<SimEndpoint>(*this, node, group);
    return *endpoint;
}

SimEndpoint* SimNetwork::find(NodeId node) const {
    return node.value < endpoints_.size() ? endpoints_[node.value].get() : nullptr;
}

void SimNetwork::kill(NodeId node) {
    SimEndpoint* endpoint = find(node);
    SSI_ASSERT(endpoint, "only a node that exists can be killed");
    if (!endpoint->dead()) endpoint->kill();
}

bool SimNetwork::dead(NodeId node) const {
    const SimEndpoint* endpoint = find(node);
    return endpoint && endpoint->dead();
}

SimMessage* SimNetwork::make(NodeId from, NodeId to, std::span<const std::byte> header,
                             const Payload& payload, bool is_get) {
    void* memory = std::malloc(sizeof(SimMessage) + header.size() + payload.length);
    SSI_ASSERT(memory, "no memory for a simulated message");
    auto* message = new (memory) SimMessage;
    message->from = from;
    message->to = to;
    message->header_bytes = static_cast<std::uint32_t>(header.size());
    message->payload_bytes = payload.length;
    message->cause = scheduler_.causality();
    if (!is_get) ++message->cause.delays;
    if (!header.empty()) std::memcpy(message->bytes(), header.data(), header.size());
    if (payload.release) {
        message->stage = SimMessage::Stage::leaving;
        message->source = payload;
    } else if (payload.length != 0) {
        std::memcpy(message->payload().data(), payload.data, payload.length);
    }
    message->next = first_;
    if (first_) first_->previous = message;
    first_ = message;
    if (is_get) {
        message->stage = SimMessage::Stage::getting;
        ++usage_.gets;
        return message;
    }
    ++usage_.under_way;
    ++usage_.messages;
    usage_.bytes += header.size() + payload.length;
    observe(Happening::sent, *message);
    return message;
}

SimMessage* SimNetwork::copy(const SimMessage& message) {
    const std::size_t bytes = sizeof(SimMessage) + message.header_bytes + message.payload_bytes;
    void* memory = std::malloc(bytes);
    SSI_ASSERT(memory, "no memory for a simulated message");
    auto* twin = new (memory) SimMessage(message);
    std::memcpy(twin->bytes(), message.bytes(), bytes - sizeof(SimMessage));
    twin->previous = nullptr;
    twin->next = first_;
    if (first_) first_->previous = twin;
    first_ = twin;
    ++usage_.under_way;
    return twin;
}

void SimNetwork::destroy(SimMessage* message) {
    (message->previous ? message->previous->next : first_) = message->next;
    if (message->next) message->next->previous = message->previous;
    if (message->stage != SimMessage::Stage::getting) --usage_.under_way;
    delete message->get;
    message->~SimMessage();
    std::free(message);
}

void SimNetwork::drop(SimMessage* message) {
    if (message->stage == SimMessage::Stage::getting) return destroy(message);
    ++usage_.dropped;
    observe(Happening::dropped, *message);
    destroy(message);
}

// Puts a message on its way: to the receiver, or first to the sender's own poll, which releases
// the memory it was sent from.
void SimNetwork::launch(SimMessage* message) {
    if (message->stage == SimMessage::Stage::leaving) {
        const auto wait = random_.below(static_cast<std::uint64_t>(options_.latency) + 1);
        deliver_at(scheduler_.now() + static_cast<Nanoseconds>(wait), message);
        return;
    }
    const Nanoseconds arrival = scheduler_.now() + transit(message->payload_bytes);
    if (options_.duplicate && random_.chance(1, 32)) {
        ++usage_.duplicates;
        observe(Happening::duplicated, *message);
        const Nanoseconds longest = options_.latency << random_.below(12);
        deliver_at(arrival + static_cast<Nanoseconds>(
                                 random_.below(static_cast<std::uint64_t>(longest) + 1)),
                   copy(*message));
    }
    deliver_at(arrival, message);
}

void SimNetwork::deliver_at(Nanoseconds when, SimMessage* message) {
    scheduler_.at(when, &SimNetwork::arrive, this, reinterpret_cast<std::uintptr_t>(message));
}

void SimNetwork::arrive(void* network, std::uint64_t message_address) {
    auto* self = static_cast<SimNetwork*>(network);
    auto* message = reinterpret_cast<SimMessage*>(message_address);
    const bool leaving = message->stage == SimMessage::Stage::leaving;
    // What a dead node had sent arrives or not.
    const bool lost = self->dead(message->from) &&
                      message->stage == SimMessage::Stage::travelling && self->random_.chance(1, 2);
    if (lost) return self->drop(message);
    self->find(leaving ? message->from : message->to)->enqueue(message);
}

Nanoseconds SimNetwork::transit(std::size_t bytes) {
    Nanoseconds time = options_.latency;
    time += static_cast<Nanoseconds>(bytes) * options_.per_kib / 1024;
    const auto latency = static_cast<std::uint64_t>(options_.latency);
    if (options_.reorder) time += static_cast<Nanoseconds>(random_.below(4 * latency + 1));
    if (options_.delay && delays_ && random_.chance(1, 16))
        time += static_cast<Nanoseconds>(random_.below((latency << random_.below(12)) + 1));
    return time;
}

void SimNetwork::observe(Happening what, const SimMessage& message) {
    if (observer_)
        observer_({what, message.from, message.to, message.header(), message.payload_bytes,
                   message.cause});
}

}  // namespace ssi::net
