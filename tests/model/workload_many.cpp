// SPDX-License-Identifier: BSD-3-Clause
// The verbs over many objects at once; see workload_verbs.cpp.
#include <fmt/format.h>

#include <algorithm>

#include "ssi/kddm/many.hpp"
#include "ssi/kddm/updates.hpp"
#include "workload.hpp"

namespace ssi::model {
namespace {

constexpr std::uint64_t most_others = 6;
constexpr std::uint64_t most_others_of_few = 2;   // in sets with a budget, see Catalog

}  // namespace

// The operation's object and a few others of its set, hot ones among them, in any order; some come
// twice.
std::vector<std::uint32_t> Workload::plan_many(const Op& op) {
    const SetPlan& plan = catalog_.plan_of(op.object);
    std::vector<std::uint32_t> objects{op.object};
    const std::uint64_t most = plan.options.memory_bytes ? most_others_of_few : most_others;
    for (std::uint64_t n = 1 + random_.below(most); n > 0; --n) {
        const std::uint32_t among = random_.chance(1, 2) ? std::min(plan.objects, 4u)
                                                         : plan.objects;
        objects.push_back(plan.first + static_cast<std::uint32_t>(random_.below(among)));
    }
    std::swap(objects.front(), objects[random_.below(objects.size())]);
    return objects;
}

std::vector<ObjectId> Workload::ids_of(const std::vector<std::uint32_t>& objects) const {
    std::vector<ObjectId> ids;
    for (const std::uint32_t object : objects) ids.push_back(catalog_.id_of(object));
    return ids;
}

void Workload::do_many(const Op& op, bool write) {
    note(op, op.object, "called", 0, 0);
    const std::uint32_t set = catalog_.set_of(op.object);
    const auto ids = ids_of(plan_many(op));
    auto& raw = set_of(op, op.object);
    auto guards = write ? raw.grab_many(ids) : raw.get_many(ids);
    if (!guards) {
        failed(op, guards.error());
        return;
    }
    for (std::size_t i = 0; i < ids.size(); ++i)
        if ((*guards)[i].id() != ids[i])
            world_.verdict.fail("order_of_many",
                                fmt::format("operation {} was given another object than it named",
                                            op.number));
    const auto distinct = guards->distinct();
    std::vector<Hold> holds;
    for (const kddm::RawGuard& guard : distinct)
        holds.push_back(acquired(op, catalog_.number_of(set, guard.id()), guard, write));
    pause();
    for (std::size_t i = distinct.size(); i > 0; --i)
        write ? write_and_let_go(op, distinct[i - 1], holds[i - 1])
              : let_go_read(op, distinct[i - 1], holds[i - 1]);
}

void Workload::do_prefetch_many(const Op& op) {
    const auto access = random_.chance(1, 3) ? kddm::Access::write : kddm::Access::read;
    auto asked = set_of(op, op.object).prefetch_many(ids_of(plan_many(op)), access);
    if (!asked) failed(op, asked.error());
}

// Of sets whose objects do not stay it is refused.
void Workload::do_migrate(const Op& op) {
    const NodeId to = world_.id_of(static_cast<std::uint32_t>(random_.below(options_.nodes)));
    note(op, op.object, "called", 0, 0);
    auto moved = set_of(op, op.object).migrate(ids_of(plan_many(op)), to);
    const bool home = catalog_.plan_of(op.object).options.coherence == kddm::Coherence::home;
    const bool refused = !moved && moved.error().code == Errc::invalid_argument;
    if (home && refused) return;
    if (home)
        world_.verdict.fail("errors", "migrate is possible where nothing stays");
    else if (!moved)
        failed(op, moved.error());
}

void Workload::do_update_many(const Op& op) {
    const auto objects = plan_many(op);
    std::vector<kddm::Update> updates;
    for (const std::uint32_t object : objects)
        updates.push_back({catalog_.id_of(object), 1 + random_.below(1000), 0});
    std::vector<std::uint64_t> before(updates.size());
    note(op, op.object, "called", 0, 0);
    const std::uint64_t call = tick();
    auto done = set_of(op, op.object)
                    .update_many(kddm::AtomicOp::add, kddm::NumberKind::int64, updates, before);
    if (!done) {
        failed(op, done.error());
        return;
    }
    const std::uint64_t end = tick();
    for (std::size_t i = 0; i < updates.size(); ++i) {
        note(op, objects[i], "updated", before[i], 0);
        counters_[objects[i]].push_back({true, call, end, static_cast<std::int64_t>(before[i]),
                                         static_cast<std::int64_t>(updates[i].operand),
                                         op.number});
    }
}

}  // namespace ssi::model
