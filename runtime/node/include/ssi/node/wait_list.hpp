// SPDX-License-Identifier: BSD-3-Clause
// WaitList: which tasks of a node have been waiting for long, and for what. A wait costs nothing
// here until the Waiter has given up spinning: then the waiting task itself describes what it waits
// for, once.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/ids.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::node {

// Strings are ready to print; what does not apply is empty or no_node.
struct WaitDescription {
    std::string verb;               // "grab", "barrier"
    std::string set;                // name of the set
    SetId set_id{};
    std::string object;             // "7", or "1:7"
    ObjectId object_id{};
    NodeId home = no_node;          // of the object
    NodeId from = no_node;          // the node whose message is awaited
    std::vector<std::string> held;  // "object 3 of set 'x' (get)", in the order taken
};

// Thread-safe.
class WaitList {
public:
    struct Item {
        std::uint64_t task;
        Nanoseconds since;          // an instant of the node's clock
        WaitDescription what;
    };
    std::uint64_t add(Nanoseconds since, WaitDescription what);  // of the calling task
    void remove(std::uint64_t ticket);
    std::vector<Item> items() const;  // who waits longest first

private:
    mutable sys::Mutex mutex_;
    std::map<std::uint64_t, Item> items_;  // by ticket, that is by the time of its addition
    std::uint64_t last_ticket_ = 0;
};

// On the stack of whoever waits: give it to the WaitCell before waiting. Derived classes say what
// is waited for; describe() runs on the waiting task, with no lock held.
class WaitNote : public sys::LongWait {
public:
    explicit WaitNote(WaitList& list) : list_(list) {}
    WaitNote(const WaitNote&) = delete;
    WaitNote& operator=(const WaitNote&) = delete;
    ~WaitNote() {
        if (ticket_ != 0) [[unlikely]]
            list_.remove(ticket_);
    }
    void on_long_wait(Nanoseconds since) final {
        if (ticket_ == 0) ticket_ = list_.add(since, describe());
    }

private:
    virtual WaitDescription describe() const = 0;
    WaitList& list_;
    std::uint64_t ticket_ = 0;
};

}  // namespace ssi::node
