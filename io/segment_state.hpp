// SPDX-License-Identifier: BSD-3-Clause
// What a SegmentLog is inside. All of it is guarded by `mutex`, which is never held across a call
// of the disk that waits; what a thread works on without it is marked: `users` keeps a segment's
// file open, `writing` makes one thread the one that gives groups to the disk, in order.
#pragma once

#include <deque>
#include <map>
#include <mutex>

#include "block_buffer.hpp"
#include "read_ahead.hpp"
#include "segment_files.hpp"
#include "ssi/io/directory_lock.hpp"
#include "ssi/io/segment_log.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::io {

struct Segment {
    std::uint64_t generation = 0;
    std::string path;
    std::uint64_t file_bytes = 0;
    std::uint64_t header_bytes = 0;
    std::uint64_t end = 0;             // of the content, appended or durable
    Sequence first_batch = 0;
    Sequence last_batch = 0;
    bool begun = false;                // its header is durable
    bool complete = false;             // a later header is durable, and so is all of it: sealed
    bool freed = false;
    bool recovered = false;            // found by open
    bool followed = false;             // its footer says that a later segment's file is there
    bool unsynced = false;             // something was written that may be in a volatile cache
    bool indexed = true;               // `index` has all records
    std::vector<FoundRecord> index;    // for the footer; while it is the newest
    unsigned users = 0;                // readers and the writer
    std::unique_ptr<DiskFile> file;    // opened when needed, closed only without users
    std::uint64_t last_use = 0;
};
using SegmentPtr = std::shared_ptr<Segment>;

struct Spare {
    std::string path;
    std::uint64_t bytes = 0;
    bool written = false;              // all of it, once: see fill()
    bool reused = false;
};

// Batches that one write takes to the disk. Lies in one segment, begins at a block.
struct Group {
    SegmentPtr segment;
    std::uint64_t start = 0;
    BlockBuffer bytes;
    std::uint64_t used = 0;
    Sequence last = 0;                 // 0: no batch, only a new segment
    bool begins = false;               // the segment: header first
    SegmentPtr before;                 // the newest until then, to be sealed; may be null
    Spare spare;                       // what the segment is made of
    std::unique_ptr<DiskFile> file;    // `spare` by the segment's name, durably; then its own
    bool submitted = false;            // `write` is under way, or done: it may be waited for
    DiskRequest write;
};
using GroupPtr = std::shared_ptr<Group>;

// Writes of one log that the disk has at a time, of the 32 that its queue takes.
inline constexpr std::size_t most_in_flight = 16;

struct SegmentLog::Impl {
    explicit Impl(SegmentLogOptions o) : options(std::move(o)) {
        if (options.plants) plants = *options.plants;
    }

    SegmentLogOptions options;
    LogPlants plants;
    LogRecovery recovered;
    DirectoryLock directory_lock;

    mutable sys::Mutex mutex;
    sys::Condition changed;            // written, failed, given to the disk, a spare was made
    std::map<std::uint64_t, SegmentPtr> segments;   // that a header lists or will list
    std::vector<SegmentPtr> zombies;   // released, still being read
    SegmentPtr head;                   // the newest; null until the first append after open
    SegmentPtr found_head;             // the newest that open found
    SegmentPtr open_before;            // followed by a header, not yet sealed: one at most
    std::deque<GroupPtr> pending;
    std::deque<GroupPtr> in_flight;    // in order; the disk has them, buffers unchanged
    std::vector<BlockBuffer> buffers;  // for the next groups
    std::vector<Spare> spares;
    std::vector<std::string> removals;   // files for the writer to remove
    std::uint64_t next_generation = 1;
    std::uint64_t next_spare = 1;
    std::uint64_t making_bytes = 0;    // of the spare that somebody makes now; 0: nobody does
    Sequence next_batch = 1;
    Sequence written = 0;              // by the disk, and so are all before it
    Sequence durable = 0;
    Sequence wanted = 0;               // that somebody waits for to be durable
    Sequence asked = 0;                // that the background task is to make durable
    bool writing = false;              // somebody gives groups to the disk, or begins a segment
    bool beginning = false;            // the latter
    bool syncing = false;              // somebody syncs the newest segments
    bool sealing = false;              // somebody seals `open_before`
    sys::Condition behind;             // there is something for the background task
    bool stopping = false;             // it ends
    bool called = false;               // it will look again
    bool no_spares = false;            // it could not make one
    std::unique_ptr<sys::Tasks::Handle> task;
    bool closed = false;
    std::optional<Failure> failure;
    std::uint64_t uses = 0;
    ReadAhead ahead;                   // has a lock of its own
    SegmentLogStatistics statistics;

    HashKey key(std::uint64_t generation) const {
        return {options.identity, generation, plants};
    }
    std::string path_of(const std::string& name) const {
        return path_in(options.directory, name);
    }
    tl::unexpected<Failure> refused() const;      // why nothing can be appended any more

