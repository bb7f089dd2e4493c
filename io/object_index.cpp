// SPDX-License-Identifier: BSD-3-Clause
#include "object_index.hpp"

#include <algorithm>

namespace ssi::io {
namespace {

bool is_intent(RecordKind kind) { return kind == RecordKind::intent || kind == RecordKind::done; }
bool is_value(RecordKind kind) { return kind != RecordKind::remove && kind != RecordKind::done; }
bool is_set_removal(const FoundRecord& record) {
    return record.kind == RecordKind::remove && (record.flags & record_whole_set) != 0;
}
ObjectKey key_of(const FoundRecord& record) { return {record.id, is_intent(record.kind)}; }

}  // namespace

ObjectIndex::Name ObjectIndex::name_of(const FoundRecord& record) {
    return {record.set, key_of(record), is_value(record.kind), is_set_removal(record)};
}

void ObjectIndex::add_live(const LogPlace& place, bool add) {
    const std::uint64_t bytes = record_bytes(place.payload_bytes);
    if (add) {
        live_[place.segment] += bytes;
        total_live_ += bytes;
    } else {
        live_[place.segment] -= bytes;
        total_live_ -= bytes;
    }
}

// Its records are, or are not, among those that are needed.
void ObjectIndex::count(ObjectEntry& entry, bool wanted) {
    if (entry.counted == wanted) return;
    entry.counted = wanted;
    add_live(entry.place(), wanted);
    if (entry.deltas)
        for (const LogPlace& place : *entry.deltas) add_live(place, wanted);
}

void ObjectIndex::settle(SetEntry& set) {
    const bool wanted = set.covered > 0;
    if (set.counted == wanted || set.place.segment == 0) return;
    set.counted = wanted;
    add_live(set.place, wanted);
}

// Brings the counts in line with what the entry says now.
void ObjectIndex::settle(SetEntry& set, ObjectEntry& entry) {
    const bool broken = entry.kind == RecordKind::delta;
    count(entry, entry.place().segment != 0 && !broken &&
                     (entry.is_removal() ? entry.values > 0 : !entry.covered));
    const bool holds = entry.covered && entry.values > 0;
    if (holds != entry.holds_set) {
        entry.holds_set = holds;
        set.covered += holds ? 1 : -1;
        settle(set);
    }
}

// It is, or is no more, among the objects that are there.
void ObjectIndex::tally(SetEntry& set, const ObjectEntry& entry, int step) {
    if (!entry.is_there()) return;
    if (entry.intent) {
        intents_ += step;
        return;
    }
    objects_ += step;
    set.objects += step;
}

void ObjectIndex::apply(const FoundRecord& record, ObjectEntry* known) {
    SetEntry& set = sets_[record.set];
    if (is_set_removal(record)) return remove_set(set, record);
    const ObjectKey key = key_of(record);
    ObjectEntry& entry = known ? *known : set.entries.find_or_add(key);
    ++entry.records;
    if (is_value(record.kind)) ++entry.values;
    if (!key.intent && record.version < set.removed) {
        // Older than the removal of its set, which may come first when compaction has moved it.
        if (entry.version < set.removed) {
            entry.version = std::max(entry.version, record.version);
            entry.covered = true;
        }
    } else if (record.version >= entry.version) {
        supersede(set, entry, record);
    }
    settle(set, entry);
}

void ObjectIndex::supersede(SetEntry& set, ObjectEntry& entry, const FoundRecord& record) {
    tally(set, entry, -1);
    if (record.kind == RecordKind::delta) {
        const bool has_value = entry.is_there() && entry.kind != RecordKind::delta;
        if (has_value) {
            count(entry, true);
            if (!entry.deltas) entry.deltas = std::make_unique<std::vector<LogPlace>>();
            entry.deltas->push_back(record.place);
            add_live(record.place, true);
        } else {
            // The value that it changed is gone, so a newer one follows.
            count(entry, false);
            entry.kind = RecordKind::delta;
            entry.set_place({});
        }
    } else {
        count(entry, false);
        entry.deltas.reset();
        entry.set_place(record.place);
        entry.kind = record.kind == RecordKind::done ? RecordKind::remove : record.kind;
    }
    entry.covered = false;
    entry.version = record.version;
    entry.value_bytes = record.value_bytes;
    tally(set, entry, +1);
}

void ObjectIndex::remove_set(SetEntry& set, const FoundRecord& record) {
    if (record.version < set.removed) return;
    if (set.counted) add_live(set.place, false);
    set.counted = false;
    set.removed = record.version;
    set.place = record.place;
    set.entries.for_each([&](ObjectEntry& entry) {
        if (entry.intent || entry.version >= record.version) return;
        tally(set, entry, -1);
        count(entry, false);
        entry.deltas.reset();
        entry.set_place({});
        entry.kind = RecordKind::remove;
        entry.covered = true;
        settle(set, entry);
    });
    settle(set);
}

void ObjectIndex::forget(std::uint64_t segment, std::span<const Name> records) {
    for (const Name& name : records) {
        const auto set = sets_.find(name.set);
        if (set == sets_.end() || name.whole_set) continue;
        ObjectEntry* const entry = set->second.entries.find(name.key);
        if (!entry) continue;
        --entry->records;
        if (name.value) --entry->values;
        settle(set->second, *entry);
        if (entry->records > 0) continue;
        tally(set->second, *entry, -1);
        set->second.entries.erase(*entry);
    }
    live_.erase(segment);
}

ObjectEntry* ObjectIndex::find(SetId set, const ObjectKey& key) {
    const auto found = sets_.find(set);
    return found == sets_.end() ? nullptr : found->second.entries.find(key);
}

const ObjectEntry* ObjectIndex::find_there(SetId set, const ObjectKey& key) const {
    const ObjectEntry* const entry = find(set, key);
    return entry && entry->is_there() ? entry : nullptr;
}

bool ObjectIndex::needs(const FoundRecord& record) const {
    if (is_set_removal(record)) {
        const auto set = sets_.find(record.set);
        return set != sets_.end() && set->second.counted && set->second.place == record.place;
    }
    const ObjectEntry* const entry = find(record.set, key_of(record));
    if (!entry || !entry->counted) return false;
    return entry->place() == record.place ||
           (entry->deltas && std::ranges::find(*entry->deltas, record.place) !=
                                 entry->deltas->end());
}

std::uint64_t ObjectIndex::live_bytes(std::uint64_t segment) const {
    const auto found = live_.find(segment);
    return found == live_.end() ? 0 : found->second;
}

std::vector<SetId> ObjectIndex::sets() const {
    std::vector<SetId> out;
    for (const auto& [id, set] : sets_)
        if (set.objects > 0) out.push_back(id);
    return out;
}

bool ObjectIndex::has_objects(SetId set) const {
    const auto found = sets_.find(set);
    return found != sets_.end() && found->second.objects > 0;
}

std::vector<ObjectFacts> ObjectIndex::objects(SetId set) const {
    std::vector<ObjectFacts> out;
    const auto found = sets_.find(set);
    if (found == sets_.end()) return out;
    out.reserve(found->second.objects);
    found->second.entries.for_each([&](const ObjectEntry& entry) {
        if (!entry.intent && entry.is_there())
            out.push_back({entry.id, entry.version, entry.value_bytes,
                           entry.kind == RecordKind::ref});
    });
    std::ranges::sort(out, {}, &ObjectFacts::id);
    return out;
}

std::vector<std::pair<SetId, ObjectId>> ObjectIndex::intents() const {
    std::vector<std::pair<Version, std::pair<SetId, ObjectId>>> found;
    for (const auto& [id, set] : sets_)
        set.entries.for_each([&, set_id = id](const ObjectEntry& entry) {
            if (entry.intent && entry.is_there())
                found.push_back({entry.version, {set_id, entry.id}});
        });
    std::ranges::sort(found);
    std::vector<std::pair<SetId, ObjectId>> out;
    for (const auto& [version, name] : found) out.push_back(name);
    return out;
}

}  // namespace ssi::io
