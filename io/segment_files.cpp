// SPDX-License-Identifier: BSD-3-Clause
#include "segment_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace ssi::io {
namespace {

std::optional<std::uint64_t> number_in(std::string_view name, std::string_view before,
                                       std::string_view after) {
    if (name.size() != before.size() + 16 + after.size() || !name.starts_with(before) ||
        !name.ends_with(after))
        return {};
    std::uint64_t number = 0;
    const std::string_view digits = name.substr(before.size(), 16);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + 16, number, 16);
    if (error != std::errc() || end != digits.data() + 16) return {};
    return number;
}

}  // namespace

std::string segment_name(std::uint64_t generation) {
    return fmt::format("{:016x}.seg", generation);
}
std::string spare_name(std::uint64_t number) { return fmt::format("spare-{:016x}", number); }
std::optional<std::uint64_t> generation_of(std::string_view name) {
    const auto number = number_in(name, "", ".seg");
    return number && *number != 0 ? number : std::nullopt;
}
std::optional<std::uint64_t> spare_number_of(std::string_view name) {
    return number_in(name, "spare-", "");
}

std::string path_in(const std::string& directory, const std::string& name) {
    return directory.empty() ? name : directory + "/" + name;
}

Failure log_failure(const Failure& cause, const std::string& file,
                    std::optional<std::uint64_t> byte) {
    Failure failure = cause;
    failure.text = byte ? fmt::format("{}, byte {}: {}", file, *byte, cause.text)
                        : fmt::format("{}: {}", file, cause.text);
    return failure;
}

Result<LogFiles> list_log(Disk& disk, const std::string& directory) {
    const auto names = disk.list(directory);
    if (!names) return tl::unexpected<Failure>(names.error());
    LogFiles files;
    for (const std::string& name : *names) {
        if (const auto generation = generation_of(name)) files.segments.push_back(*generation);
        if (const auto number = spare_number_of(name)) files.spares.push_back(*number);
    }
    std::ranges::sort(files.segments);
    std::ranges::sort(files.spares);
    return files;
}

Result<SegmentFile> open_segment(Disk& disk, const std::string& path) {
    auto file = disk.open(path, OpenMode::read);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    const auto bytes = (*file)->size();
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    return SegmentFile{std::move(*file), *bytes / log_block_bytes * log_block_bytes};
}

Result<BlockBuffer> read_bytes(Disk& disk, DiskFile& file, std::uint64_t place,
                               std::uint64_t bytes) {
    BlockBuffer buffer(bytes);
    const auto moved = read(disk, file, buffer.first(bytes), place);
    if (!moved) return tl::unexpected<Failure>(moved.error());
    if (*moved != bytes)
        return fail(Errc::io, fmt::format("{} ends at byte {}, {} were expected", file.name(),
                                          place + *moved, place + bytes));
    return buffer;
}

Result<SegmentHeader> read_header(Disk& disk, const SegmentFile& segment) {
    if (segment.bytes < log_block_bytes) return fail(Errc::io, "too short for a header");
    auto block = read_bytes(disk, *segment.file, 0, log_block_bytes);
    if (!block) return tl::unexpected<Failure>(block.error());
    const auto length = header_length(block->first(log_block_bytes));
    if (!length) return tl::unexpected<Failure>(length.error());
    if (*length == log_block_bytes) return decode_header(block->first(log_block_bytes));
    if (*length > segment.bytes)
        return fail(Errc::io, fmt::format("a header of {} bytes in {}", *length, segment.bytes));
    auto bytes = read_bytes(disk, *segment.file, 0, *length);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    return decode_header(bytes->first(*length));
}

Result<std::optional<SegmentFooter>> read_footer(Disk& disk, DiskFile& file,
                                                 std::uint64_t file_bytes, const HashKey& key) {
    if (file_bytes < 2 * log_block_bytes) return std::nullopt;
    auto last = read_bytes(disk, file, file_bytes - log_block_bytes, log_block_bytes);
    if (!last) return tl::unexpected<Failure>(last.error());
    const auto length = footer_length(last->first(log_block_bytes), key.generation);
    if (!length && length.error().code == Errc::not_found) return std::nullopt;
    if (!length) return tl::unexpected<Failure>(length.error());
    if (*length > file_bytes - log_block_bytes)
        return fail(Errc::io, fmt::format("a footer of {} bytes in {}", *length, file_bytes));
    auto bytes = read_bytes(disk, file, file_bytes - *length, *length);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    auto footer = decode_footer(bytes->first(*length), key);
    if (!footer) return tl::unexpected<Failure>(std::move(footer).error());
    return std::optional(std::move(*footer));
}

