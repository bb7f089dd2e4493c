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

#include "ssi/io/object_log.hpp"

namespace ssi::io {

struct ObjectKey {
    ObjectId id;
    bool intent = false;
    friend auto operator<=>(const ObjectKey&, const ObjectKey&) = default;
};

struct ObjectKeyHash {
    std::size_t operator()(const ObjectKey& key) const noexcept {
        return hash_object(SetId{key.intent}, key.id);
    }
};

struct ObjectEntry {
    Version version = 0;
    // raw, zero, ref, intent; remove: there is none now; delta: changes whose value is not there.
    RecordKind kind = RecordKind::remove;
    bool covered = false;            // removed with its set: no record of its own says so
    bool counted = false;            // its bytes are in the live bytes of segments
    bool holds_set = false;          // counted in SetEntry::covered
    std::uint32_t value_bytes = 0;
    std::uint32_t records = 0;       // of this object in the log, needed or not
    std::uint32_t values = 0;        // of those, all but removals
    LogPlace place;
    std::unique_ptr<std::vector<LogPlace>> deltas;   // in order; null: none

    bool is_there() const { return kind != RecordKind::remove; }
    bool is_removal() const { return kind == RecordKind::remove && !covered; }
};

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

    void apply(const FoundRecord& record);
    void forget(std::uint64_t segment, std::span<const Name> records);

    const ObjectEntry* find(SetId set, const ObjectKey& key) const;   // null: never heard of
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
        std::unordered_map<ObjectKey, ObjectEntry, ObjectKeyHash> entries;
        std::uint64_t objects = 0;     // that are there, without intents
        std::uint64_t covered = 0;     // entries whose old values the set's removal keeps away
        Version removed = 0;
        bool counted = false;
        LogPlace place;                // of the set's removal
    };
    void remove_set(SetEntry& set, const FoundRecord& record);
    void supersede(SetEntry& set, const ObjectKey& key, ObjectEntry& entry,
                   const FoundRecord& record);
    void count(ObjectEntry& entry, bool wanted);
    void settle(SetEntry& set, ObjectEntry& entry);
    void settle(SetEntry& set);
    void tally(SetEntry& set, const ObjectKey& key, bool there, int step);
    void add_live(const LogPlace& place, bool add);

    std::map<SetId, SetEntry> sets_;
    std::unordered_map<std::uint64_t, std::uint64_t> live_;   // by segment
    std::uint64_t total_live_ = 0;
    std::uint64_t objects_ = 0;
    std::uint64_t intents_ = 0;
};

}  // namespace ssi::io
