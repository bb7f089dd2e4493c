// SPDX-License-Identifier: BSD-3-Clause
// Opening: a new log, or recovery of what is there (docs/formats/segment-log.md, "Recovery").
#include <fmt/format.h>

#include "segment_state.hpp"

namespace ssi::io {

Result<void> SegmentLog::Impl::open(const RecordVisitor& visit) {
    auto files = list_log(*options.disk, options.directory);
    if (!files && files.error().code == Errc::not_found && options.create) return create();
    if (!files) return tl::unexpected<Failure>(std::move(files).error());
    SSI_TRY(take_lock());
    auto recovered_log = recover(*files, visit);
    // A crash before the first header left nothing but spares.
    if (!recovered_log && recovered_log.error().code == Errc::not_found && options.create)
        return create();
    return recovered_log;
}

Result<void> SegmentLog::Impl::take_lock() {
    if (!options.lock) return {};
    auto taken = DirectoryLock::take(path_in(options.disk->name(), options.directory), true);
    if (!taken) return tl::unexpected<Failure>(std::move(taken).error());
    directory_lock = std::move(*taken);
    return {};
}

Result<void> SegmentLog::Impl::create() {
    SSI_TRY(options.disk->make_directory(options.directory));
    directory_lock = {};
    SSI_TRY(take_lock());
    const std::size_t slash = options.directory.rfind('/');
    SSI_TRY(options.disk->sync_directory(
        slash == std::string::npos ? "" : options.directory.substr(0, slash)));
    // The first header is durable from the start: a log that was made is found again.
    {
        Lock lock(mutex);
        while (!find_spare(options.segment_bytes, Urgency::reserve))
            SSI_TRY(make_spare(lock, options.segment_bytes));
        begin_segment(*find_spare(options.segment_bytes, Urgency::reserve), options.segment_bytes);
        const SegmentPtr first = head;
        return drive(lock, 0, [&] { return first->begun; });
    }
}

Result<void> SegmentLog::Impl::recover(const LogFiles& files, const RecordVisitor& visit) {
    for (const std::uint64_t generation : files.segments)
        next_generation = std::max(next_generation, generation + 1);
    for (const std::uint64_t number : files.spares) next_spare = std::max(next_spare, number + 1);
    // What the names say must be so after the next crash, too.
    SSI_TRY(options.disk->sync_directory(options.directory));
    auto map = map_log(*options.disk, options.directory, files, options.identity, plants);
    if (!map) return tl::unexpected<Failure>(std::move(map).error());
    const SegmentHeader& newest = map->newest;
    for (const LiveSegment& live : newest.live) {
        const bool open = newest.last_open && &live == &newest.live.back();
        SSI_TRY(recover_segment(live.generation, {live.end, open}, visit));
    }
    found_head = segments.empty() ? nullptr : segments.rbegin()->second;
    const bool early = newest.last_open && found_head->end != newest.live.back().end;
    if (early && !plants.early_ends_ignored) {
        SSI_TRY(drop_newest(newest));
    } else {
        SSI_TRY(recover_segment(newest.generation, {}, visit));
        found_head = segments.rbegin()->second;
    }
    SSI_TRY(check_follower(found_head->generation, found_head->followed, files, found_head->path,
                           options.disk->name()));
    recovered.last_batch = next_batch - 1;
    written = durable = recovered.last_batch;
    return take_free_files(files, *map);
}

// The segment before ends early: the newest has nothing that counts. Its header does, until a newer
// one is durable: what was freed before it was written may be gone.
Result<void> SegmentLog::Impl::drop_newest(const SegmentHeader& newest) {
    auto segment = std::make_shared<Segment>();
    segment->generation = newest.generation;
    segment->path = path_of(segment_name(newest.generation));
    const auto file = open_segment(*options.disk, segment->path);
    if (!file) return tl::unexpected<Failure>(file.error());
    auto bytes = read_bytes(*options.disk, *file->file, 0, file->bytes);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    const Sequence told = told_durable(bytes->first(file->bytes), key(newest.generation),
                                       newest.header_bytes, next_batch);
    if (told >= next_batch)
        return tl::unexpected(log_failure(
            {Errc::io, 0, no_node,
             fmt::format("batch {} was committed (segment {} says so) and is damaged", next_batch,
                         newest.generation)},
            fmt::format("{} of {}", found_head->path, options.disk->name()), found_head->end));
    if (!recovered.torn)
        recovered.torn = fmt::format("{}, byte {}: batch {} was not committed and is not there",
                                     found_head->path, found_head->end, next_batch);
    segment->file_bytes = file->bytes;
    segment->header_bytes = segment->end = newest.header_bytes;
    segment->first_batch = next_batch;
    segment->last_batch = next_batch - 1;
    segment->begun = segment->complete = segment->recovered = segment->freed = true;
    segments.emplace(newest.generation, std::move(segment));
    ++recovered.dropped_segments;
    return {};
}

Result<void> SegmentLog::Impl::take_free_files(const LogFiles& files, const LogMap& map) {
    // Files that are no part of the log. Those that fit become room again.
    // A file behind the newest segment stays until another one is, as a footer may tell of it.
    std::vector<std::string> paths;
    for (const std::uint64_t generation : map.free) paths.push_back(segment_name(generation));
    for (const std::uint64_t generation : map.not_begun)
        paths.push_back(segment_name(generation));
    for (const std::uint64_t number : files.spares) paths.push_back(spare_name(number));
    for (const std::string& name : paths) {
        const std::string path = path_of(name);
        const auto file = open_segment(*options.disk, path);
        if (!file) return tl::unexpected<Failure>(file.error());
        bool fits = file->bytes == options.segment_bytes &&
                    spares.size() < options.reserve_segments + options.keep_spares;
        if (fits) {
            // The crash may have come before the room was there.
            auto writable = options.disk->open(path, OpenMode::write);
            if (!writable) return tl::unexpected<Failure>(std::move(writable).error());
            fits = (*writable)->allocate(0, options.segment_bytes).has_value();
        }
        const auto generation = generation_of(name);
        if (fits)
            spares.push_back({path, options.segment_bytes, true, true});
        else if (generation && *generation > found_head->generation)
            removals.push_back(path);
        else
            SSI_TRY(options.disk->remove(path));
    }
    return {};
}

// The records of a segment: by its footer if that lists them, else by reading all of it.
Result<void> SegmentLog::Impl::replay(Segment& segment, const SegmentFile& file,
                                      const SegmentHeader& header, const SegmentFooter* footer,
                                      KnownEnd known, const RecordVisitor& visit) {
    if (footer && footer->has_index) {
        for (const FoundRecord& found : footer->index) visit(found);
        recovered.records += footer->index.size();
        segment.end = footer->end;
        segment.last_batch = footer->last_batch;
        return {};
    }
    const std::string name = fmt::format("{} of {}", segment.path, options.disk->name());
    auto bytes = read_bytes(*options.disk, *file.file, 0, file.bytes);
    if (!bytes) return tl::unexpected(log_failure(bytes.error(), name));
    // Where it may end early nothing was promised behind what is whole.
    const bool early = known.open && *known.end <= file.bytes;
    const auto content = bytes->first(early ? *known.end : file.bytes);
    const auto scan = scan_content(content, header, early ? std::nullopt : known.end,
                                   key(segment.generation),
                                   [&](const BatchView& batch, std::uint64_t offset) {
                                       for (const FoundRecord& found : found_in(batch, offset))
                                           visit(found);
                                       recovered.records += batch.records.size();
                                   });
    ++recovered.segments_scanned;
    recovered.batches += scan.batches;
    if (scan.damage)
        return tl::unexpected(
            log_failure({Errc::io, 0, no_node, *scan.damage}, name, scan.damage_offset));
    if (scan.torn)
        recovered.torn = fmt::format("{}, byte {}: {}", segment.path, scan.end, *scan.torn);
    segment.end = scan.end;
    segment.last_batch = scan.next_batch - 1;
    return {};
}

// `known`: of the content, for all but the newest.
Result<void> SegmentLog::Impl::recover_segment(std::uint64_t generation, KnownEnd known,
                                               const RecordVisitor& visit) {
    auto segment = std::make_shared<Segment>();
    segment->generation = generation;
    segment->path = path_of(segment_name(generation));
    const auto at = [&](const Failure& failure, std::optional<std::uint64_t> byte = {}) {
        return tl::unexpected(log_failure(
            failure, fmt::format("{} of {}", segment->path, options.disk->name()), byte));
    };
    const auto file = open_segment(*options.disk, segment->path);
    if (!file && file.error().code == Errc::not_found)
        return at({Errc::io, ENOENT, no_node,
                   "the log has this segment, but its file is not there"});
    if (!file) return tl::unexpected<Failure>(file.error());
    // Before anything builds on what is read: with only the process dead, it may be in a cache yet.
    if (!known.end || known.open) SSI_TRY(sync(*options.disk, *file->file));
    auto header = read_header(*options.disk, *file);
    if (header && header->generation != generation)
        header = fail(Errc::io, fmt::format("the header is that of generation {}",
                                            header->generation));
    if (!header) return at(header.error());
    if (header->identity != options.identity)
        return at({Errc::mismatch, 0, no_node, fmt::format("it belongs to volume {}",
                                                           header->identity.volume.text())});
    // Numbers are consecutive, except where the segment between was freed.
    const bool adjacent = segments.contains(generation - 1);
    if (adjacent ? header->first_batch != next_batch : header->first_batch < next_batch)
        return at({Errc::io, 0, no_node,
                   fmt::format("it begins with batch {}, the segment before ends with {}",
                               header->first_batch, next_batch - 1)}, 48);
    segment->file_bytes = file->bytes;
    segment->header_bytes = header->header_bytes;
    segment->first_batch = header->first_batch;
    segment->begun = segment->complete = true;
    segment->indexed = false;

    const auto footer = read_footer(*options.disk, *file->file, file->bytes,
                                    key(generation));
    if (!footer && footer.error().sys_errno != 0) return at(footer.error());
    const bool ours = footer && *footer && (*footer)->first_batch == header->first_batch;
    const bool usable = ours && (!known.end || (*footer)->end == *known.end);
    segment->recovered = true;
    // Also by the footer of one that recovery found to end early.
    segment->followed = (usable || (ours && known.open)) && (*footer)->followed;
    if (usable) known = {(*footer)->end, false};
    if (!usable && (!footer || *footer))
        recovered.bad_footers.push_back(segment->path + ": " +
                                        (footer ? "it is not of this segment's content"
                                                : footer.error().text));
    ++recovered.segments;
    SSI_TRY(replay(*segment, *file, *header, usable ? &**footer : nullptr, known, visit));
    next_batch = segment->last_batch + 1;
    segments.emplace(generation, std::move(segment));
    return {};
}

}  // namespace ssi::io
