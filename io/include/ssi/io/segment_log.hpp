// SPDX-License-Identifier: BSD-3-Clause
// SegmentLog: an append-only log of batches in segment files of one directory of a Disk
// (docs/formats/segment-log.md). A batch is appended whole: after a crash all of its records are
// there or none. Order: if a batch is there after a crash, so are all before it.
//
//     auto log = SegmentLog::open(options, [&](const FoundRecord& record) { ... });
//     auto appended = (*log)->append(records);          // ordered and readable, not yet durable
//     (*log)->commit(appended->batch);                  // durable; whoever waits writes for all
//
// Thread-safe; works on threads and fibers. Waits for the disk hold no lock. A write that failed
// ends writing for good: what the disk has is not known any more; append and commit then fail with
// the first cause, reading goes on. One SegmentLog at a time may have a directory.
#pragma once

#include <memory>
#include <optional>

#include "ssi/base/result.hpp"
#include "ssi/io/disk.hpp"
#include "ssi/io/log_record.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::io {

struct LogPlants;   // deliberate bugs, for tests

struct SegmentLogOptions {
    Disk* disk = nullptr;                // must outlive the log
    std::string directory;               // of the disk; made when the log is
    LogIdentity identity;
    bool create = false;                 // a new log when there is none; else not_found
    // The disk's name is a directory of the operating system: lock the log's own against others
    // (directory_lock.hpp). would_block when it is open already.
    bool lock = false;
    std::uint64_t segment_bytes = 4 << 20;
    std::uint64_t limit_bytes = 0;       // of all files of the log; 0: what the disk has
    // Segments that ordinary batches leave for urgent ones: compaction and removals, which make
    // room.
    unsigned reserve_segments = 2;
    unsigned keep_spares = 4;            // free segments kept for reuse besides
    std::size_t backlog_bytes = 16 << 20;   // appended, not being written: then append writes first
    // Batches go to the disk together, in writes of at most so many bytes where they are smaller
    // themselves; several writes are under way at a time. With tasks, which must outlive the log:
    // one of them writes what has come to so many bytes, not yet durably, and makes segments before
    // they are needed, so that whoever appends seldom waits for the disk.
    sys::Tasks* tasks = nullptr;
    std::size_t write_behind_bytes = 2 << 20;
    std::size_t open_files = 128;        // sealed segments kept open for reading
    // A segment that was freed is gone for recovery too. Called by whoever commits, with no lock
    // held; must not wait for the log.
    std::function<void(std::uint64_t generation)> released;
    const LogPlants* plants = nullptr;
};

// Of free room: `reserve` may take the segments that `ordinary` leaves.
enum class Urgency : std::uint8_t { ordinary, reserve };

struct Appended {
    Sequence batch = 0;
    std::vector<LogPlace> places;        // of the records, in their order
};

struct LogRead {
    FoundRecord record;
    std::vector<std::byte> payload;
};

struct SegmentInfo {
    std::uint64_t generation = 0;
    std::uint64_t file_bytes = 0;
    std::uint64_t content_bytes = 0;     // of batches, with padding
    bool complete = false;               // nothing will be added, all of it is durable
};

// What open found.
struct LogRecovery {
    std::uint64_t segments = 0;
    std::uint64_t segments_scanned = 0;  // read whole; the others had footers
    std::uint64_t dropped_segments = 0;  // behind a torn one: 1 at most
    std::uint64_t batches = 0;           // in those that were scanned
    std::uint64_t records = 0;
    Sequence last_batch = 0;
    std::optional<std::string> torn;     // what was dropped at the end
    std::vector<std::string> bad_footers;
};

struct SegmentLogStatistics {
    std::uint64_t batches = 0;           // appended since open
    std::uint64_t appended_bytes = 0;
    std::uint64_t writes = 0;            // each of one or more batches
    std::uint64_t most_under_way = 0;    // writes at a time
    std::uint64_t written_bytes = 0;     // with padding, headers and footers
    std::uint64_t segments_begun = 0;
    std::uint64_t segments_reused = 0;   // of those
    std::uint64_t segments = 0;          // now
    std::uint64_t spares = 0;
    std::uint64_t file_bytes = 0;        // of segments and spares
};

class SegmentLog {
public:
    // Finds all records, in the order of the log, and tells `visit`. Failures: not_found, mismatch
    // (the log of another volume), unsupported (a newer format), io (damage, with file and byte).
    static Result<std::unique_ptr<SegmentLog>> open(SegmentLogOptions options,
                                                    const RecordVisitor& visit);
    ~SegmentLog();   // close(), its failure ignored
    SegmentLog(const SegmentLog&) = delete;
    SegmentLog& operator=(const SegmentLog&) = delete;

    // One batch. Failures: invalid_argument (no record, too many), too_large, io with ENOSPC when
    // there is no room: then nothing of it is there, and the log goes on; io with the cause after a
    // failed write. May wait for the disk.
    Result<Appended> append(std::span<const LogRecord> records,
                            Urgency urgency = Urgency::ordinary);
    // The same in two steps, for callers with locks of their own: try_append never waits; it fails
    // with would_block until prepare() has made room for as many bytes and records.
    Result<Appended> try_append(std::span<const LogRecord> records, Urgency urgency);
    Result<void> prepare(std::uint64_t batch_bytes, std::size_t records, Urgency urgency);

    // Until the batch, and so all before it, is durable.
    Result<void> commit(Sequence batch);
    Result<void> commit_all();
    // The same, and all segments but the newest are complete.
    Result<void> settle();
    // With tasks: one of them begins to make it durable; nobody waits here. Of several logs, this
    // first and then commit() has their disks work at once.
    void start_commit(Sequence batch);
    Sequence last() const;      // appended
    Sequence durable() const;

    // A record that was appended or found, durable or not. Verified: io with file and byte when it
    // is damaged; not_found when its segment is no more.
    Result<LogRead> read(const LogPlace& place);

    // The segment's records are not needed any more. Its file is reused after the next header.
    // The segment must be complete.
    Result<void> free_segment(std::uint64_t generation);
    // Begins a new segment now, so that what was freed is released.
    Result<void> roll();
    std::vector<SegmentInfo> segments() const;   // that are not freed, ascending
    Result<void> visit_segment(std::uint64_t generation, const RecordVisitor& visit);

    // Commits and seals, so that the next open needs no scan. Nothing may be appended afterwards.
    Result<void> close();
    SegmentLogStatistics statistics() const;
    const LogRecovery& recovery() const;
    std::string name() const;   // for messages

private:
    struct Impl;
    explicit SegmentLog(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::io
