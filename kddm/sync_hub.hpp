// SPDX-License-Identifier: BSD-3-Clause
// The shell around the machines of synchronisation objects: names, locks, messages, waiting. An
// event runs under its object's lock; what it decides is carried out after unlocking; nobody waits
// under it. What a node sends to itself is handled in the same critical section.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>

#include "channel_state.hpp"
#include "gate.hpp"
#include "ssi/kddm/cut.hpp"
#include "ssi/kddm/sync.hpp"
#include "ssi/node/node.hpp"
#include "ssi/node/wait_list.hpp"
#include "sync_machine.hpp"

namespace ssi::kddm::sync {

struct Object {
    Hub::Impl& hub;
    const Place place;
    std::string name;               // empty until a task of this node opens it
    mutable sys::Mutex mutex;       // of the machine
    std::unique_ptr<Machine> machine;
};

// What a task waits for, told when it waits for long.
class ObjectWait final : public node::WaitNote {
public:
    ObjectWait(node::Node& node, const Object& object, const char* verb)
        : WaitNote(node.waits()), object_(object), verb_(verb) {}

private:
    node::WaitDescription describe() const override;
    const Object& object_;
    const char* const verb_;
};

struct Hub::Impl final : node::Channel {
    Impl(node::Node& node, Plant plant);

    // -- node::Channel
    std::byte* on_large(NodeId from, std::span<const std::byte> header,
                        std::size_t length) override;
    void on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                    bool owned) override;
    void on_large_failed(NodeId from, std::byte* memory) override;
    void on_node_lost(NodeId node) override;

    Object& open(Kind kind, std::string_view name);
    Object& find_or_make(ObjectId id);
    std::uint64_t next_txn() { return ++last_txn; }

    // Runs `event(outbox)` as one critical section over the object and carries out its outcome.
    template <class Event>
    void step(Object& object, Event&& event) {
        Outbox out;
        {
            std::lock_guard lock(object.mutex);
            event(out);
            deliver_here(object, out);
        }
        carry_out(out);
    }
    // Waits until the machine is done with `w`. When `timeout` passes first, `withdraw(outbox)`
    // asks the machine to give it back, which may answer with success all the same. `verb` is what
    // the task does, for whoever lists the tasks that wait for long.
    template <class Withdraw>
    void wait(Object& object, Waiter& w, const char* verb, Nanoseconds timeout,
              Withdraw&& withdraw) {
        if (w.cell.ready()) return;
        ObjectWait note(node, object, verb);
        w.cell.long_wait = &note;
        const bool bounded = timeout != forever && timeout > 0;
        const Nanoseconds deadline = bounded ? clock.now() + timeout : sys::Waiter::forever;
        if (waiter.wait_until(w.cell, deadline)) return;
        step(object, [&](Outbox& out) {
            if (!w.done) withdraw(out);
        });
        waiter.wait(w.cell);
    }
    void wait(Object& object, Waiter& w, const char* verb) {
        wait(object, w, verb, forever, [](Outbox&) {});
    }

    void deliver_here(Object& object, Outbox& out);
    void carry_out(Outbox& out);

    // -- sync_cut.cpp
    // A verb on a channel begins, unless it has to wait at the gate of a cut. It ends when the verb
    // begins to wait for others: whoever is blocked stops no cut.
    class Entrance : public Passage {
    public:
        explicit Entrance(Impl& hub)
            : Passage(hub.cut_gate, hub.inside, nullptr,
                      [&hub] { return hub.cut_gate.closed(); }, sys::Waiter::forever) {}
    };
    void count(NodeId peer, const Message& m, bool sent);
    void look(CutLook& look);
    std::vector<CutChannel> channels();
    void leave_out(ObjectId channel);     // of cuts
    Result<void> restore(ObjectId id, ChannelState state);

    node::Node& node;
    const node::SlotTable& slots;
    const Plant plant;
    const NodeId self;
    Log& log;
    sys::Waiter& waiter;
    const Clock& clock;
    std::atomic<std::uint64_t> last_txn{0};

    Gate cut_gate;                  // of verbs on channels
    std::atomic<std::uint64_t> inside{0};
    struct Traffic {
        std::uint64_t sent = 0;
        std::uint64_t received = 0;
    };
    sys::Mutex traffic_mutex;       // of the next
    std::map<NodeId, Traffic> traffic;   // messages of channels, by living peer

    sys::Mutex mutex;               // of what follows
    std::map<ObjectId, std::unique_ptr<Object>> objects;
    std::vector<NodeId> dead;
    std::set<ObjectId> left_out;    // channels that are part of no cut
};

ObjectId id_of(Kind kind, std::string_view name);

template <class M>
M& machine_of(Object& object) {
    return static_cast<M&>(*object.machine);
}

inline Waiter new_waiter(Object& object, Nanoseconds timeout = forever) {
    return Waiter{.txn = object.hub.next_txn(),
                  .task = sys::current_task().id,
                  .try_only = timeout == 0};
}

// What a task is told of its waiter's outcome.
Result<void> result_of(const Object& object, const Waiter& w);

}  // namespace ssi::kddm::sync
