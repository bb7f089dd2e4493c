// SPDX-License-Identifier: BSD-3-Clause
#include "catalog.hpp"

#include <algorithm>

namespace ssi::model {

using kddm::Coherence;
using kddm::ObjectKind;

Catalog::Catalog(const Options& options) {
    const std::uint32_t cold = options.cold_objects();
    const std::uint32_t fewer = std::max(2u, cold / 4);
    add("fixed", Use::value, 2, cold, {.object_bytes = 64});
    add("large", Use::value, 1, std::min(fewer, 32u),
        {.count = 1 + std::min(fewer, 32u), .object_bytes = 16384, .placement = "blocked"});
    add("variable", Use::value, 1, fewer,
        {.kind = ObjectKind::variable, .placement = "high_bits"});
    add("home", Use::value, 1, fewer, {.object_bytes = 48, .coherence = Coherence::home});
    add("counter", Use::counter, 1, fewer, {.object_bytes = 16, .placement = placement_name});
    add("churn", Use::churn, 1, fewer, {.object_bytes = 32, .placement = "node:0"});
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
