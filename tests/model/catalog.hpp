// SPDX-License-Identifier: BSD-3-Clause
// Catalog: the sets and objects of a simulated world. Few hot objects and many cold ones, of
// every kind, coherence and placement. Objects are numbered through all sets.
#pragma once

#include <cstdint>
#include <vector>

#include "options.hpp"
#include "ssi/kddm/types.hpp"

namespace ssi::model {

enum class Use : std::uint8_t {
    value,    // holds one value, see pattern.hpp
    counter,  // fetch_add
    churn,    // a value, and may be removed
};

struct SetPlan {
    const char* name;
    kddm::SetOptions options;
    Use use;
    std::uint32_t hot;      // the first so many of its objects
    std::uint32_t objects;  // in all
    std::uint32_t first;    // number of its first object

    bool linked() const { return options.linker != "memory"; }
};

class Catalog {
public:
    explicit Catalog(const Options& options);

    const std::vector<SetPlan>& sets() const { return sets_; }
    std::uint32_t object_count() const { return count_; }
    std::uint32_t set_of(std::uint32_t object) const;  // index into sets()
    const SetPlan& plan_of(std::uint32_t object) const { return sets_[set_of(object)]; }
    ObjectId id_of(std::uint32_t object) const;
    // The number of an object; ids come from id_of() alone.
    std::uint32_t number_of(std::uint32_t set, ObjectId id) const;

    // The placement function behind the set "counter".
    static SlotId place_by_low_bits(SetId set, ObjectId id, std::uint32_t slots);
    static constexpr const char* placement_name = "low_bits";
    static constexpr const char* linker_name = "slow";

private:
    void add(const char* name, Use use, std::uint32_t hot, std::uint32_t cold,
             kddm::SetOptions options);
    std::vector<SetPlan> sets_;
    std::uint32_t count_ = 0;
};

}  // namespace ssi::model
