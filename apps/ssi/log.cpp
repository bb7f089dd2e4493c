// SPDX-License-Identifier: BSD-3-Clause
// `ssi log`: looks into a segment log that nobody has open.
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "commands.hpp"
#include "ssi/base/json.hpp"
#include "ssi/io/directory_lock.hpp"
#include "ssi/io/libaio_disk.hpp"
#include "ssi/io/log_check.hpp"

namespace ssi::cli {
namespace {

constexpr std::uint64_t progress_bytes = 256 << 20;   // shorter work says nothing until it ends

void print_record(const io::FoundRecord& record) {
    fmt::print("  batch {} {}{}{} set {} object {}:{} version {} bytes {} at {}\n", record.batch,
               io::record_kind_name(record.kind),
               record.flags & io::record_whole_set ? " whole-set" : "",
               record.flags & io::record_copied ? " copied" : "", record.set.value, record.id.hi,
               record.id.lo, record.version, record.value_bytes, record.place.offset);
}

// One JSON object a line: a log has more records than one object should have.
void print_record_json(const io::FoundRecord& record) {
    Json json;
    json.object().field("segment", record.place.segment).field("byte", record.place.offset);
    json.field("batch", record.batch).field("kind", io::record_kind_name(record.kind));
    json.field("whole_set", (record.flags & io::record_whole_set) != 0);
    json.field("copied", (record.flags & io::record_copied) != 0);
    json.field("set", record.set.value).field("id_high", record.id.hi);
    json.field("id_low", record.id.lo).field("version", record.version);
    json.field("value_bytes", record.value_bytes);
    json.field("payload_bytes", record.place.payload_bytes);
    fmt::print("{}\n", json.end().text());
}

void print_summary(const io::LogCheck& log) {
    fmt::print("log {} of volume {}: {} segments, {} batches, {} records, {} bytes read, {} free "
               "files\n",
               log.identity.log, log.identity.volume.text(), log.segments, log.batches, log.records,
               log.bytes, log.free_files);
    if (log.torn) fmt::print("torn by a crash, dropped: {}\n", *log.torn);
    for (const io::LogFault& fault : log.faults) fmt::print("fault: {}\n", fault.to_string());
    fmt::print("{}\n", log.faults.empty() ? "no fault" : fmt::format("{} faults",
                                                                     log.faults.size()));
}

void print_summary_json(const io::LogCheck& log) {
    Json json;
    json.object().field("volume", log.identity.volume.text()).field("log", log.identity.log);
    json.field("segments", log.segments).field("batches", log.batches);
    json.field("records", log.records).field("bytes", log.bytes);
    json.field("free_files", log.free_files);
    if (log.torn) json.field("torn", *log.torn);
    json.array("faults");
    for (const io::LogFault& fault : log.faults) {
        json.object().field("file", fault.file);
        if (fault.byte) json.field("byte", *fault.byte);
        json.field("text", fault.text).end();
    }
    fmt::print("{}\n", json.end().end().text());
}

Result<void> check_directory(const std::string& directory) {
    struct stat status{};
    if (stat(directory.c_str(), &status) != 0)
        return fail_errno(errno == ENOENT ? Errc::not_found : Errc::io, errno,
                          fmt::format("cannot read {}", directory));
    if (!S_ISDIR(status.st_mode))
        return fail_errno(Errc::io, ENOTDIR, fmt::format("cannot read {}", directory));
    return {};
}

// Nothing is lost when a fault is found: the rest is read and printed, too.
Result<void> verdict(const io::LogCheck& log, const std::string& directory) {
    if (log.faults.empty()) return {};
    return fail(Errc::io, fmt::format("{} {} found in the log in {}: {}{}", log.faults.size(),
                                      log.faults.size() == 1 ? "fault" : "faults", directory,
                                      log.faults.front().to_string(),
                                      log.faults.size() == 1 ? "" : "; ..."));
}

}  // namespace

Result<void> run_log(const std::string& verb, const std::string& directory, bool json) {
    SSI_TRY(check_directory(directory));
    const auto lock = io::DirectoryLock::take(directory, false);
    if (!lock) return tl::unexpected<Failure>(lock.error());
    auto disk = io::make_libaio_disk(directory);
    if (!disk) return tl::unexpected<Failure>(std::move(disk).error());
    io::LogCheckOptions options;
    options.disk = disk->get();
    const bool dump = verb == "dump";
    if (dump && !json)
        options.segment = [](const io::LogSegmentFacts& segment) {
            fmt::print("segment {} {}: {} bytes, from batch {}{}\n", segment.generation,
                       segment.file, segment.file_bytes, segment.first_batch,
                       segment.footer ? ", sealed" : "");
        };
    if (dump)
        options.record = [json](const io::FoundRecord& record, std::span<const std::byte>) {
            json ? print_record_json(record) : print_record(record);
        };
    std::uint64_t said = 0;
    if (!dump && isatty(STDERR_FILENO))
        options.progress = [&said](std::uint64_t done, std::uint64_t all) {
            if (done - said < progress_bytes) return;
            said = done;
            fmt::print(stderr, "ssi: {} of {} MiB verified\n", done >> 20, all >> 20);
        };
    const auto log = io::check_log(options);
    if (!log) return tl::unexpected<Failure>(log.error());
    if (!dump) json ? print_summary_json(*log) : print_summary(*log);
    if (dump && !json && log->torn) fmt::print("torn by a crash, dropped: {}\n", *log->torn);
    return verdict(*log, directory);
}

}  // namespace ssi::cli
