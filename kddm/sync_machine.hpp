// SPDX-License-Identifier: BSD-3-Clause
// What the machines of synchronisation objects share. A machine is sans-I/O: (state, event) ->
// (state, messages, tasks that may go on). No threads, locks, clock or network inside. Each holds
// both roles of one named object on one node: the client, and the home if this node is it.
#pragma once

#include <boost/container/small_vector.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "ssi/base/error.hpp"
#include "ssi/kddm/sync.hpp"
#include "ssi/sys/task.hpp"
#include "sync_wire.hpp"

namespace ssi::kddm::sync {

// A task that waits for an object; on its stack. The machine's while it is in a list; `done` says
// that the machine is finished with it and somebody will make the cell ready.
struct Waiter {
    std::uint64_t txn = 0;
    std::uint64_t task = 0;
    bool try_only = false;
    bool exclusive = true;
    bool done = false;
    Errc outcome = Errc::ok;
    NodeId fault = no_node;
    std::uint32_t count = 0;        // messages of an answer
    std::uint64_t value = 0;
    std::vector<std::byte> bytes;   // of an answer
    sys::WaitCell cell;
    sys::WaitCell* also = nullptr;  // made ready before `cell`: of a task that waits for several
    Waiter* next = nullptr;
};

// First in, first out; links through the waiters.
class WaiterList {
public:
    bool empty() const { return !first_; }
    std::size_t size() const { return size_; }
    Waiter* front() const { return first_; }
    void push(Waiter& w) {
        w.next = nullptr;
        (last_ ? last_->next : first_) = &w;
        last_ = &w;
        ++size_;
    }
    Waiter* pop() {
        Waiter* w = first_;
        if (w) (void)take_if([&](Waiter& other) { return &other == w; });
        return w;
    }
    // Removes the first that fits and returns it with its place; null when none does.
    template <class Fits>
    std::pair<Waiter*, std::size_t> take_if(Fits fits) {
        Waiter* before = nullptr;
        std::size_t place = 0;
        for (Waiter* w = first_; w; before = w, w = w->next, ++place) {
            if (!fits(*w)) continue;
            (before ? before->next : first_) = w->next;
            if (last_ == w) last_ = before;
            --size_;
            w->next = nullptr;
            return {w, place};
        }
        return {nullptr, place};
    }
    Waiter* take_txn(std::uint64_t txn) {
        return take_if([&](Waiter& w) { return w.txn == txn; }).first;
    }

private:
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
    std::size_t size_ = 0;
};

// What an event leads to; carried out when the object is unlocked.
struct Outbox {
    struct Item {
        NodeId to;
        Message message;
        std::vector<std::byte> payload;
    };
    boost::container::small_vector<Item, 2> items;
    boost::container::small_vector<Waiter*, 4> done;
    void finish(Waiter& w, Errc outcome = Errc::ok, NodeId fault = no_node) {
        w.outcome = outcome;
        w.fault = fault;
        w.done = true;
        done.push_back(&w);
    }
};

struct Place {
    ObjectId id;
    NodeId self;
    NodeId home;
    Plant plant = Plant::none;
};

class Machine {
public:
    explicit Machine(const Place& place) : place_(place) {}
    virtual ~Machine() = default;
    Machine(const Machine&) = delete;
    Machine& operator=(const Machine&) = delete;

    virtual void receive(NodeId from, const Message& m, std::span<const std::byte> payload,
                         Outbox& out) = 0;
    // A node is dead. Every node's machines hear of it; once a node.
    void lose(NodeId node, Outbox& out) {
        if (is_dead(node)) return;
        dead_.push_back(node);
        on_lost(node, out);
    }
    bool is_home() const { return place_.self == place_.home; }
    // What a task still has of the object when its node ends: for the report of misuse.
    virtual bool held() const { return false; }

protected:
    virtual void on_lost(NodeId node, Outbox& out) = 0;
    bool is_dead(NodeId node) const {
        return std::find(dead_.begin(), dead_.end(), node) != dead_.end();
    }
    bool any_dead() const { return !dead_.empty(); }
    NodeId first_dead() const { return dead_.empty() ? no_node : dead_.front(); }
    bool planted(Plant plant) const { return place_.plant == plant; }
    Message message(Op op, std::uint64_t txn = 0) const {
        Message m;
        m.header.channel = static_cast<std::uint8_t>(node::ChannelId::sync);
        m.header.kind = static_cast<std::uint8_t>(op);
        m.hi = place_.id.hi;
        m.lo = place_.id.lo;
        m.txn = txn;
        return m;
    }
    void send(Outbox& out, NodeId to, const Message& m, std::vector<std::byte> payload = {}) const {
        out.items.push_back({to, m, std::move(payload)});
        out.items.back().message.length = static_cast<std::uint32_t>(payload_of(out).size());
    }

    const Place place_;

private:
    static const std::vector<std::byte>& payload_of(const Outbox& out) {
        return out.items.back().payload;
    }
    std::vector<NodeId> dead_;
};

}  // namespace ssi::kddm::sync
