// SPDX-License-Identifier: BSD-3-Clause
// Sealed logs: logs that are written once, by one writer, from end to end, and then only read, by
// any number of readers at a time and also from where nothing can be written. On the disk they are
// segment logs (docs/formats/segment-log.md), each segment with its footer; what SegmentLog adds,
// recovery and reuse, they do not need: a sealed log that is not whole is worth nothing.
//
// A record's version is whatever its owner says. A record with `record_piece` has in front of its
// payload, also where its kind has none, 16 bytes: where in the value the piece begins, and the
// length of the value; value_bytes is the length of the piece.
#pragma once

#include <functional>
#include <memory>

#include "ssi/base/result.hpp"
#include "ssi/io/disk.hpp"
#include "ssi/io/log_record.hpp"

namespace ssi::io {

// A hash over the hashes of all headers, batches and footers, in their order: two sealed logs of
// one digest hold the same bytes.
struct LogDigest {
    std::uint64_t low = 0;
    std::uint64_t high = 0;
    friend bool operator==(const LogDigest&, const LogDigest&) = default;
};

struct SealedLogSummary {
    std::uint64_t segments = 0;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;             // of all files
    LogDigest digest;
    friend bool operator==(const SealedLogSummary&, const SealedLogSummary&) = default;
};

// The name of a log's n-th file, from 1.
std::string sealed_file_name(std::uint64_t segment);

struct SealedLogOptions {
    Disk* disk = nullptr;                // must outlive writer and reader
    std::string directory;               // of the disk; made by the writer
    LogIdentity identity;
    std::uint64_t segments = 0;          // for a reader: how many there must be
};

// Sees what is written to a log's files, or read of them, file by file, in order: for another copy.
class SealedLogMirror {
public:
    virtual ~SealedLogMirror() = default;
    // Whole blocks, of a file that will have at most `most` bytes.
    virtual Result<void> write(std::string_view file, std::uint64_t most, std::uint64_t place,
                               std::span<const std::byte> bytes) = 0;
    virtual Result<void> end(std::string_view file, std::uint64_t bytes) = 0;   // it has so many
};

// Of one record's payload, with what precedes it. Each write to the disk has at most so many bytes.
inline constexpr std::size_t max_sealed_payload_bytes = std::size_t{2} << 20;

// Memory that writers use one after another, as fresh memory is slow: what grows to 16 MiB with the
// first of them is given back with this. A writer that finds it in use has its own. Thread-safe.
class SealedLogBuffers {
public:
    SealedLogBuffers();
    ~SealedLogBuffers();

    struct Impl;                         // for the writer

private:
    friend class SealedLogWriter;
    std::shared_ptr<Impl> impl_;
};

// For one task at a time. Holds 16 MiB of buffers. After a failure every verb fails with it.
class SealedLogWriter {
public:
    // exists when the directory has segments; io.
    static Result<std::unique_ptr<SealedLogWriter>> create(const SealedLogOptions& options,
                                                           SealedLogBuffers* buffers = nullptr);
    ~SealedLogWriter();   // waits for writes under way; without finish() there is no log
    SealedLogWriter(const SealedLogWriter&) = delete;
    SealedLogWriter& operator=(const SealedLogWriter&) = delete;

    // Until records of so many bytes, without their heads, were added no `add` waits for a disk, as
    // long as they are few: at most max_sealed_payload_bytes.
    Result<void> prepare(std::size_t bytes);
    // To be told of everything from the beginning: before the first record. Its failure is one of
    // the log. Null: nobody. Must live as long as records come.
    void set_mirror(SealedLogMirror* mirror);
    // Copied; waits for the disk when it has fallen behind. The payload is `before`, then the
    // record's. Failures: too_large, io.
    Result<void> add(const LogRecord& record, std::span<const std::byte> before = {});
    // Everything is durable, the names in the directory too; the directory's own is not.
    Result<SealedLogSummary> finish();

private:
    struct Impl;
    explicit SealedLogWriter(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

// Thread-safe. Changes nothing on the disk.
class SealedLogReader {
public:
    explicit SealedLogReader(const SealedLogOptions& options);
    ~SealedLogReader();
    SealedLogReader(const SealedLogReader&) = delete;
    SealedLogReader& operator=(const SealedLogReader&) = delete;

    // The payload is valid within the call. A failure ends the reading.
    using Visit = std::function<Result<void>(const FoundRecord& record,
                                             std::span<const std::byte> payload)>;
    // Reads and verifies every byte, in order, and visits each record once its batch was verified;
    // the next segment is read meanwhile. What the digest should be, the caller knows. Failures: io
    // with file and byte for damage, and for files that are not there; unsupported; of `visit`.
    Result<SealedLogSummary> stream(const Visit& visit);
    // The same, and `copy` sees each file once it was verified, in one piece.
    Result<SealedLogSummary> stream(const Visit& visit, SealedLogMirror& copy);
    // All records by the footers, without their payloads.
    Result<void> index(const RecordVisitor& visit);
    // One record, verified. Reads ahead for who reads one after another.
    Result<std::vector<std::byte>> read(const LogPlace& place);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace ssi::io
