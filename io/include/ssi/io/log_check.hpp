// SPDX-License-Identifier: BSD-3-Clause
// Reads all of a log that nobody has open, changes nothing, and names every fault: each header,
// footer, batch and record is verified, and footers are compared with what they describe.
#pragma once

#include <optional>

#include "ssi/base/result.hpp"
#include "ssi/io/disk.hpp"
#include "ssi/io/log_record.hpp"

namespace ssi::io {

struct LogFault {
    std::string file;
    std::optional<std::uint64_t> byte;
    std::string text;
    std::string to_string() const;
};

struct LogSegmentFacts {
    std::uint64_t generation = 0;
    std::string file;
    std::uint64_t file_bytes = 0;
    Sequence first_batch = 0;
    Sequence last_batch = 0;
    bool footer = false;
};

struct LogCheckOptions {
    Disk* disk = nullptr;
    std::string directory;
    // In the order of the log, for whole batches only; the payload is valid within the call.
    std::function<void(const LogSegmentFacts&)> segment;
    std::function<void(const FoundRecord&, std::span<const std::byte> payload)> record;
    std::function<void(std::uint64_t done_bytes, std::uint64_t all_bytes)> progress;
};

struct LogCheck {
    LogIdentity identity;
    std::uint64_t segments = 0;
    std::uint64_t free_files = 0;
    std::uint64_t batches = 0;
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;             // read
    std::optional<std::string> torn;     // no fault: what a crash left at the end
    std::vector<LogFault> faults;
};

// Fails only when there is no log to look at (not_found), or it cannot be read at all; the rest is
// in the report's faults.
Result<LogCheck> check_log(const LogCheckOptions& options);

}  // namespace ssi::io
