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
// At the home: the value is not in memory, as it never was, or is with the linker.
bool absent(const Entry& entry, const Transition& t);
// Has it brought there: at once (zeroes: a new-born object, or a renewed one), or, in a set with a
// linker, by Transition::load; `loaded` or `load_failed` follows. False: out of memory.
bool bring(Entry& entry, bool renew, Transition& t);
inline bool loading(const Entry& entry) { return entry.busy && entry.busy->loading; }
void loaded(Entry& entry, const Body& body, Transition& t);
void load_failed(Entry& entry, Errc error, Transition& t);
// What can be done to free the memory of an object that nobody has pinned, and was done unless
// the linker must have the value first.
enum class Shed : std::uint8_t {
    kept,         // nothing: it is in use, or has no other place
    dropped,      // the memory is free
    leaving,      // it will be: on its way home, or the release hook runs
    write_back,   // the linker must have the value first
    recall,       // so must it, after all copies: too small to remember them without it
};
Shed shed(Entry& entry, Transition& t);
// All copies of an object that the linker keeps have been invalidated, or cannot be, as a node
// died: what waited meanwhile goes on.
void forgotten(Entry& entry, bool all, Transition& t);
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
