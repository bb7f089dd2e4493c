// SPDX-License-Identifier: BSD-3-Clause
// Room: spare segment files, made before a batch is accepted that needs one.
#include <fmt/format.h>

#include <cerrno>

#include "segment_state.hpp"

namespace ssi::io {

// Writes of less are small: sixteen of them fill a segment of the usual size.
constexpr std::uint64_t small_write_bytes = 256 << 10;

std::uint64_t SegmentLog::Impl::file_bytes() const {
    std::uint64_t bytes = making_bytes;
    for (const auto& [generation, segment] : segments) bytes += segment->file_bytes;
    for (const SegmentPtr& segment : zombies) bytes += segment->file_bytes;
    for (const Spare& spare : spares) bytes += spare.bytes;
    return bytes;
}

// A write into room that was never written makes the file system log that it is written now: the
// first durable write of a block takes twice as long. So with small writes the whole file is
// written once beforehand; with large ones that would cost more than it saves.
Result<void> SegmentLog::Impl::fill(DiskFile& file, std::uint64_t bytes) {
    BlockBuffer zeroes(std::min<std::uint64_t>(bytes, 1 << 20));
    std::memset(zeroes.data(), 0, zeroes.capacity());
    for (std::uint64_t at = 0; at < bytes; at += zeroes.capacity())
        SSI_TRY(io::write(*options.disk, file,
                          zeroes.first(std::min<std::uint64_t>(zeroes.capacity(), bytes - at)),
                          at));
    return {};
}

Result<Spare> SegmentLog::Impl::new_spare(const std::string& path, std::uint64_t bytes,
                                          bool filled) {
    auto file = options.disk->open(path, OpenMode::create_new);
    if (!file) return tl::unexpected<Failure>(std::move(file).error());
    auto room = (*file)->allocate(0, bytes);
    if (room && filled) room = fill(**file, bytes);
    if (room) room = sync(*options.disk, **file);   // its length, too, outlasts a crash
    if (!room) {
        file->reset();
        if (const auto gone = options.disk->remove(path); !gone)
            return tl::unexpected<Failure>(gone.error());
        return tl::unexpected<Failure>(room.error());
    }
    return Spare{path, bytes, filled, false};
}

// One spare of so many bytes; waits when somebody else makes one.
Result<void> SegmentLog::Impl::make_spare(Lock& lock, std::uint64_t bytes) {
    if (making_bytes != 0) {
        changed.wait(mutex);
        return {};
    }
    if (options.limit_bytes != 0 && file_bytes() + bytes > options.limit_bytes)
        return fail_errno(Errc::io, ENOSPC,
                          fmt::format("log {} has {} bytes and needs a segment of {}, its limit is "
                                      "{}: remove objects or raise the limit",
                                      options.directory, file_bytes(), bytes,
                                      options.limit_bytes));
    making_bytes = bytes;
    const std::string path = path_of(spare_name(next_spare++));
    const bool small_writes =
        statistics.writes != 0 ? statistics.written_bytes <= statistics.writes * small_write_bytes
                               : options.segment_bytes <= 32 * small_write_bytes;
    lock.unlock();
    auto spare = new_spare(path, bytes, small_writes && bytes == options.segment_bytes);
    lock.lock();
    making_bytes = 0;
    if (spare) spares.push_back(std::move(*spare));
    changed.notify_all();
    if (spare) return {};
    Failure failure = std::move(spare).error();
    failure.text = fmt::format("log {} needs a segment of {} bytes: {}", options.directory, bytes,
                               failure.text);
    return tl::unexpected(std::move(failure));
}

Result<void> SegmentLog::Impl::make_room(Lock& lock, std::uint64_t bytes, std::size_t records,
                                         Urgency urgency) {
    while (true) {
        if (failure || closed) return refused();
        if (backlog() > options.backlog_bytes) {
            SSI_TRY(drive(lock, 0, [&] { return backlog() <= options.backlog_bytes; }));
            continue;
        }
        const Fit fits = fit(bytes, records);
        if (fits.in_head || find_spare(fits.new_segment_bytes, urgency)) return {};
        const bool regular = fits.new_segment_bytes == options.segment_bytes;
        const std::size_t wanted =
            (urgency == Urgency::reserve ? 0 : options.reserve_segments) + (regular ? 1 : 0);
        SSI_TRY(make_spare(lock, regular_spares() < wanted ? options.segment_bytes
                                                           : fits.new_segment_bytes));
    }
}

void SegmentLog::Impl::give_back(Segment& segment) {
    segment.file.reset();
    const bool regular = segment.file_bytes == options.segment_bytes;
    if (regular && regular_spares() < options.reserve_segments + options.keep_spares)
        spares.push_back({segment.path, segment.file_bytes, true, true});
    else
        removals.push_back(segment.path);
}

Result<void> SegmentLog::prepare(std::uint64_t batch_bytes, std::size_t records,
                                 Urgency urgency) {
    Impl::Lock lock(impl_->mutex);
    return impl_->make_room(lock, batch_bytes, records, urgency);
}

}  // namespace ssi::io
