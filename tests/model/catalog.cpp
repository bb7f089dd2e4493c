// SPDX-License-Identifier: BSD-3-Clause
#include "catalog.hpp"

#include <algorithm>

namespace ssi::model {

using kddm::Coherence;
using kddm::ObjectKind;

namespace {

// What so many objects of that size take by a budget's count.
std::uint64_t room_for(std::uint64_t objects, std::uint64_t bytes) {
    return objects * (bytes + bytes / 8 + 192);
}

// Beside what is at home for good: as many as the tasks of a node may hold, and some.
std::uint32_t held_objects(const Options& options) { return 3 * options.tasks + 6; }

}  // namespace

Catalog::Catalog(const Options& options) {
    const std::uint32_t cold = options.cold_objects();
    const std::uint32_t fewer = std::max(2u, cold / 4);
    add("fixed", Use::value, 2, cold, {.object_bytes = 64});
    add("large", Use::value, 1, std::min(fewer, 32u),
        {.count = 1 + std::min(fewer, 32u), .object_bytes = 16384, .placement = "blocked",
         .memory_bytes = !options.evict ? 0
                                        : room_for(std::min(fewer, 32u) / options.nodes + 2 +
                                                       held_objects(options), 16384)});
    add("variable", Use::value, 1, fewer,
        {.kind = ObjectKind::variable, .placement = "high_bits"});
    add("home", Use::value, 1, fewer, {.object_bytes = 48, .coherence = Coherence::home});
    add("counter", Use::counter, 1, fewer, {.object_bytes = 16, .placement = placement_name});
    add("churn", Use::churn, 1, fewer, {.object_bytes = 32, .placement = "node:0"});
    // To find out where an object was first touched takes two delays more, once.
    add("touched", Use::value, 1, fewer,
        {.count = 1 + fewer, .object_bytes = 24,
         .placement = options.sequential ? "blocked" : "first_touch"});
    if (!options.evict) return;
    const std::uint32_t held = held_objects(options);
    add("linked", Use::value, 2, cold,
        {.object_bytes = 600, .linker = "slow_linked", .memory_bytes = room_for(held, 600)});
    add("linked_churn", Use::churn, 1, fewer,
        {.kind = ObjectKind::variable, .linker = "slow_churn",
         .memory_bytes = room_for(held, 2000)});
    add("linked_small", Use::value, 1, fewer,
        {.object_bytes = 16, .linker = "slow_small", .memory_bytes = room_for(held, 8)});
}

void Catalog::add(const char* name, Use use, std::uint32_t hot, std::uint32_t cold,
                  kddm::SetOptions options) {
    sets_.push_back({name, std::move(options), use, hot, hot + cold, count_});
    count_ += hot + cold;
}

std::uint32_t Catalog::set_of(std::uint32_t object) const {
    std::uint32_t set = 0;
    while (set + 1 < sets_.size() && sets_[set + 1].first <= object) ++set;
    return set;
}

// High bits matter to the set that is placed by them; others stay within their count.
ObjectId Catalog::id_of(std::uint32_t object) const {
    const SetPlan& plan = plan_of(object);
    const std::uint32_t i = object - plan.first;
    return plan.options.placement == "high_bits" ? ObjectId{i, i / 2} : ObjectId{i};
}

std::uint32_t Catalog::number_of(std::uint32_t set, ObjectId id) const {
    const SetPlan& plan = sets_[set];
    const std::uint64_t i = plan.options.placement == "high_bits" ? id.hi : id.lo;
    return plan.first + static_cast<std::uint32_t>(i);
}

SlotId Catalog::place_by_low_bits(SetId, ObjectId id, std::uint32_t slots) {
    return SlotId(static_cast<std::uint32_t>(id.lo % slots));
}

}  // namespace ssi::model
