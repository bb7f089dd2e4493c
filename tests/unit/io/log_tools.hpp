// SPDX-License-Identifier: BSD-3-Clause
// What tests of the log share: small logs on disks in memory, and ways to damage them.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "block_buffer.hpp"
#include "log_format.hpp"
#include "segment_files.hpp"
#include "ssi/io/memory_disk.hpp"
#include "ssi/io/segment_log.hpp"

namespace ssi::io::test {

inline const LogIdentity identity{{0x1111, 0x2222}, 3};

inline SegmentLogOptions options_for(Disk& disk, std::uint64_t segment_bytes = 64 << 10) {
    SegmentLogOptions options;
    options.disk = &disk;
    options.directory = "log";
    options.identity = identity;
    options.create = true;
    options.segment_bytes = segment_bytes;
    return options;
}

inline std::span<const std::byte> bytes(std::string_view text) {
    return std::as_bytes(std::span(text));
}
inline std::string text(std::span<const std::byte> data) {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

inline LogRecord raw(std::uint64_t id, const std::string& value, std::uint32_t set = 1) {
    return {.kind = RecordKind::raw, .set = SetId{set}, .id = id,
            .value_bytes = static_cast<std::uint32_t>(value.size()), .payload = bytes(value)};
}

struct Opened {
    std::unique_ptr<SegmentLog> log;
    std::vector<FoundRecord> found;
    std::optional<Failure> failure;
    std::string failure_text() const { return failure ? failure->to_string() : "opened"; }
};

inline Opened open_log(SegmentLogOptions options) {
    Opened out;
    auto log = SegmentLog::open(options, [&](const FoundRecord& r) { out.found.push_back(r); });
    if (log)
        out.log = std::move(*log);
    else
        out.failure = log.error();
    return out;
}

// Appends one record and makes it durable.
inline LogPlace put(SegmentLog& log, std::uint64_t id, const std::string& value) {
    const std::vector<LogRecord> records{raw(id, value)};
    const auto appended = log.append(records);
    EXPECT_TRUE(appended) << appended.error().to_string();
    const auto committed = log.commit(appended->batch);
    EXPECT_TRUE(committed) << committed.error().to_string();
    return appended->places.at(0);
}

inline std::string value_at(SegmentLog& log, const LogPlace& place) {
    const auto read = log.read(place);
    return read ? text(read->payload) : "failed: " + read.error().text;
}

// Changes a byte of a file, durably.
inline void flip(Disk& disk, const std::string& path, std::uint64_t byte, std::uint8_t mask = 1) {
    const auto file = disk.open(path, OpenMode::write);
    ASSERT_TRUE(file) << file.error().text;
    BlockBuffer block(log_block_bytes);
    const std::uint64_t place = byte / log_block_bytes * log_block_bytes;
    ASSERT_TRUE(read(disk, **file, block.first(log_block_bytes), place));
    block.data()[byte - place] ^= std::byte{mask};
    ASSERT_TRUE(write(disk, **file, block.first(log_block_bytes), place, true));
}

inline std::string segment_path(std::uint64_t generation) {
    return "log/" + segment_name(generation);
}

}  // namespace ssi::io::test
