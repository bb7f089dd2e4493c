// SPDX-License-Identifier: BSD-3-Clause
// The verbs on mutexes, conditions and barriers.
#include "barrier_machine.hpp"
#include "lock_machine.hpp"
#include "share_machine.hpp"
#include "ssi/base/assert.hpp"
#include "sync_hub.hpp"

namespace ssi::kddm::sync {

Result<void> lock(Object& mutex, Nanoseconds timeout) {
    auto& machine = machine_of<LockMachine>(mutex);
    Waiter w = new_waiter(mutex, timeout);
    mutex.hub.step(mutex, [&](Outbox& out) {
        SSI_ASSERT(machine.holder() != w.task, "this task holds the mutex already: unlock it "
                                               "first, a Mutex is not recursive");
        machine.lock(w, out);
    });
    mutex.hub.wait(mutex, w, "lock", timeout, [&](Outbox& out) { machine.withdraw(w, out); });
    return result_of(mutex, w);
}

void unlock(Object& mutex) {
    auto& machine = machine_of<LockMachine>(mutex);
    mutex.hub.step(mutex, [&](Outbox& out) {
        SSI_ASSERT(machine.holder() == sys::current_task().id,
                   "unlock of a mutex that this task does not hold: the task that locked it must "
                   "unlock it, once");
        machine.unlock(out);
    });
}

Result<void> lock_shared(Object& mutex, bool exclusive, Nanoseconds timeout) {
    auto& machine = machine_of<ShareMachine>(mutex);
    Waiter w = new_waiter(mutex, timeout);
    w.exclusive = exclusive;
    mutex.hub.step(mutex, [&](Outbox& out) {
        SSI_ASSERT(!machine.holds(w.task), "this task holds the shared mutex already: unlock it "
                                           "first, it is neither recursive nor upgradable");
        machine.lock(w, out);
    });
    mutex.hub.wait(mutex, w, "lock", timeout, [&](Outbox& out) { machine.withdraw(w, out); });
    return result_of(mutex, w);
}

void unlock_shared(Object& mutex, bool exclusive) {
    auto& machine = machine_of<ShareMachine>(mutex);
    const std::uint64_t task = sys::current_task().id;
    mutex.hub.step(mutex, [&](Outbox& out) {
        SSI_ASSERT(exclusive ? machine.writes(task) : machine.reads(task),
                   "unlock of a shared mutex that this task does not hold that way: unlock after "
                   "lock, unlock_shared after lock_shared, once each");
        machine.unlock(task, exclusive, out);
    });
}

Hold held_here(const Object& mutex) {
    const std::uint64_t task = sys::current_task().id;
    std::lock_guard lock(mutex.mutex);
    if (auto* machine = dynamic_cast<const LockMachine*>(mutex.machine.get()))
        return machine->holder() == task ? Hold::exclusive : Hold::none;
    if (auto* machine = dynamic_cast<const ShareMachine*>(mutex.machine.get()))
        return machine->writes(task) ? Hold::exclusive
                                     : machine->reads(task) ? Hold::shared : Hold::none;
    return Hold::none;
}

Result<void> wait(Object& condition, Object& mutex, Nanoseconds timeout, bool& locked) {
    auto& machine = machine_of<ConditionMachine>(condition);
    Hub::Impl& hub = condition.hub;
    Waiter registered = new_waiter(condition);
    Waiter woken = new_waiter(condition);
    registered.txn = woken.txn;
    locked = true;
    hub.step(condition, [&](Outbox& out) { machine.wait(registered, woken, out); });
    hub.wait(condition, registered, "wait");
    if (registered.outcome != Errc::ok) return result_of(condition, registered);
    unlock(mutex);
    // The home answers a withdrawal in any case.
    hub.wait(condition, woken, "wait", timeout, [&](Outbox& out) { machine.withdraw(woken, out); });
    if (auto again = lock(mutex); !again) {
        locked = false;
        return again;
    }
    return result_of(condition, woken);
}

Result<void> notify(Object& condition, std::uint32_t count) {
    auto& machine = machine_of<ConditionMachine>(condition);
    bool told = false;
    condition.hub.step(condition, [&](Outbox& out) { told = machine.notify(count, out); });
    if (told) return {};
    Waiter w;
    w.outcome = Errc::peer_lost;
    w.fault = condition.place.home;
    return result_of(condition, w);
}

Result<Object*> Hub::barrier(std::string_view name, std::uint32_t participants) {
    if (participants == 0)
        return fail(Errc::invalid_argument, fmt::format("barrier '{}' of no participants: it needs "
                                                        "at least 1", name));
    Object& object = impl_->open(Kind::barrier, name);
    auto& machine = machine_of<BarrierMachine>(object);
    std::lock_guard lock(object.mutex);
    if (machine.participants == 0) machine.participants = participants;
    if (machine.participants != participants)
        return fail(Errc::mismatch,
                    fmt::format("barrier '{}' has {} participants, not {}", name,
                                machine.participants, participants));
    return &object;
}

Result<void> arrive_and_wait(Object& barrier) {
    auto& machine = machine_of<BarrierMachine>(barrier);
    Waiter w = new_waiter(barrier);
    barrier.hub.step(barrier, [&](Outbox& out) { machine.arrive(w, out); });
    barrier.hub.wait(barrier, w, "arrival");
    return result_of(barrier, w);
}

}  // namespace ssi::kddm::sync
