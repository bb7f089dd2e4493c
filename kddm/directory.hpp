// SPDX-License-Identifier: BSD-3-Clause
// The directory role: what an object's home does: one transition at a time, first in first out.
// Pure functions, called under the shard lock.
#pragma once

#include "transition.hpp"

namespace ssi::kddm::directory {

// get_request, grab_request, evict: starts it, or queues it behind the transition under way.
void on_request(Entry& entry, const Message& m, const Body& body, Transition& t);
// The home's own copy answers a get_request or grab_request at once: what on_request does when
// nothing else is going on, without a message to itself. Fills in reply and body. False: nothing
// has changed, it is on_request's business.
bool answer(Entry& entry, const Message& m, const Surroundings& s, Message& reply, Body& body);
// done from the requester, or served from our own cache: opens the next.
void on_done(Entry& entry, const Message& m, Transition& t);

// Asks all nodes with a copy, but for request's own, to drop it and to tell it; how many will.
std::uint32_t invalidate(Entry& entry, const Message& request, Transition& t);
// The object's bytes have come: the requests that waited for them start.
void resume(Entry& entry, Transition& t);
// They cannot be had: the requests fail.
void refuse_all(Entry& entry, Errc error, Transition& t);

// A node died: forgets its copies and requests; a transition that it was to finish is closed.
void on_node_lost(Entry& entry, NodeId node, Transition& t);

}  // namespace ssi::kddm::directory
