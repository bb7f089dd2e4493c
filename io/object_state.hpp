// SPDX-License-Identifier: BSD-3-Clause
// What an ObjectLog is inside. The index is guarded by `mutex`, which is never held across a call
// that waits: the segment log is asked with it held only by try_append, which does not.
#pragma once

#include <map>
#include <mutex>
#include <optional>

#include "object_index.hpp"
#include "segment_state.hpp"

namespace ssi::io {

struct ObjectLog::Impl {
    explicit Impl(ObjectLogOptions o) : options(std::move(o)) {
        if (options.log.plants) plants = *options.log.plants;
    }

    ObjectLogOptions options;
    LogPlants plants;
    std::unique_ptr<SegmentLog> log;

    mutable sys::Mutex mutex;
    ObjectIndex index;
    // Records of segments that are freed and not yet released, by generation.
    std::map<std::uint64_t, std::vector<ObjectIndex::Name>> leaving;
    ObjectLogStatistics statistics;

    // compaction
    sys::Condition changed;          // it is wanted, or done, or over
    bool compacting = false;
    bool wanted = false;
    bool stopping = false;
    std::uint64_t newest_segment = 0;
    Result<void> background;         // how the background task fares
    std::unique_ptr<sys::Tasks::Handle> task;

    using Lock = std::unique_lock<sys::Mutex>;

    // apply (object_log.cpp)
    struct Folded {                  // a value with its changes, made outside the lock
        Version version = 0;
        std::vector<std::byte> bytes;
    };
    // What is logged. Stays where it is, as records point into it.
    struct Plan {
        void add(const LogRecord& record, ObjectEntry* entry) {
            records.push_back(record);
            entries.push_back(entry);
        }
        SmallVector<LogRecord, 4> records;
        SmallVector<ObjectEntry*, 4> entries;   // the records', under one lock; or null
        SmallVector<std::byte, 512> deltas;
        std::vector<std::size_t> to_fold;     // operations, by number
        unsigned folded = 0;                  // changes that are logged as whole values
        Urgency urgency = Urgency::reserve;
    };
    using Operations = std::span<const LogTransaction::Operation>;
    Result<void> plan(Plan& out, Operations operations,
                      const std::map<std::size_t, Folded>& folded);
    Result<void> plan_change(Plan& plan, Operations operations, std::size_t number,
                             const std::map<std::size_t, Folded>& folded);
    Result<void> fold(const LogTransaction::Operation& operation, Folded& out);
    void note(std::span<const LogRecord> records, const Appended& appended,
              std::span<ObjectEntry* const> entries = {});

    // reading (object_read.cpp)
    Result<ObjectValue> get(SetId set, const ObjectKey& key);
    Result<ObjectValue> get_from(const LogPlace& place, const std::vector<LogPlace>& deltas) const;

    // compaction (object_compaction.cpp)
    struct Victim {
        std::uint64_t generation = 0;
        std::uint64_t dead_bytes = 0;
    };
    std::vector<Victim> victims(unsigned most_live_percent) const;   // emptiest first
    bool due() const;
    Result<std::uint64_t> compact_all(unsigned most_live_percent, std::uint64_t enough_bytes);
    Result<void> compact_segment(std::uint64_t generation);
    Result<void> move(const std::vector<FoundRecord>& records);
    Result<bool> make_space();       // whether there is more now
    void released(std::uint64_t generation);
    void run();                      // the background task
};

}  // namespace ssi::io
