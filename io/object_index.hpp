// SPDX-License-Identifier: BSD-3-Clause
// ObjectIndex: where the newest value of each object lies, and how much of each segment is needed.
// It is told of every record in the order of the log, by recovery and by append alike, so both
// build the same. Knows of no files; not thread-safe.
//
// An entry stays as long as any record of its object lies in a segment of the log, because a
// removal must be kept (and copied by compaction) while an older value could come back.
#pragma once

#include <map>
#include <unordered_map>

#include "object_entries.hpp"

namespace ssi::io {

class ObjectIndex {
public:
    // Records by name, for forgetting those of a segment that is no more.
    struct Name {
        SetId set;
        ObjectKey key;
        bool value = false;
        bool whole_set = false;
    };
    static Name name_of(const FoundRecord& record);

    // `entry`: the object's, where that is known.
    void apply(const FoundRecord& record, ObjectEntry* entry = nullptr);
    void forget(std::uint64_t segment, std::span<const Name> records);

    ObjectEntry* find(SetId set, const ObjectKey& key);   // null: never heard of
    const ObjectEntry* find(SetId set, const ObjectKey& key) const {
        return const_cast<ObjectIndex*>(this)->find(set, key);
    }
    const ObjectEntry* find_there(SetId set, const ObjectKey& key) const;
    // Whether recovery would miss something without this very record.
    bool needs(const FoundRecord& record) const;
    std::uint64_t live_bytes(std::uint64_t segment) const;

    std::vector<SetId> sets() const;
    std::vector<ObjectFacts> objects(SetId set) const;   // ascending
    std::vector<std::pair<SetId, ObjectId>> intents() const;   // ascending by version
    bool has_objects(SetId set) const;

    std::uint64_t object_count() const { return objects_; }
    std::uint64_t intent_count() const { return intents_; }
    std::uint64_t total_live_bytes() const { return total_live_; }

private:
    struct SetEntry {
        ObjectEntries entries;
        std::uint64_t objects = 0;     // that are there, without intents
        std::uint64_t covered = 0;     // entries whose old values the set's removal keeps away
        Version removed = 0;
        bool counted = false;
        LogPlace place;                // of the set's removal
    };
    void remove_set(SetEntry& set, const FoundRecord& record);
    void supersede(SetEntry& set, ObjectEntry& entry, const FoundRecord& record);
    void count(ObjectEntry& entry, bool wanted);
    void settle(SetEntry& set, ObjectEntry& entry);
    void settle(SetEntry& set);
    void tally(SetEntry& set, const ObjectEntry& entry, int step);
    void add_live(const LogPlace& place, bool add);

    std::map<SetId, SetEntry> sets_;
    std::unordered_map<std::uint64_t, std::uint64_t> live_;   // by segment
    std::uint64_t total_live_ = 0;
    std::uint64_t objects_ = 0;
    std::uint64_t intents_ = 0;
};

}  // namespace ssi::io
