// SPDX-License-Identifier: BSD-3-Clause
// The verbs: each uses the public interface as an application would, tells the oracle what it saw,
// and notes it for the histories.
#include <fmt/format.h>

#include <cstring>

#include "pattern.hpp"
#include "workload.hpp"

namespace ssi::model {
namespace {

using Kind = HistoryOp::Kind;

}  // namespace

void Workload::perform(const Op& op) {
    switch (op.verb) {
        case Verb::get: return do_get(op, false);
        case Verb::get_twice: return do_get(op, true);
        case Verb::grab:
        case Verb::grab_new:
        case Verb::try_grab:
        case Verb::apply_here: return do_grab(op);
        case Verb::upgrade: return do_upgrade(op);
        case Verb::nested: return do_nested(op);
        case Verb::descending: return do_descending(op);
        case Verb::fetch_add: return do_fetch_add(op);
        case Verb::apply: return do_apply(op, false);
        case Verb::apply_failing: return do_apply(op, true);
        case Verb::prefetch: {
            const auto access = random_.chance(1, 3) ? kddm::Access::write : kddm::Access::read;
            auto asked = set_of(op, op.object).prefetch(catalog_.id_of(op.object), access);
            if (!asked) failed(op, asked.error());
            return;
        }
        case Verb::get_many: return do_many(op, false);
        case Verb::grab_many: return do_many(op, true);
        case Verb::migrate: return do_migrate(op);
        case Verb::prefetch_many: return do_prefetch_many(op);
        case Verb::update_many: return do_update_many(op);
        case Verb::flush: return do_flush(op);
        case Verb::remove: return do_remove(op);
        case Verb::read: return op.number % 4 == 0 ? do_read_many(op) : do_read(op);
        case Verb::find: (void)set_of(op, op.object).find(catalog_.id_of(op.object)); return;
        case Verb::stale:
            world_.engine(op.node).inject_stale_request(set_of(op, op.object).id(),
                                                        catalog_.id_of(op.object));
            return;
    }
}

// True when the failure is one that a world with losses must accept.
bool Workload::failed(const Op& op, const Failure& failure) {
    note(op, op.object, failure.code == Errc::would_block ? "would block" : "failed", 0, 0);
    const bool lost = failure.code == Errc::peer_lost || failure.code == Errc::lost;
    if (losses_ && lost) return true;
    if (failure.code == Errc::linker_failed && options_.evict) return true;   // they are told to
    world_.verdict.fail("errors", fmt::format("operation {} ({}) on node {} failed: {}", op.number,
                                              verb_name(op.verb), op.node, failure.to_string()));
    return false;
}

void Workload::note(const Op& op, std::uint32_t object, const char* phase, std::uint64_t value,
                    std::uint64_t version) {
    TraceEvent event;
    event.time = world_.scheduler.now();
    event.node = world_.id_of(op.node).value;
    event.op = op.number;
    event.set = world_.set_id(catalog_.set_of(object));
    event.id = catalog_.id_of(object);
    event.text = verb_name(op.verb);
    event.phase = phase;
    event.value = value;
    event.version = version;
    world_.trace.add(event);
}

// Mostly short, at times long: holders that keep others waiting.
void Workload::pause() {
    if (options_.sequential || random_.chance(1, 2)) return;
    const std::uint64_t longest = random_.chance(1, 64) ? 50'000 : 2000;
    world_.tasks.sleep_for(static_cast<Nanoseconds>(random_.below(longest)));
}

std::uint64_t Workload::read(const Op& op, const kddm::RawGuard& guard) {
    const auto value = value_of(guard.bytes());
    if (!value)
        world_.verdict.fail("torn", fmt::format("operation {} ({}) on node {} found bytes that are "
                                                "no single value's",
                                                op.number, verb_name(op.verb), op.node));
    return value.value_or(0);
}

Workload::Hold Workload::acquired(const Op& op, std::uint32_t object, const kddm::RawGuard& guard,
                                  bool write, bool fresh) {
    const bool counter = catalog_.plan_of(object).use == Use::counter;
    Hold hold{object, tick(), counter ? 0 : read(op, guard), fresh};
    note(op, object, write ? "grabs" : "holds", hold.value, guard.version());
    oracle_.acquired(object, op.number, op.node, write,
                     {hold.value, guard.version(), fresh,
                      catalog_.plan_of(object).use != Use::value});
    return hold;
}

void Workload::let_go_read(const Op& op, kddm::RawGuard& guard, const Hold& hold) {
    if (read(op, guard) != hold.value)
        world_.verdict.fail("value", fmt::format("operation {} on node {} saw the bytes change "
                                                 "under its guard",
                                                 op.number, op.node));
    note(op, hold.object, "lets go", hold.value, guard.version());
    oracle_.released(hold.object, op.number);
    histories_[hold.object].push_back(
        {Kind::read, hold.since, tick(), hold.value, 0, op.number});
    if (auto put = guard.put(); !put) failed(op, put.error());
}

void Workload::do_get(const Op& op, bool twice) {
    note(op, op.object, "called", 0, 0);
    oracle_.called(op.object, op.number);
    auto guard = set_of(op, op.object).get(catalog_.id_of(op.object));
    if (!guard) {
        oracle_.gave_up(op.object, op.number);
        failed(op, guard.error());
        return;
    }
    if (catalog_.plan_of(op.object).use == Use::counter) return read_counter(op, *guard);
    const Hold hold = acquired(op, op.object, *guard, false);
    pause();
    if (twice) {
        auto again = set_of(op, op.object).get(catalog_.id_of(op.object));
        if (!again) {
            failed(op, again.error());
        } else {
            pause();
            if (read(op, *again) != hold.value)
                world_.verdict.fail("value", fmt::format("operation {} got an object it holds and "
                                                         "found another value",
                                                         op.number));
        }
    }
    let_go_read(op, *guard, hold);
}

void Workload::read_counter(const Op& op, kddm::RawGuard& guard) {
    const Hold hold = acquired(op, op.object, guard, false);
    std::int64_t before = 0, after = 0;
    std::memcpy(&before, guard.bytes().data(), sizeof(before));
    pause();
    std::memcpy(&after, guard.bytes().data(), sizeof(after));
    if (before != after)
        world_.verdict.fail("value", fmt::format("operation {} saw a counter change under its "
                                                 "guard",
                                                 op.number));
    note(op, op.object, "lets go", static_cast<std::uint64_t>(before), guard.version());
    oracle_.released(op.object, op.number);
    counters_[op.object].push_back({false, hold.since, tick(), before, 0, op.number});
    if (auto put = guard.put(); !put) failed(op, put.error());
}

Workload::ReadCall Workload::call_read(const Op& op, std::uint32_t object) {
    note(op, object, "called", 0, 0);
    return {object, tick(), oracle_.newest_version(object)};
}

// A snapshot has no hold on anything: it must be whole, be what that version of the object was, be
// no older than what anybody had seen before the call, and have a place in the order of all else.
void Workload::returned_read(const Op& op, const ReadCall& call,
                             const kddm::RawSnapshot& snapshot) {
    const Use use = catalog_.plan_of(call.object).use;
    std::uint64_t value = 0;
    if (use == Use::counter) {
        std::memcpy(&value, snapshot.bytes.data(), sizeof(value));
    } else {
        const auto whole = value_of(snapshot.bytes);
        if (!whole)
            world_.verdict.fail("torn", fmt::format("operation {} (read) on node {} returned bytes "
                                                    "that are no single value's",
                                                    op.number, op.node));
        value = whole.value_or(0);
    }
    note(op, call.object, "returned", value, snapshot.version);
    oracle_.read(call.object, op.number, call.floor,
                 {value, snapshot.version, false, use == Use::churn});
    if (use == Use::counter)
        counters_[call.object].push_back(
            {false, call.tick, tick(), static_cast<std::int64_t>(value), 0, op.number});
    else
        histories_[call.object].push_back({Kind::read, call.tick, tick(), value, 0, op.number});
}

void Workload::do_read(const Op& op) {
    const ReadCall call = call_read(op, op.object);
    auto snapshot = set_of(op, op.object).read(catalog_.id_of(op.object));
    if (!snapshot) {
        failed(op, snapshot.error());
        return;
    }
    returned_read(op, call, *snapshot);
}

// Some neighbours, and one of them twice.
void Workload::do_read_many(const Op& op) {
    const SetPlan& plan = catalog_.plan_of(op.object);
    std::vector<ReadCall> calls;
    std::vector<ObjectId> ids;
    for (std::uint32_t i = 0; i < 4; ++i) {
        const std::uint32_t object = plan.first + (op.object - plan.first + i % 3) % plan.objects;
        calls.push_back(call_read(op, object));
        ids.push_back(catalog_.id_of(object));
    }
    auto snapshots = set_of(op, op.object).read_many(ids);
    if (!snapshots) {
        failed(op, snapshots.error());
        return;
    }
    for (std::size_t i = 0; i < calls.size(); ++i) returned_read(op, calls[i], (*snapshots)[i]);
}

void Workload::do_grab(const Op& op) {
    note(op, op.object, "called", 0, 0);
    const ObjectId id = catalog_.id_of(op.object);
    kddm::RawSet& set = set_of(op, op.object);
    const bool waits = op.verb != Verb::try_grab;
    if (waits) oracle_.called(op.object, op.number);
    auto guard = op.verb == Verb::grab_new   ? set.grab_new(id)
                 : op.verb == Verb::try_grab ? set.try_grab(id)
                                             : set.grab(id);
    if (!guard) {
        if (waits) oracle_.gave_up(op.object, op.number);
        const bool lost = (guard.error().code != Errc::would_block || waits) &&
                          failed(op, guard.error());
        if (lost && op.verb == Verb::grab_new) {
            oracle_.may_be_renewed(op.object);
            doubtful_.push_back(op.number);
        }
        return;
    }
    const bool fresh = op.verb == Verb::grab_new;
    Hold hold = acquired(op, op.object, *guard, true, fresh);
    if (fresh && hold.value != 0)
        world_.verdict.fail("value", fmt::format("operation {} found value {} where grab_new "
                                                 "promises a new-born object",
                                                 op.number, hold.value));
    if (op.verb == Verb::apply_here && !apply_in_place(op, hold)) return;
    write_and_let_go(op, *guard, hold);
}

void Workload::write_and_let_go(const Op& op, kddm::RawGuard& guard, Hold hold) {
    const bool keeps = !hold.fresh && random_.chance(1, 10);
    if (keeps) {
        pause();
        return let_go_read(op, guard, hold);
    }
    const std::uint64_t value = new_value(op);
    if (catalog_.plan_of(hold.object).options.kind == kddm::ObjectKind::variable)
        if (auto resized = guard.resize(variable_length(value)); !resized)
            failed(op, resized.error());
    pause();
    fill(guard.writable(), value);
    pause();
    if (read(op, guard) != value)
        world_.verdict.fail("value", fmt::format("operation {} lost what it wrote under its own "
                                                 "grab",
                                                 op.number));
    note(op, hold.object, "lets go", value, guard.version());
    oracle_.released(hold.object, op.number, value);
    histories_[hold.object].push_back({hold.fresh ? Kind::write : Kind::update, hold.since, tick(),
                                       hold.value, value, op.number});
    if (auto put = guard.put(); !put) failed(op, put.error());
}

void Workload::do_upgrade(const Op& op) {
    note(op, op.object, "called", 0, 0);
    oracle_.called(op.object, op.number);
    auto guard = set_of(op, op.object).get(catalog_.id_of(op.object));
    if (!guard) {
        oracle_.gave_up(op.object, op.number);
        failed(op, guard.error());
        return;
    }
    const Hold before = acquired(op, op.object, *guard, false);
    pause();
    note(op, op.object, "upgrades", before.value, guard->version());
    oracle_.released(op.object, op.number);
    histories_[op.object].push_back({Kind::read, before.since, tick(), before.value, 0, op.number});
    oracle_.called(op.object, op.number);
    auto changed = guard->upgrade();
    if (!changed) {
        oracle_.gave_up(op.object, op.number);
        failed(op, changed.error());
        return;
    }
    const Hold hold = acquired(op, op.object, *guard, true);
    if (!*changed && hold.value != before.value)
        world_.verdict.fail("value", fmt::format("operation {} was told that nothing changed "
                                                 "before its upgrade, but {} became {}",
                                                 op.number, before.value, hold.value));
    write_and_let_go(op, *guard, hold);
}

// Two objects in the order that guards must be taken in.
void Workload::do_nested(const Op& op) {
    std::uint32_t other = plan_object();
    if (catalog_.plan_of(other).use != Use::value || other == op.object)
        return do_get(op, false);
    auto key = [&](std::uint32_t object) {
        return std::pair(world_.set_id(catalog_.set_of(object)), catalog_.id_of(object));
    };
    const std::uint32_t low = key(op.object) < key(other) ? op.object : other;
    const std::uint32_t high = low == other ? op.object : other;
    const bool write_low = random_.chance(1, 2), write_high = random_.chance(1, 2);
    auto take = [&](std::uint32_t object, bool write) {
        note(op, object, "called", 0, 0);
        oracle_.called(object, op.number);
        auto guard = write ? set_of(op, object).grab(catalog_.id_of(object))
                           : set_of(op, object).get(catalog_.id_of(object));
        if (!guard) {
            oracle_.gave_up(object, op.number);
            failed(op, guard.error());
        }
        return guard;
    };
    auto let_go = [&](kddm::RawGuard& guard, const Hold& hold, bool write) {
        write ? write_and_let_go(op, guard, hold) : let_go_read(op, guard, hold);
    };
    auto first = take(low, write_low);
    if (!first) return;
    const Hold low_hold = acquired(op, low, *first, write_low);
    pause();
    if (auto second = take(high, write_high)) {
        const Hold high_hold = acquired(op, high, *second, write_high);
        pause();
        let_go(*second, high_hold, write_high);
    }
    let_go(*first, low_hold, write_low);
}

// The other order is refused at once, and says so.
void Workload::do_descending(const Op& op) {
    const SetPlan& plan = catalog_.plan_of(op.object);
    if (op.object == plan.first) return do_get(op, false);
    oracle_.called(op.object, op.number);
    auto guard = set_of(op, op.object).get(catalog_.id_of(op.object));
    if (!guard) {
        oracle_.gave_up(op.object, op.number);
        failed(op, guard.error());
        return;
    }
    const Hold hold = acquired(op, op.object, *guard, false);
    auto lower = set_of(op, op.object).grab(catalog_.id_of(op.object - 1));
    // Who keeps the lower one's place may be dead.
    const bool nowhere = losses_ && !lower && lower.error().code == Errc::peer_lost;
    if (!nowhere && (lower || lower.error().code != Errc::deadlock))
        world_.verdict.fail("guard_order",
                            fmt::format("operation {} grabbed a lower object while holding a "
                                        "higher one and was not refused",
                                        op.number));
    let_go_read(op, *guard, hold);
}

}  // namespace ssi::model