    // append (segment_append.cpp), with the lock
    struct Fit {
        bool in_head = false;
        std::uint64_t new_segment_bytes = 0;      // otherwise
    };
    Fit fit(std::uint64_t bytes, std::size_t records) const;
    bool joins_last_group(std::uint64_t bytes) const;
    std::uint64_t place_in_head(std::uint64_t bytes) const;
    // The place in `spares` for a segment of so many bytes, or nothing.
    std::optional<std::size_t> find_spare(std::uint64_t bytes, Urgency urgency) const;
    std::size_t regular_spares() const;
    void begin_segment(std::size_t spare, std::uint64_t bytes);
    Group& group_for(std::uint64_t place, std::uint64_t bytes);
    std::uint64_t backlog() const;
    void keep_index(Segment& segment, std::span<const LogRecord> records,
                    const Appended& appended);

    // room (segment_room.cpp)
    using Lock = std::unique_lock<sys::Mutex>;
    Result<void> make_room(Lock& lock, std::uint64_t bytes, std::size_t records, Urgency urgency);
    Result<void> make_spare(Lock& lock, std::uint64_t bytes);
    Result<Spare> new_spare(const std::string& path, std::uint64_t bytes, bool filled);
    Result<void> fill(DiskFile& file, std::uint64_t bytes);
    std::uint64_t file_bytes() const;
    void give_back(Segment& segment);             // its file becomes a spare, or is removed

    // writing (segment_write.cpp)
    // Until `done()` or a failure: writes what is pending, or waits for whoever does. `batch`: that
    // is to be durable; 0: none.
    Result<void> drive(Lock& lock, Sequence batch, const std::function<bool()>& done);
    Result<void> drive_durable(Lock& lock, Sequence batch);
    void step(Lock& lock, Sequence batch);
    bool is_long(const Group& group) const;
    bool can_submit(bool partial) const;
    void submit(Lock& lock, bool partial);
    std::vector<DiskRequest*> take_groups(bool partial);
    void await_oldest(Lock& lock);
    void reap();
    void sync_written(Lock& lock);
    std::vector<SegmentPtr> unsynced() const;
    void await_all(Lock& lock);        // also after a failure: their memory is in use
    void fail_for_good(Failure cause);
    // In the background (segment_behind.cpp).
    bool has_groups() const;
    void call_behind();                // after appending
    bool has_behind() const;
    bool waits_for_disk() const;
    bool wants_spare() const;
    void write_behind();
    void stop_behind();
    // beginning segments (segment_begin.cpp)
    void begin_front(Lock& lock);
    Result<void> name_file(Lock& lock, Group& group);
    Result<void> begin(Lock& lock, Group& group);
    bool may_begin(const Group& group) const;
    // A footer that goes to the disk.
    struct Seal {
        std::unique_ptr<DiskFile> file;           // of a segment that open found
        BlockBuffer bytes;
        DiskRequest write;
        std::uint64_t file_bytes = 0;             // from then on
    };
    void make_footer(Segment& segment, bool followed, Seal& seal);
    Result<void> mark_followed(const Segment& segment, Seal& seal);
    Result<void> seal(std::span<const SegmentPtr> sealed, bool followed, DiskRequest* header);
    bool can_seal_before() const;
    void seal_before(Lock& lock);
    void release(Lock& lock, const std::vector<SegmentPtr>& gone);

    // reading (segment_read.cpp)
    Result<LogRead> read(const LogPlace& place);
    Result<LogRead> read_file(const LogPlace& place, const Segment& segment,
                              std::uint64_t segment_end);
    struct Buffered {
        std::vector<std::byte> bytes;
        std::string path;
    };
    std::optional<Buffered> find_buffered(const LogPlace& place) const;
    Result<LogRead> decode(std::span<const std::byte> bytes, const LogPlace& place,
                           const std::string& path) const;
    Result<SegmentPtr> pin(Lock& lock, std::uint64_t generation);
    void unpin(Lock& lock, Segment& segment);
    Result<void> visit(std::uint64_t generation, const RecordVisitor& visitor);

    // open (segment_open.cpp)
    Result<void> open(const RecordVisitor& visit);
    Result<void> take_lock();
    Result<void> create();
    Result<void> recover(const LogFiles& files, const RecordVisitor& visit);
    // Where the content of a segment ends, if that is known; `open`: there, or before.
    struct KnownEnd {
        std::optional<std::uint64_t> end;
        bool open = false;
    };
    Result<void> recover_segment(std::uint64_t generation, KnownEnd known,
                                 const RecordVisitor& visit);
    Result<void> replay(Segment& segment, const SegmentFile& file, const SegmentHeader& header,
                        const SegmentFooter* footer, KnownEnd known, const RecordVisitor& visit);
    Result<void> drop_newest(const SegmentHeader& newest);
    Result<void> take_free_files(const LogFiles& files, const LogMap& map);
};

}  // namespace ssi::io
