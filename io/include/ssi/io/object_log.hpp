// SPDX-License-Identifier: BSD-3-Clause
// ObjectLog: objects that live in a segment log: the newest value of each, by set and id. What
// several operations of one transaction do is there whole after a crash or not at all, and
// transactions come back in their order.
//
//     LogTransaction change;
//     change.put(set, id, bytes);
//     change.remove(set, other);
//     auto sequence = objects->apply(change);      // everybody sees it; not yet durable
//     objects->commit(*sequence);                  // durable
//
// Thread-safe, on threads and fibers; no lock is held across a wait. Memory: an index of all
// objects, about 120 bytes each. Room that old values take is won back by compaction: in the
// background when the options name Tasks, else by compact().
#pragma once

#include <functional>
#include <memory>

#include "ssi/base/small_vector.hpp"
#include "ssi/io/segment_log.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::io {

// Part of a value that changes.
struct ValueChange {
    std::uint32_t offset = 0;
    std::span<const std::byte> bytes;
};
using ValueChanges = SmallVector<ValueChange, 4>;

// Operations to be applied together. Values are not copied: they stay until apply() has returned.
// An object appears in a transaction at most once; remove_set comes before what it shall not
// remove.
class LogTransaction {
public:
    void put(SetId set, ObjectId id, std::span<const std::byte> value);
    void put_zero(SetId set, ObjectId id, std::uint32_t bytes);
    // Where the value lies is the caller's business; the log keeps these bytes.
    void put_ref(SetId set, ObjectId id, std::span<const std::byte> reference,
                 std::uint32_t value_bytes);
    // The value becomes `value_bytes` long (cut, or zeroes behind), then gets the changes. Logs
    // them alone; the object must be there, and no ref. `whole`: the value afterwards, if it is at
    // hand (else empty): then nothing is read when it is time to log all of it again.
    void change(SetId set, ObjectId id, std::uint32_t value_bytes,
                ValueChanges changes, std::span<const std::byte> whole = {});
    void remove(SetId set, ObjectId id);    // fine when it is not there
    void remove_set(SetId set);
    // Something that spans several logs: remembered until it is done. Names are apart from
    // objects'.
    void intent(SetId set, ObjectId id, std::span<const std::byte> what);
    void done(SetId set, ObjectId id);
    bool empty() const { return operations_.empty(); }
    void reserve(std::size_t operations) { operations_.reserve(operations); }
    void clear() { operations_.clear(); }
    // Where what only removes may still be logged, this may, too: what recovery has to finish.
    void use_reserve() { urgency_ = Urgency::reserve; }

private:
    friend class ObjectLog;
    struct Operation {
        LogRecord record;
        ValueChanges changes;
        std::span<const std::byte> whole{};   // of a change: empty, or the value after it
    };
    std::vector<Operation> operations_;
    Urgency urgency_ = Urgency::ordinary;
};

struct ObjectValue {
    std::vector<std::byte> bytes;    // or the reference
    Version version = 0;
    bool is_ref = false;
    std::uint32_t value_bytes = 0;   // of the value, wherever it lies
};
struct ObjectFacts {
    ObjectId id;
    Version version = 0;
    std::uint32_t value_bytes = 0;
    bool is_ref = false;
};
struct Intent {
    SetId set;
    ObjectId id;
    Version version = 0;
    std::vector<std::byte> bytes;
};

struct ObjectLogOptions {
    SegmentLogOptions log;           // `released` is the object log's own
    sys::Tasks* tasks = nullptr;     // for compaction in the background; must outlive the log
    unsigned delta_chain = 16;       // changes of a value, then it is written whole
    // Background compaction begins when this much of the log is not needed, and two segments of it.
    unsigned dead_percent = 50;
};

struct ObjectLogStatistics {
    std::uint64_t objects = 0;
    std::uint64_t intents = 0;
    std::uint64_t live_bytes = 0;      // of records that are needed
    std::uint64_t content_bytes = 0;   // of all
    std::uint64_t compacted_segments = 0;
    std::uint64_t copied_bytes = 0;    // by compaction
    std::uint64_t folded_deltas = 0;   // changes that were written as whole values
    SegmentLogStatistics log;
};

class ObjectLog {
public:
    // Failures as of SegmentLog::open.
    static Result<std::unique_ptr<ObjectLog>> open(ObjectLogOptions options);
    ~ObjectLog();   // close(), its failure ignored
    ObjectLog(const ObjectLog&) = delete;
    ObjectLog& operator=(const ObjectLog&) = delete;

    // All operations or none. Failures: invalid_argument (an object twice, nothing to do),
    // not_found (a change of what is not there), too_large, io (ENOSPC after compaction gave no
    // room; a disk that failed). Transactions that only remove may use room that is kept for them.
    Result<Sequence> apply(const LogTransaction& transaction);
    Result<void> commit(Sequence sequence);
    Result<void> commit_all();
    void start_commit();   // of all that was applied; see SegmentLog
    Sequence last() const;
    Sequence durable() const;

    // Verified. not_found; io with set, object, file and byte when it is damaged.
    Result<ObjectValue> get(SetId set, ObjectId id);
    bool contains(SetId set, ObjectId id) const;
    std::vector<ObjectFacts> objects(SetId set) const;   // ascending by id
    std::vector<SetId> sets() const;                     // with objects, ascending
    Result<std::vector<Intent>> intents();               // not done, ascending by version

    // Wins room now: whatever segments are at most 3/4 needed. How many segments were freed.
    Result<std::uint64_t> compact();

    Result<void> close();
    ObjectLogStatistics statistics() const;
    const LogRecovery& recovery() const;
    // Why background compaction stopped, if it did.
    Result<void> health() const;

private:
    struct Impl;
    explicit ObjectLog(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::io
