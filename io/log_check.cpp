// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/log_check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "segment_files.hpp"

namespace ssi::io {
namespace {

class Checker {
public:
    Checker(const LogCheckOptions& options, LogCheck& report)
        : options_(options), report_(report) {}

    // `open`: its content may end before `end`; then the segment behind does not count.
    void segment(std::uint64_t generation, std::optional<std::uint64_t> end, bool open = false);
    bool ended_early() const { return ended_early_; }
    void dropped(std::uint64_t generation);
    // Of the newest segment, when that was checked.
    void follower(std::uint64_t generation, const LogFiles& files);
    std::uint64_t all_bytes = 0;

private:
    void fault(std::optional<std::uint64_t> byte, std::string text) {
        report_.faults.push_back({facts_.file, byte, std::move(text)});
    }
    bool read_all(std::uint64_t generation);
    void content(const SegmentHeader& header, std::span<const std::byte> segment,
                 std::optional<std::uint64_t> end);
    void damaged(std::span<const std::byte> segment, std::uint64_t place, const std::string& text);
    void footer(const SegmentHeader& header, const std::optional<SegmentFooter>& footer);

    const LogCheckOptions& options_;
    LogCheck& report_;
    LogSegmentFacts facts_;
    HashKey key_;
    BlockBuffer buffer_;
    std::uint64_t content_end_ = 0;
    std::vector<FoundRecord> found_;    // of this segment
    bool whole_ = true;
    bool followed_ = false;
    bool ended_early_ = false;
    Sequence next_ = 1;
};

bool Checker::read_all(std::uint64_t generation) {
    facts_ = {.generation = generation,
              .file = path_in(options_.directory, segment_name(generation))};
    const auto file = open_segment(*options_.disk, facts_.file);
    if (!file) {
        fault({}, file.error().code == Errc::not_found
                      ? "the log has this segment, but its file is not there"
                      : file.error().to_string());
        return false;
    }
    facts_.file_bytes = file->bytes;
    auto bytes = read_bytes(*options_.disk, *file->file, 0, file->bytes);
    if (!bytes) {
        fault({}, bytes.error().to_string());
        return false;
    }
    buffer_ = std::move(*bytes);
    report_.bytes += file->bytes;
    if (options_.progress) options_.progress(report_.bytes, all_bytes);
    return true;
}

// Each record of a batch that is not whole, as far as one leads to the next.
void Checker::damaged(std::span<const std::byte> segment, std::uint64_t place,
                      const std::string& text) {
    fault(place, text);
    const auto head = decode_batch_head(segment.subspan(place), key_);
    if (!head) return;
    const std::uint64_t end = std::min<std::uint64_t>(place + head->bytes, segment.size());
    std::uint64_t at = place + batch_head_bytes;
    for (std::uint32_t i = 0; i < head->records && at + record_head_bytes <= end; ++i) {
        const auto record = decode_record(segment.first(end).subspan(at), key_);
        std::uint32_t payload = 0;   // as the head says, be it damaged or not
        std::memcpy(&payload, segment.data() + at + 8, sizeof payload);
        if (!record) fault(at, fmt::format("record {} of batch {}: {}", i, head->id,
                                           record.error().text));
        at += record_bytes(payload);
    }
}

void Checker::content(const SegmentHeader& header, std::span<const std::byte> segment,
                      std::optional<std::uint64_t> end) {
    SegmentHeader from = header;
    while (true) {
        const auto scan = scan_content(
            segment, from, end, key_, [&](const BatchView& batch, std::uint64_t offset) {
                ++report_.batches;
                report_.records += batch.records.size();
                const auto records = found_in(batch, offset);
                for (std::size_t i = 0; i < records.size(); ++i) {
                    found_.push_back(records[i]);
                    if (options_.record) options_.record(records[i], batch.records[i].payload);
                }
            });
        next_ = scan.next_batch;
        content_end_ = scan.end;
        facts_.last_batch = scan.next_batch - 1;
        if (scan.torn) report_.torn = fmt::format("{}, byte {}: {}", facts_.file, scan.end,
                                                  *scan.torn);
        if (!scan.damage) return;
        whole_ = false;
        damaged(segment, scan.damage_offset, *scan.damage);
        // On with the next batch that is to be found: each write begins at a block.
        bool more = false;
        const std::uint64_t limit = end.value_or(segment.size());
        for (std::uint64_t at = whole_blocks(scan.damage_offset + 1);
             at + batch_head_bytes <= limit && !more; at += log_block_bytes) {
            const auto head = decode_batch_head(segment.subspan(at), key_);
            if (!head || head->id <= scan.next_batch - 1) continue;
            from.first_batch = head->id;
            from.header_bytes = at;
            more = true;
        }
        if (!more) return;
    }
}

void Checker::footer(const SegmentHeader& header, const std::optional<SegmentFooter>& footer) {
    if (!footer || !whole_) return;
    const auto same = [](const FoundRecord& a, const FoundRecord& b) {
        return std::tie(a.kind, a.flags, a.set, a.id, a.version, a.value_bytes, a.batch, a.place) ==
               std::tie(b.kind, b.flags, b.set, b.id, b.version, b.value_bytes, b.batch, b.place);
    };
    const std::uint64_t byte = facts_.file_bytes - footer_bytes_for(footer->index.size());
    if (footer->first_batch != header.first_batch || footer->last_batch != facts_.last_batch ||
        footer->end != content_end_)
        fault(byte, fmt::format("the footer tells of batches {} to {} up to byte {}, there are {} "
                                "to {} up to {}",
                                footer->first_batch, footer->last_batch, footer->end,
                                header.first_batch, facts_.last_batch, content_end_));
    else if (footer->has_index && !std::ranges::equal(footer->index, found_, same))
        fault(byte, "the footer's index is not that of the records");
}

// Nothing of it counts: it must not call anything durable that is not there.
void Checker::dropped(std::uint64_t generation) {
    const std::string before = facts_.file;
    if (!read_all(generation)) return;
    ++report_.segments;
    const HashKey key{report_.identity, generation, {}};
    if (told_durable(buffer_.first(facts_.file_bytes), key, log_block_bytes, next_) >= next_)
        report_.faults.push_back({before, content_end_,
                                  fmt::format("batch {} was committed (segment {} says so) and is "
                                              "damaged", next_, generation)});
    else if (!report_.torn)
        report_.torn = fmt::format("{}, byte {}: batch {} was not committed and is not there",
                                   before, content_end_, next_);
}

void Checker::segment(std::uint64_t generation, std::optional<std::uint64_t> end, bool open) {
    ended_early_ = false;
    found_.clear();
    whole_ = true;
    followed_ = false;
    if (!read_all(generation)) return;
    ++report_.segments;
    key_ = {report_.identity, generation, {}};
    const auto bytes = buffer_.first(facts_.file_bytes);
    auto header = decode_header(bytes);
    if (header && (header->generation != generation || header->identity != report_.identity))
        header = fail(Errc::io, fmt::format("the header is that of generation {} of log {} of "
                                            "volume {}",
                                            header->generation, header->identity.log,
                                            header->identity.volume.text()));
    if (!header) return fault(0, header.error().text);
    if (header->first_batch < next_)
        fault(48, fmt::format("it begins with batch {}, but batch {} is in the segment before",
                              header->first_batch, next_ - 1));
    facts_.first_batch = header->first_batch;

    std::optional<SegmentFooter> found;
    const auto length = facts_.file_bytes > header->header_bytes
                            ? footer_length(bytes, generation)
                            : Result<std::uint64_t>(fail(Errc::not_found, "no room"));
    if (length || length.error().code != Errc::not_found) {
        auto decoded = decode_footer(bytes, key_);
        if (decoded)
            found = std::move(*decoded);
        else
            fault(facts_.file_bytes - footer_trailer_bytes, decoded.error().text);
    }
    facts_.footer = found.has_value();
    followed_ = found && found->followed;
    if (options_.segment) options_.segment(facts_);
    if (open && !(found && found->end == *end) && *end <= facts_.file_bytes) {
        content(*header, bytes.first(*end), {});
        ended_early_ = whole_ && content_end_ != *end;
        return;
    }
    if (!end && found) end = found->end;
    content(*header, bytes, end);
    footer(*header, found);
}

void Checker::follower(std::uint64_t generation, const LogFiles& files) {
    const auto there = check_follower(generation, followed_, files, facts_.file,
                                      options_.disk->name());
    if (!there) fault({}, there.error().text);
}

// The newest header that can be read, when not even the map of the log can be made.
std::optional<SegmentHeader> any_header(const LogCheckOptions& options, const LogFiles& files) {
    for (auto at = files.segments.rbegin(); at != files.segments.rend(); ++at) {
        const auto file = open_segment(*options.disk, path_in(options.directory,
                                                              segment_name(*at)));
        if (!file) continue;
        auto header = read_header(*options.disk, *file);
        if (header && header->generation == *at) return std::move(*header);
    }
    return {};
}

}  // namespace

std::string LogFault::to_string() const {
    return byte ? fmt::format("{}, byte {}: {}", file, *byte, text)
                : fmt::format("{}: {}", file, text);
}

Result<LogCheck> check_log(const LogCheckOptions& options) {
    const auto files = list_log(*options.disk, options.directory);
    if (!files) return tl::unexpected<Failure>(files.error());
    LogCheck report;
    Checker checker(options, report);
    auto map = map_log(*options.disk, options.directory, *files, {}, {});
    SegmentHeader newest;
    if (map) {
        newest = std::move(map->newest);
        report.free_files = map->free.size() + map->not_begun.size() + files->spares.size();
    } else {
        if (map.error().code == Errc::not_found) return tl::unexpected<Failure>(map.error());
        auto header = any_header(options, *files);
        if (!header) return tl::unexpected<Failure>(map.error());
        newest = std::move(*header);
        report.faults.push_back({options.directory.empty() ? "." : options.directory, {},
                                 map.error().text});
    }
    report.identity = newest.identity;
    for (const LiveSegment& live : newest.live)
        if (const auto file = open_segment(*options.disk,
                                           path_in(options.directory,
                                                   segment_name(live.generation))))
            checker.all_bytes += file->bytes;
    checker.all_bytes += newest.segment_bytes;
    for (const LiveSegment& live : newest.live)
        checker.segment(live.generation, live.end,
                        newest.last_open && &live == &newest.live.back());
    if (checker.ended_early()) {
        checker.follower(newest.live.back().generation, *files);
        checker.dropped(newest.generation);
    } else {
        checker.segment(newest.generation, {});
        checker.follower(newest.generation, *files);
    }
    return report;
}

}  // namespace ssi::io
