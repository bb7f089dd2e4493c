// SPDX-License-Identifier: BSD-3-Clause
// Gets of the simulated twin: in pieces, in any order, at different times, so that whole operations
// of the other node fall between two of them. No fiber of the other node takes part.
#include <algorithm>

#include "sim_endpoint.hpp"

namespace ssi::net {

void SimEndpoint::get(Get& get) {
    sys::preemption_point();
    network_.start_get(self_, get);
}

void SimNetwork::start_get(NodeId reader, Get& get) {
    SimMessage* message = make(get.from, reader, {}, {}, true);
    message->get = new SimGet{&get, GetPieces(get, random_, true)};
    SimEndpoint& endpoint = *find(reader);
    endpoint.gets_.push_back(message);
    if (endpoint.forgotten(get.from)) message->get->outcome = Errc::peer_lost;
    scheduler_.at(scheduler_.now() + transit(0), &SimNetwork::advance_get, this,
                  reinterpret_cast<std::uintptr_t>(message));
}

// On the scheduler's stack.
void SimNetwork::advance_get(void* network, std::uint64_t message_address) {
    auto* self = static_cast<SimNetwork*>(network);
    auto* message = reinterpret_cast<SimMessage*>(message_address);
    SimEndpoint& reader = *self->find(message->to);
    const SimEndpoint* target = self->find(message->from);
    SimGet& getting = *message->get;
    if (reader.dead() || getting.outcome != Errc::ok || getting.pieces.done())
        return reader.enqueue(message);   // who drops it when the reader is dead
    if (!target || target->dead()) {
        getting.stuck = true;             // until the reader forgets that node
        return;
    }
    const Get& get = *getting.get;
    if (shows(target->shown_, get.address, get.into.size()))
        getting.pieces.take(get);
    else
        getting.outcome = Errc::not_found;
    self->scheduler_.at(self->scheduler_.now() + self->pause_in_get(getting.pieces.done()),
                        &SimNetwork::advance_get, self, message_address);
}

Nanoseconds SimNetwork::pause_in_get(bool last) {
    if (last) return transit(0);
    const Nanoseconds longest = random_.chance(1, 4) ? 20 * options_.latency : options_.latency;
    return static_cast<Nanoseconds>(random_.below(static_cast<std::uint64_t>(longest) + 1));
}

void SimEndpoint::finish_get(SimMessage* message) {
    std::erase(gets_, message);
    Get& get = *message->get->get;
    const Errc outcome = message->get->outcome;
    network_.destroy(message);
    get.done(get, outcome);
}

void SimEndpoint::forget_gets(NodeId peer) {
    for (SimMessage* message : gets_) {
        if (message->from != peer) continue;
        message->get->outcome = Errc::peer_lost;
        if (message->get->stuck) enqueue(message);
    }
}

}  // namespace ssi::net
