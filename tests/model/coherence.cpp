// SPDX-License-Identifier: BSD-3-Clause
#include "coherence.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ssi::model {
namespace {

constexpr std::uint64_t looks_between_sweeps = 50'000;
// Other holders of an object that a touch of one makes us look at; a sweep looks at all.
constexpr std::size_t sampled_holders = 4;
// Nodes times objects that the last look visits one by one; beyond, known holders only.
constexpr std::uint64_t exhaustive_pairs = 3'000'000;

bool can_write(const kddm::Inspection& seen) {
    return seen.access == kddm::Access::write || seen.writer_held;
}
bool can_read(const kddm::Inspection& seen) {
    return seen.access != kddm::Access::none || seen.pins != 0;
}

}  // namespace

Coherence::Coherence(const Nodes& nodes, const Catalog& catalog, Verdict& verdict,
                     std::uint64_t seed)
    : nodes_(nodes), catalog_(catalog), verdict_(verdict), random_(seed),
      holders_(catalog.object_count()), next_sweep_(looks_between_sweeps) {}

void Coherence::touched(std::uint32_t node, std::uint32_t object) {
    if (!touched_.empty() && touched_.back().node == node && touched_.back().object == object)
        return;
    touched_.push_back({node, object});
}

void Coherence::look() {
    if (touched_.empty()) return;
    later_.clear();
    for (const Touched& t : touched_) {
        if (verdict_.failed()) return;
        if (nodes_.alive(t.node) && !look_at(t.node, t.object)) later_.push_back(t);
    }
    touched_.swap(later_);
    if (looks_ >= next_sweep_) sweep();
}

void Coherence::sweep() {
    next_sweep_ = looks_ + looks_between_sweeps;
    for (std::uint32_t object = 0; object < holders_.size() && !verdict_.failed(); ++object) {
        const auto holders = holders_[object];
        for (const std::uint32_t node : holders) look_at(node, object);
    }
}

// False when it must be tried again later.
bool Coherence::look_at(std::uint32_t node, std::uint32_t object) {
    if (!nodes_.settled(node)) return false;
    ++looks_;
    const kddm::Inspection seen = nodes_.inspect(node, object);
    const bool reads = can_read(seen);
    note_holder(node, object, reads);
    if (reads) {
        check_others(node, object, can_write(seen));
        if (!seen.in_transition) check_directory(node, object, seen);
    }
    // The home has just changed its mind: do some of the others still agree?
    if (!seen.is_home || holders_[object].empty()) return true;
    for (std::size_t i = 0; i < sampled_holders; ++i) {
        const std::uint32_t other = holders_[object][random_.below(holders_[object].size())];
        if (other == node || !nodes_.settled(other)) continue;
        const kddm::Inspection theirs = nodes_.inspect(other, object);
        if (can_read(theirs) && !theirs.in_transition) check_directory(other, object, theirs);
    }
    return true;
}

void Coherence::note_holder(std::uint32_t node, std::uint32_t object, bool holds) {
    auto& holders = holders_[object];
    const auto at = std::lower_bound(holders.begin(), holders.end(), node);
    const bool known = at != holders.end() && *at == node;
    if (holds && !known) holders.insert(at, node);
    if (!holds && known) holders.erase(at);
}

// A node that can write excludes all others; one that can only read excludes writers.
void Coherence::check_others(std::uint32_t node, std::uint32_t object, bool writes) {
    const auto holders = holders_[object];
    // Many readers beside a reader are normal: a few are looked at.
    const std::size_t looks = writes ? holders.size() : std::min(holders.size(), sampled_holders);
    for (std::size_t i = 0; i < looks; ++i) {
        const std::uint32_t other =
            looks == holders.size() ? holders[i] : holders[random_.below(holders.size())];
        if (other == node || !nodes_.settled(other)) continue;
        const kddm::Inspection theirs = nodes_.inspect(other, object);
        note_holder(other, object, can_read(theirs));
        if (!can_read(theirs) || !(writes || can_write(theirs))) continue;
        verdict_.fail("single_writer",
                      fmt::format("node {} can {} object {} of set {} while node {} can {} it",
                                  nodes_.id_of(node).value, writes ? "write" : "read",
                                  object - catalog_.plan_of(object).first,
                                  catalog_.plan_of(object).name, nodes_.id_of(other).value,
                                  can_write(theirs) ? "write" : "read"));
    }
}

// A reader at rest is known to a home at rest. Not judged while the home or the owner is busy with
// the object: an invalidation may be on its way.
bool Coherence::check_directory(std::uint32_t node, std::uint32_t object,
                                const kddm::Inspection& seen) {
    const std::uint32_t home = nodes_.home_of(object);
    if (!nodes_.settled(home)) return true;
    const kddm::Inspection there = nodes_.inspect(home, object);
    if (there.home_busy || there.home_owner == no_node) return true;
    const NodeId id = nodes_.id_of(node);
    if (there.home_owner == id) return true;
    const std::uint32_t owner = nodes_.index_of(there.home_owner);
    if (!nodes_.settled(owner) || nodes_.inspect(owner, object).in_transition) return true;
    const SetPlan& plan = catalog_.plan_of(object);
    if (seen.owner)
        verdict_.fail("directory", fmt::format("node {} owns object {} of set {}, but its home "
                                               "knows node {} as the owner",
                                               id.value, object - plan.first, plan.name,
                                               there.home_owner.value));
    else if (!there.copyset_covers(id))
        verdict_.fail("directory", fmt::format("node {} can read object {} of set {}, but its home "
                                               "does not know",
                                               id.value, object - plan.first, plan.name));
    return false;
}

void Coherence::look_at_rest() {
    touched_.clear();
    const std::uint64_t pairs =
        static_cast<std::uint64_t>(nodes_.node_count()) * catalog_.object_count();
    for (std::uint32_t object = 0; object < catalog_.object_count(); ++object) {
        if (pairs > exhaustive_pairs) {
            const auto holders = holders_[object];
            for (const std::uint32_t node : holders) check_rest(node, object);
            continue;
        }
        for (std::uint32_t node = 0; node < nodes_.node_count(); ++node)
            check_rest(node, object);
    }
}

void Coherence::check_rest(std::uint32_t node, std::uint32_t object) {
    if (verdict_.failed() || !nodes_.alive(node)) return;
    const kddm::Inspection seen = nodes_.inspect(node, object);
    const SetPlan& plan = catalog_.plan_of(object);
    if (seen.in_transition || seen.home_busy || seen.pins != 0 || seen.writer_held)
        verdict_.fail("rest", fmt::format("nothing is under way, but object {} of set {} on node "
                                          "{} is {}",
                                          object - plan.first, plan.name, nodes_.id_of(node).value,
                                          seen.in_transition ? "in transition"
                                          : seen.home_busy   ? "busy at its home"
                                                             : "pinned"));
    // Home coherence promises that nothing stays behind.
    if (plan.options.coherence == kddm::Coherence::home && !seen.is_home &&
        seen.access != kddm::Access::none)
        verdict_.fail("rest", fmt::format("nothing is under way, but object {} of set {}, which "
                                          "has home coherence, stays on node {}",
                                          object - plan.first, plan.name,
                                          nodes_.id_of(node).value));
    look_at(node, object);
}

}  // namespace ssi::model
