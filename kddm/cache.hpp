// SPDX-License-Identifier: BSD-3-Clause
// The cache role: what a node does with its own copy of an object. Pure functions of (entry, event)
// that leave messages and granted waiters in the Transition. Called under the shard lock.
// docs/protocol.md has the table; one function here is one column.
#pragma once

#include "transition.hpp"

namespace ssi::kddm::cache {

// A local task or operation wants access: queues it and starts what is needed.
void want(Entry& entry, Waiter& waiter, Transition& t);
// Asks for access that nobody waits for yet.
void prefetch(Entry& entry, Access access, Transition& t);
// The waiter gives up (timeout, loss). False when it was granted meanwhile.
bool withdraw(Entry& entry, Waiter& waiter, Transition& t);
// The same for an object of another home of which nothing is here, or a read copy where writing
// is wanted: fills in the request. False: nothing has changed, it is want's business.
bool ask(Entry& entry, Waiter& waiter, TxnId txn, const Surroundings& s, Message& request);
// The answer to that, for the one task that waits: pinned on its behalf; returns it to be notified.
// Null: nothing has changed, it is on_data's business.
Waiter* arrive(Entry& entry, const Message& m, const Body& body, const Surroundings& s);
// For directory::answer, of a closed object that nobody (give_copy: no writer) has pinned.
void give_copy(Entry& entry, const Surroundings& s, Message& reply, Body& body);
void give_away(Entry& entry, const Message& m, const Surroundings& s, Message& reply, Body& body);
// The last pin went away while somebody waited.
void unpinned(Entry& entry, Transition& t);

// Messages. `body` is taken over.
void on_data(Entry& entry, const Message& m, const Body& body, Transition& t);
void on_grant(Entry& entry, const Message& m, Transition& t);
void on_ack(Entry& entry, const Message& m, Transition& t);
void on_error(Entry& entry, const Message& m, Transition& t);
void on_revoke(Entry& entry, const Message& m, Transition& t);  // fetch, yield, invalidate
void on_evict_ack(Entry& entry, const Message& m, Transition& t);

// The release hook has run: the revocation goes on.
void released(Entry& entry, Transition& t);

// Gives up what is here: a clean copy is dropped, an owner sends the bytes home. False while the
// object is held or in transition.
bool flush(Entry& entry, Transition& t);
// The owner's bytes arrived at the home by eviction.
void install_evicted(Entry& entry, const Message& m, const Body& body, bool copies,
                     Transition& t);
// First touch at the home: the object comes into being. False: out of memory.
bool instantiate(Entry& entry, Transition& t);
// A remove operation holds the write pin at the home: the object ceases to exist.
void destroy(Entry& entry, Transition& t);

// The set is destroyed: fails the waiters and frees what nobody holds.
void forget(Entry& entry, Transition& t);

// A node died: fails the waiters whose request went to it, makes the others look again.
void on_node_lost(Entry& entry, NodeId node, Transition& t);
// Fails all waiters of the object.
void fail_waiters(Entry& entry, Errc error, NodeId fault, Transition& t);

// True when nothing at all is known any more: the entry can be recycled.
bool idle(const Entry& entry);

}  // namespace ssi::kddm::cache
