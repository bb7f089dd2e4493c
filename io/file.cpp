// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/file.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <mutex>

#include "file_open.hpp"

namespace ssi::fs {
namespace {

// Of several buffers, those that are no more than this altogether are copied into one.
constexpr std::size_t most_gathered = 1u << 20;

Result<void> check_offset(std::uint64_t offset) {
    if (offset > INT64_MAX) return refuse(EINVAL, "a negative offset");
    return {};
}

Result<void> sync_written(const Inside& open) {
    if (!(open->flags & (O_SYNC | O_DSYNC))) return {};
    return open->core->sync(open->inode, open->volumes);
}

}  // namespace

File::File() noexcept = default;
File::File(std::unique_ptr<Open> open) : open_(std::move(open)) {}
File::File(File&&) noexcept = default;
File& File::operator=(File&& other) noexcept {
    if (open_ && open_ != other.open_) (void)close();
    open_ = std::move(other.open_);
    return *this;
}
File::~File() { (void)close(); }

bool File::is_open() const { return open_ && !open_->gate.is_closed(); }
std::uint64_t File::inode() const { return open_ ? open_->inode.value : 0; }
std::string File::path() const { return open_ ? open_->path : std::string(); }
int File::flags() const { return open_ ? open_->flags : 0; }

Result<void> check_reading(const Inside& open) {
    if (!open || !open->reads()) return refuse(EBADF, "the file is not open for reading");
    if (open->directory) return refuse(EISDIR, "a directory is listed, not read");
    return {};
}
Result<void> check_writing(const Inside& open) {
    if (!open || !open->writes()) return refuse(EBADF, "the file is not open for writing");
    return {};
}

Result<std::size_t> File::pread(std::span<std::byte> out, std::uint64_t offset) {
    SSI_TRY(check_offset(offset));
    const Inside open(open_.get());
    SSI_TRY(check_reading(open));
    return open->core->read(open->inode, offset, out, &open->stream);
}

Result<std::size_t> File::pwrite(std::span<const std::byte> bytes, std::uint64_t offset) {
    return pwritev({&bytes, 1}, offset);
}

Result<std::size_t> File::preadv(std::span<const std::span<std::byte>> out, std::uint64_t offset) {
    SSI_TRY(check_offset(offset));
    const Inside open(open_.get());
    SSI_TRY(check_reading(open));
    std::size_t done = 0;
    for (const auto part : out) {
        if (part.size() > INT64_MAX - offset - done) return refuse(EINVAL, "too many bytes");
        auto read = open->core->read(open->inode, offset + done, part, &open->stream);
        if (!read) return read;
        done += *read;
        if (*read < part.size()) break;
    }
    return done;
}

Result<std::size_t> File::pwritev(std::span<const std::span<const std::byte>> bytes,
                                  std::uint64_t offset) {
    SSI_TRY(check_offset(offset));
    const Inside open(open_.get());
    SSI_TRY(check_writing(open));
    std::size_t length = 0;
    for (const auto part : bytes) {
        if (part.size() > INT64_MAX - length) return refuse(EINVAL, "too many bytes");
        length += part.size();
    }
    std::vector<std::byte> gathered;
    std::span<const std::byte> whole;
    if (bytes.size() > 1 && length <= most_gathered) {   // few pages, each touched once
        gathered.reserve(length);
        for (const auto part : bytes) gathered.insert(gathered.end(), part.begin(), part.end());
        whole = gathered;
        bytes = {&whole, 1};
    }
    auto done = open->core->write(open->inode, offset, bytes, open->flags & O_APPEND, *open->who(),
                                  &open->stream);
    if (done) SSI_TRY(sync_written(open));
    return done;
}

Result<std::size_t> File::read(std::span<std::byte> out) {
    const Inside open(open_.get());
    SSI_TRY(check_reading(open));
    std::lock_guard lock(open->mutex);
    auto done = open->core->read(open->inode, open->position, out, &open->stream);
    if (done) open->position += *done;
    return done;
}

Result<std::size_t> File::write(std::span<const std::byte> bytes) {
    const Inside open(open_.get());
    SSI_TRY(check_writing(open));
    std::lock_guard lock(open->mutex);
    std::uint64_t end = open->position;
    auto done = open->core->write(open->inode, open->position, {&bytes, 1}, open->flags & O_APPEND,
                                  *open->who(), &open->stream, &end);
    if (done && !bytes.empty()) open->position = end;
    if (done) SSI_TRY(sync_written(open));
    return done;
}

Result<std::uint64_t> File::seek(std::int64_t offset, int whence) {
    const Inside open(open_.get());
    if (!open) return not_open();
    std::lock_guard lock(open->mutex);
    std::uint64_t base = 0;
    if (whence == SEEK_DATA || whence == SEEK_HOLE) {
        if (offset < 0) return refuse(ENXIO, "before the start");
        auto found = open->core->seek(open->inode, static_cast<std::uint64_t>(offset),
                                      whence == SEEK_DATA);
        if (found) open->position = *found;
        return found;
    }
    if (whence == SEEK_CUR) {
        base = open->position;
    } else if (whence == SEEK_END) {
        auto attributes = open->core->stat(open->inode);
        if (!attributes) return tl::unexpected<Failure>(std::move(attributes).error());
        base = attributes->size;
    } else if (whence != SEEK_SET) {
        return refuse(EINVAL, "whence of seek");
    }
    std::int64_t to = 0;
    if (__builtin_add_overflow(static_cast<std::int64_t>(base), offset, &to) || to < 0)
        return refuse(EINVAL, "a position before the start");
    open->position = static_cast<std::uint64_t>(to);
    return open->position;
}

Result<std::uint64_t> File::next_data(std::uint64_t offset) const {
    const Inside open(open_.get());
    if (!open) return not_open();
    if (offset > INT64_MAX) return refuse(ENXIO, "before the start");
    return open->core->seek(open->inode, offset, true);
}
Result<std::uint64_t> File::next_hole(std::uint64_t offset) const {
    const Inside open(open_.get());
    if (!open) return not_open();
    if (offset > INT64_MAX) return refuse(ENXIO, "before the start");
    return open->core->seek(open->inode, offset, false);
}

Result<void> File::sync() {
    const Inside open(open_.get());
    if (!open) return not_open();
    return open->core->sync(open->inode, open->volumes);
}

Result<void> File::truncate(std::uint64_t size) {
    const Inside open(open_.get());
    if (!open) return not_open();
    if (!open->writes() || open->directory)
        return refuse(EINVAL, "the file is not open for writing");
    if (size > INT64_MAX) return refuse(EINVAL, "a negative size");
    return open->core->truncate(open->inode, size, *open->who());
}

Result<void> File::allocate(int mode, std::uint64_t offset, std::uint64_t length) {
    if (offset > INT64_MAX || length > INT64_MAX) return refuse(EINVAL, "a negative range");
    SSI_TRY(Core::check_allocation(mode, length));
    const Inside open(open_.get());
    SSI_TRY(check_writing(open));
    return open->core->allocate(open->inode, mode, offset, length, *open->who());
}

Result<Attributes> File::stat() const {
    const Inside open(open_.get());
    if (!open) return not_open();
    return open->core->stat(open->inode);
}

Result<void> File::set_attributes(const AttributeChange& change) {
    if (change.size && *change.size > INT64_MAX) return refuse(EINVAL, "a negative size");
    const Inside open(open_.get());
    if (!open) return not_open();
    return open->core->set_attributes(open->inode, change, *open->who(), open->writes());
}

Result<std::vector<DirectoryEntry>> File::list(std::uint64_t cookie, std::size_t most,
                                               bool attributes) {
    const Inside open(open_.get());
    if (!open) return not_open();
    if (!open->directory) return refuse(ENOTDIR, "only directories are listed");
    if (!open->reads()) return refuse(EBADF, "the directory is not open for reading");
    return open->core->list(open->inode, cookie, most, attributes);
}

Result<std::vector<Extent>> File::extents() const { return extents(0, most_file_bytes); }

Result<std::vector<Extent>> File::extents(std::uint64_t offset, std::uint64_t length) const {
    const Inside open(open_.get());
    if (!open) return not_open();
    auto all = open->core->extents(open->inode);
    if (!all) return all;
    const std::uint64_t end = length > UINT64_MAX - offset ? UINT64_MAX : offset + length;
    std::vector<Extent> within;
    for (Extent extent : *all) {
        const std::uint64_t first = std::max(extent.offset, offset);
        const std::uint64_t last = std::min(extent.offset + extent.length, end);
        if (first >= last) continue;
        extent.offset = first;
        extent.length = last - first;
        within.push_back(extent);
    }
    return within;
}

Result<std::vector<Copy>> File::copies(std::uint64_t offset, std::uint64_t length) const {
    const Inside open(open_.get());
    if (!open) return not_open();
    return open->core->copies(open->inode, offset, length);
}

}  // namespace ssi::fs
