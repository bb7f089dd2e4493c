// SPDX-License-Identifier: BSD-3-Clause
// Compaction: what is still needed of the emptiest segments is appended again, with its version;
// when that is durable, the segments are free. A record that was replaced meanwhile is not copied:
// that is decided under the lock under which the copy is appended.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

#include "object_delta.hpp"
#include "object_state.hpp"

namespace ssi::io {
namespace {

constexpr std::uint64_t move_bytes = 256 << 10;   // of values, in one batch
constexpr std::size_t move_records = 1024;
constexpr std::size_t look_records = 256;         // before others may go on
constexpr unsigned compact_live_percent = 75;     // what compact() takes
constexpr unsigned space_live_percent = 90;       // when there is no room left

}  // namespace

// With the lock; asks the segment log, which does not wait.
std::vector<ObjectLog::Impl::Victim> ObjectLog::Impl::victims(unsigned most_live_percent) const {
    std::vector<Victim> out;
    for (const SegmentInfo& segment : log->segments()) {
        if (!segment.complete) continue;
        const std::uint64_t live = index.live_bytes(segment.generation);
        if (live * 100 > segment.file_bytes * most_live_percent) continue;
        out.push_back({segment.generation, segment.file_bytes - live});
    }
    std::ranges::stable_sort(out, std::greater{}, &Victim::dead_bytes);
    return out;
}

bool ObjectLog::Impl::due() const {
    std::uint64_t files = 0;
    for (const SegmentInfo& segment : log->segments())
        if (segment.complete) files += segment.file_bytes;
    const std::uint64_t dead = files - std::min(files, index.total_live_bytes());
    return dead > 2 * options.log.segment_bytes && dead * 100 > files * options.dead_percent &&
           !victims(100 - options.dead_percent).empty();
}

// Copies of records that are needed at this moment; whole values instead of changes.
Result<void> ObjectLog::Impl::move(const std::vector<FoundRecord>& records) {
    std::vector<ObjectValue> values(records.size());
    std::vector<bool> has_value(records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
        const FoundRecord& record = records[i];
        if (record.kind == RecordKind::remove || record.kind == RecordKind::done) continue;
        auto value = get(record.set, ObjectIndex::name_of(record).key);
        if (!value && value.error().code == Errc::not_found) continue;   // removed meanwhile
        if (!value) return tl::unexpected<Failure>(std::move(value).error());
        values[i] = std::move(*value);
        has_value[i] = true;
    }
    while (true) {
        Lock lock(mutex);
        std::vector<LogRecord> copies;
        for (std::size_t i = 0; i < records.size(); ++i) {
            const FoundRecord& record = records[i];
            if (!index.needs(record)) continue;
            LogRecord copy{.kind = record.kind,
                           .flags = static_cast<std::uint8_t>(record.flags | record_copied),
                           .set = record.set, .id = record.id, .version = record.version,
                           .value_bytes = 0, .payload = {}};
            if (has_value[i]) {
                const ObjectKey key = ObjectIndex::name_of(record).key;
                const ObjectEntry* const entry = index.find_there(record.set, key);
                // Changed since it was read: the next round reads it again.
                if (!entry || entry->version != values[i].version) continue;
                copy.version = entry->version;
                copy.kind = entry->kind;
                if (entry->deltas && copy.kind == RecordKind::zero) copy.kind = RecordKind::raw;
                copy.value_bytes = values[i].value_bytes;
                if (copy.kind == RecordKind::raw)
                    copy.payload = without_zero_tail(values[i].bytes);
                else if (copy.kind != RecordKind::zero)
                    copy.payload = values[i].bytes;
            }
            copies.push_back(copy);
        }
        if (copies.empty()) return {};
        const auto appended = log->try_append(copies, Urgency::reserve);
        if (appended) {
            note(copies, *appended);
            for (const LogRecord& copy : copies)
                statistics.copied_bytes += record_bytes(copy.payload.size());
            return {};
        }
        if (appended.error().code != Errc::would_block)
            return tl::unexpected<Failure>(appended.error());
        lock.unlock();
        SSI_TRY(log->prepare(batch_bytes(copies), copies.size(), Urgency::reserve));
    }
}

Result<void> ObjectLog::Impl::compact_segment(std::uint64_t generation) {
    std::vector<FoundRecord> all;
    SSI_TRY(log->visit_segment(generation,
                               [&](const FoundRecord& record) { all.push_back(record); }));
    std::vector<ObjectIndex::Name> names;
    names.reserve(all.size());
    for (const FoundRecord& record : all) names.push_back(ObjectIndex::name_of(record));
    // Until nothing in it is needed: a value that was changed while it was copied takes one more
    // round, because its changes need it.
    while (true) {
        std::vector<std::vector<FoundRecord>> rounds(1);
        std::uint64_t bytes = 0;
        std::map<std::pair<SetId, ObjectKey>, bool> taken;   // a value and its changes: once
        for (std::size_t begin = 0; begin < all.size(); begin += look_records) {
            Lock lock(mutex);
            const std::size_t end = std::min(all.size(), begin + look_records);
            for (std::size_t i = begin; i < end; ++i) {
                if (!index.needs(all[i])) continue;
                if (plants.tombstones_dropped && all[i].kind == RecordKind::remove) continue;
                if (!names[i].whole_set && !taken.emplace(
                        std::pair(names[i].set, names[i].key), true).second)
                    continue;
                if (bytes > move_bytes || rounds.back().size() >= move_records) {
                    rounds.emplace_back();
                    bytes = 0;
                }
                rounds.back().push_back(all[i]);
                bytes += all[i].value_bytes;
            }
        }
        if (rounds.front().empty()) break;
        for (const auto& round : rounds) SSI_TRY(move(round));
    }
    SSI_TRY(log->commit_all());
    {
        Lock lock(mutex);
        leaving[generation] = std::move(names);
        ++statistics.compacted_segments;
    }
    return log->free_segment(generation);
}

// Compacts until so many bytes of segments are won, or there is none left that is worth it. How
// many segments were freed.
Result<std::uint64_t> ObjectLog::Impl::compact_all(unsigned most_live_percent,
                                                   std::uint64_t enough_bytes) {
    Lock lock(mutex);
    while (compacting) changed.wait(mutex);
    compacting = true;
    // Chosen once: what compaction writes itself is no victim of it.
    const auto chosen = victims(most_live_percent);
    Result<void> done;
    std::uint64_t freed = 0, won = 0;
    for (const Victim& victim : chosen) {
        if (won >= enough_bytes || (stopping && options.tasks)) break;
        lock.unlock();
        done = compact_segment(victim.generation);
        lock.lock();
        if (!done) break;
        ++freed;
        won += victim.dead_bytes;
    }
    lock.unlock();
    if (done && freed > 0) done = log->roll();
    lock.lock();
    compacting = false;
    changed.notify_all();
    if (!done) return tl::unexpected<Failure>(std::move(done).error());
    return freed;
}

Result<bool> ObjectLog::Impl::make_space() {
    SSI_TRY(log->settle());   // only what is complete can be compacted
    // Copies and the new segment take two from the reserve: less than that is nothing won.
    const std::uint64_t enough = 3 * options.log.segment_bytes;
    bool waited = false;
    {
        Lock lock(mutex);
        // What another one has freed already is no victim any more, and room when it is over.
        for (; compacting; waited = true) changed.wait(mutex);
        std::uint64_t dead = 0;
        for (const Victim& victim : victims(space_live_percent)) dead += victim.dead_bytes;
        if (dead < enough) return waited;
    }
    const auto freed = compact_all(space_live_percent, enough);
    if (!freed && freed.error().sys_errno == ENOSPC) return waited;
    if (!freed) return tl::unexpected<Failure>(freed.error());
    return waited || *freed > 0;
}

void ObjectLog::Impl::released(std::uint64_t generation) {
    Lock lock(mutex);
    const auto found = leaving.find(generation);
    if (found == leaving.end()) return;
    index.forget(generation, found->second);
    leaving.erase(found);
}

void ObjectLog::Impl::run() {
    Lock lock(mutex);
    while (!stopping) {
        if (!wanted || !background) {
            changed.wait(mutex);
            continue;
        }
        wanted = false;
        lock.unlock();
        const auto freed = compact_all(100 - options.dead_percent, UINT64_MAX);
        lock.lock();
        // A full disk may have room again when more is not needed; other failures stay.
        if (!freed && freed.error().sys_errno != ENOSPC)
            background = tl::unexpected<Failure>(freed.error());
    }
}

Result<std::uint64_t> ObjectLog::compact() {
    return impl_->compact_all(compact_live_percent, UINT64_MAX);
}

}  // namespace ssi::io