namespace {

// Whether a file above the newest header may be taken as one that was never begun.
Result<bool> was_begun(Disk& disk, const SegmentFile& segment, const HashKey& key) {
    if (segment.bytes < 2 * log_block_bytes) return false;
    auto bytes = read_bytes(disk, *segment.file, 0, segment.bytes);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    return holds_batches(bytes->first(segment.bytes), key);
}

struct Unreadable {
    std::uint64_t generation;
    Failure why;
};

Result<void> check_identity(const SegmentHeader& header, const LogIdentity& wanted) {
    if (header.identity == wanted) return {};
    return fail(Errc::mismatch,
                fmt::format("it belongs to log {} of volume {}, not to log {} of volume {}",
                            header.identity.log, header.identity.volume.text(), wanted.log,
                            wanted.volume.text()));
}

}  // namespace

Result<LogMap> map_log(Disk& disk, const std::string& directory, const LogFiles& files,
                       const std::optional<LogIdentity>& identity, LogPlants plants) {
    LogMap map;
    std::vector<Unreadable> above;
    for (auto at = files.segments.rbegin(); at != files.segments.rend(); ++at) {
        const std::string path = path_in(directory, segment_name(*at));
        const auto file = open_segment(disk, path);
        if (!file) return tl::unexpected<Failure>(file.error());
        auto header = read_header(disk, *file);
        if (!header && header.error().sys_errno != 0)
            return tl::unexpected(log_failure(header.error(), path));
        if (header && header->generation != *at)   // reused, and its new header not yet written
            header = fail(Errc::io, fmt::format("the header is that of generation {}",
                                                header->generation));
        if (!header) {
            above.push_back({*at, std::move(header).error()});
            continue;
        }
        if (identity)
            if (const auto same = check_identity(*header, *identity); !same)
                return tl::unexpected(log_failure(same.error(), path));
        map.newest = std::move(*header);
        break;
    }
    const bool known = map.newest.generation != 0;
    const std::optional<LogIdentity> whose = known ? map.newest.identity : identity;
    for (const Unreadable& file : above) {
        const std::string path = path_in(directory, segment_name(file.generation));
        if (file.why.code == Errc::unsupported) return tl::unexpected(log_failure(file.why, path));
        if (!whose) return tl::unexpected(log_failure(file.why, path));
        const auto segment = open_segment(disk, path);
        if (!segment) return tl::unexpected<Failure>(segment.error());
        const auto begun = was_begun(disk, *segment, {*whose, file.generation, plants});
        if (!begun) return tl::unexpected(log_failure(begun.error(), path));
        if (*begun)
            return tl::unexpected(log_failure(
                {Errc::io, 0, no_node,
                 "batches were committed behind this header, and it is damaged: " + file.why.text},
                path));
        map.not_begun.push_back(file.generation);
    }
    if (!known)
        return fail(Errc::not_found,
                    fmt::format("no segment of a log in {}", path_in(disk.name(), directory)));
    for (const std::uint64_t generation : files.segments) {
        if (generation >= map.newest.generation) break;
        const bool live = std::ranges::any_of(map.newest.live, [&](const LiveSegment& segment) {
            return segment.generation == generation;
        });
        if (!live) map.free.push_back(generation);
    }
    return map;
}

Result<void> check_follower(std::uint64_t generation, bool followed, const LogFiles& files,
                            const std::string& path, const std::string& disk_name) {
    if (!followed || (!files.segments.empty() && files.segments.back() > generation)) return {};
    return tl::unexpected(log_failure(
        {Errc::io, ENOENT, no_node,
         "the log went on in a later segment, and its file is not there: put it back, or restore "
         "the volume from a copy"},
        fmt::format("{} of {}", path, disk_name)));
}

}  // namespace ssi::io
