// SPDX-License-Identifier: BSD-3-Clause
// The bytes of files: in the inode while they are few, else in pages. A writer writes pages first
// and raises the size afterwards; when bytes were cut off meanwhile (InodeHead::cuts) it begins
// again, as if it had come after the cut.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "fs_core.hpp"

namespace ssi::fs {
namespace {

constexpr std::uint32_t size_offset = offsetof(InodeHead, size);
constexpr std::uint32_t modify_offset = offsetof(InodeHead, modify_ns);
static_assert(size_offset % 8 == 0 && modify_offset % 8 == 0);

Result<void> check_range(std::uint64_t offset, std::uint64_t length) {
    if (offset > most_file_bytes || length > most_file_bytes - offset)
        return refuse(EFBIG, "beyond 2 PiB");
    return {};
}

// What a file loses when somebody changes it who is not user 0.
// The set-group-id bit goes where it means something, or is none of the writer's business.
bool drops_group(const InodeHead& head, const Credentials& who) {
    return head.mode & S_ISGID && (head.mode & S_IXGRP || !in_group(who, head.gid));
}

bool privileged(const InodeHead& head, const Credentials& who) {
    return who.uid != 0 && (head.mode & S_ISUID || drops_group(head, who));
}

// The inode's value with `content` in place of what it had.
Edit with_content(std::span<const std::byte> value, InodeHead head,
                  std::span<const std::byte> content) {
    head.inline_bytes = static_cast<std::uint32_t>(content.size());
    std::vector<std::byte> rest(value.begin() + sizeof(InodeHead),
                                value.begin() + static_cast<std::ptrdiff_t>(head.inline_offset()));
    rest.insert(rest.end(), content.begin(), content.end());
    return Edit::of_whole(make_inode_value(head, rest));
}

}  // namespace

// The head as it is now, without making a copy that somebody's next write would have to revoke.
Result<InodeHead> Core::peek(InodeId inode) {
    InodeHead head;
    auto read = inodes_.read_into(ObjectId(inode.value), 0,
                                  std::as_writable_bytes(std::span(&head, 1)));
    if (read) return head;
    if (read.error().code == Errc::invalid_argument)   // it is empty
        return refuse(ENOENT, "the inode was removed");
    return tl::unexpected<Failure>(std::move(read).error());
}

Result<std::size_t> Core::read(InodeId inode, std::uint64_t offset, std::span<std::byte> out,
                               Stream* stream) {
    SSI_TRY(check_range(offset, 0));
    InodeHead head;
    {
        auto guard = inodes_.get(ObjectId(inode.value));
        if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
        const auto found = inode_head(guard->bytes());
        if (!found) return refuse(ENOENT, "the file was removed");
        head = *found;
        if (offset >= head.size) return std::size_t{0};
        if (!head.paged()) {
            const std::size_t length = std::min<std::uint64_t>(out.size(), head.size - offset);
            const auto content = inline_of(guard->bytes(), head);
            const std::size_t begin = std::min<std::uint64_t>(offset, content.size());
            const auto part = content.subspan(begin, std::min(length, content.size() - begin));
            std::ranges::copy(part, out.begin());
            std::ranges::fill(out.subspan(part.size(), length - part.size()), std::byte{0});
            return length;
        }
    }
    const std::size_t length = std::min<std::uint64_t>(out.size(), head.size - offset);
    SSI_TRY(pages_->read(inode, Layout::unpack(head.layout), offset, out.first(length), stream));
    return length;
}

// False: it does not fit, or the file has pages already.
Result<bool> Core::write_inline(InodeId inode, std::uint64_t& offset, Pieces pieces,
                                std::size_t length, bool append) {
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    auto head = inode_head(guard->bytes());
    if (!head) return refuse(ENOENT, "the file was removed");
    if (head->paged()) return false;
    if (append) offset = head->size;
    const std::uint64_t end = offset + length;
    if (end > most_inline_file) return false;
    const auto put = [&](std::uint64_t at) {
        for (const auto piece : pieces) {
            std::ranges::copy(piece, guard->writable().begin() + static_cast<std::ptrdiff_t>(at));
            at += piece.size();
        }
    };
    head->size = std::max(head->size, end);
    head->modify_ns = head->change_ns = now();
    if (end <= head->inline_bytes) {
        std::memcpy(guard->writable().data(), &*head, sizeof *head);
        put(head->inline_offset() + offset);
        return true;
    }
    const std::size_t value_bytes = head->inline_offset() + end;
    head->inline_bytes = static_cast<std::uint32_t>(end);
    SSI_TRY(guard->resize(value_bytes));
    std::memcpy(guard->writable().data(), &*head, sizeof *head);
    put(head->inline_offset() + offset);
    return true;
}

Result<void> Core::move_to_pages(InodeId inode) {
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    auto head = inode_head(guard->bytes());
    if (!head) return refuse(ENOENT, "the file was removed");
    if (head->paged()) return {};
    const auto content = inline_of(guard->bytes(), *head);
    if (!content.empty())
        SSI_TRY(pages_->write(inode, Layout::unpack(head->layout), 0, content, nullptr));
    head->flags |= InodeHead::in_pages;
    if (!content.empty()) head->writer = node_.id().value + 1;
    return with_content(guard->bytes(), *head, {}).apply(*guard);
}

Result<std::size_t> Core::write(InodeId inode, std::uint64_t offset, Pieces pieces, bool append,
                                const Credentials& who, Stream* stream, std::uint64_t* end) {
    std::uint64_t length = 0;
    for (const auto piece : pieces) {
        SSI_TRY(check_range(length, piece.size()));
        length += piece.size();
    }
    SSI_TRY(check_range(offset, length));
    if (length == 0) return std::size_t{0};
    const ObjectId id(inode.value);
    bool reserved = false;
    for (;;) {
        auto head = peek(inode);
        if (!head) return tl::unexpected<Failure>(std::move(head).error());
        if (privileged(*head, who)) SSI_TRY(clear_privileges(inode, who));
        if (!head->paged()) {
            auto done = write_inline(inode, offset, pieces, length, append && !reserved);
            if (!done) return tl::unexpected<Failure>(std::move(done).error());
            if (*done) break;
            SSI_TRY(move_to_pages(inode));
            continue;
        }
        if (append && !reserved) {
            auto before = inodes_.fetch_add(id, length, size_offset);
            if (!before) return tl::unexpected<Failure>(std::move(before).error());
            offset = *before;
            reserved = true;
            SSI_TRY(check_range(offset, length));
        }
        if (head->writer != node_.id().value + 1 && head->writer != InodeHead::many_writers)
            SSI_TRY(note_writer(inode));
        std::uint64_t at = offset;
        for (const auto piece : pieces) {
            SSI_TRY(pages_->write(inode, Layout::unpack(head->layout), at, piece, stream));
            at += piece.size();
        }
        const std::uint64_t last = offset + length;
        if (last > head->size)
            if (auto done = inodes_.fetch_max(id, last, size_offset); !done)
                return tl::unexpected<Failure>(std::move(done).error());
        if (const std::int64_t time = now(); time > head->modify_ns) {
            if (auto done = inodes_.fetch_max(id, time, modify_offset); !done)
                return tl::unexpected<Failure>(std::move(done).error());
        } else if (time < head->modify_ns) {   // somebody set it ahead: it comes back
            if (auto done = inodes_.exchange(id, time, modify_offset); !done)
                return tl::unexpected<Failure>(std::move(done).error());
        }
        auto after = peek(inode);
        if (!after) return tl::unexpected<Failure>(std::move(after).error());
        if (after->cuts == head->cuts) break;
    }
    if (end) *end = offset + length;
    return length;
}

// So that a sync knows whether this node has heard of all that was written.
Result<void> Core::note_writer(InodeId inode) {
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    auto head = inode_head(guard->bytes());
    if (!head) return refuse(ENOENT, "the file was removed");
    head->writer = head->writer == 0 ? node_.id().value + 1 : InodeHead::many_writers;
    std::memcpy(guard->writable().data(), &*head, sizeof *head);
    return {};
}

Result<void> Core::clear_privileges(InodeId inode, const Credentials& who) {
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    auto head = inode_head(guard->bytes());
    if (!head) return {};
    head->mode &= ~static_cast<std::uint32_t>(S_ISUID);
    if (drops_group(*head, who)) head->mode &= ~static_cast<std::uint32_t>(S_ISGID);
    std::memcpy(guard->writable().data(), &*head, sizeof *head);
    return {};
}

Result<void> Core::lose_privileges(InodeId inode, const Credentials& who) {
    if (who.uid == 0) return {};
    auto head = peek(inode);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    return privileged(*head, who) ? clear_privileges(inode, who) : Result<void>{};
}

Result<void> Core::truncate(InodeId inode, std::uint64_t size, const Credentials& who) {
    SSI_TRY(check_range(size, 0));
    SSI_TRY(lose_privileges(inode, who));
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    auto head = inode_head(guard->bytes());
    if (!head) return refuse(ENOENT, "the file was removed");
    const std::uint64_t before = head->size;
    head->size = size;
    head->modify_ns = head->change_ns = now();
    if (size < before) ++head->cuts;
    if (!head->paged()) {
        const auto content = inline_of(guard->bytes(), *head);
        return with_content(guard->bytes(), *head,
                            content.first(std::min<std::uint64_t>(content.size(), size)))
            .apply(*guard);
    }
    std::memcpy(guard->writable().data(), &*head, sizeof *head);
    if (size < before)
        SSI_TRY(pages_->zero(inode, Layout::unpack(head->layout), size, before - size));
    return {};
}

Result<void> Core::check_allocation(int mode, std::uint64_t length) {
    const bool keep = mode & FALLOC_FL_KEEP_SIZE;
    const int what = mode & ~FALLOC_FL_KEEP_SIZE;
    if (length == 0) return refuse(EINVAL, "no bytes");
    if (what != 0 && what != FALLOC_FL_PUNCH_HOLE && what != FALLOC_FL_ZERO_RANGE)
        return refuse(EOPNOTSUPP, "this mode of fallocate");
    if (what == FALLOC_FL_PUNCH_HOLE && !keep) return refuse(EOPNOTSUPP, "punching keeps the size");
    return {};
}

// Room is not set aside: a full disk is told at the write. Sizes and zeroes are as fallocate(2)
// says.
Result<void> Core::allocate(InodeId inode, int mode, std::uint64_t offset, std::uint64_t length,
                            const Credentials& who) {
    const bool keep = mode & FALLOC_FL_KEEP_SIZE;
    const int what = mode & ~FALLOC_FL_KEEP_SIZE;
    SSI_TRY(check_allocation(mode, length));
    SSI_TRY(check_range(offset, length));
    SSI_TRY(lose_privileges(inode, who));
    const std::uint64_t end = offset + length;
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    auto head = inode_head(guard->bytes());
    if (!head) return refuse(ENOENT, "the file was removed");
    const std::uint64_t before = head->size;
    if (!keep) head->size = std::max(head->size, end);
    head->modify_ns = head->change_ns = now();
    if (what != 0) ++head->cuts;
    std::memcpy(guard->writable().data(), &*head, sizeof *head);
    if (what == 0 || offset >= before) return {};
    if (head->paged())
        return pages_->zero(inode, Layout::unpack(head->layout), offset,
                            std::min(end, before) - offset);
    const std::uint64_t here = head->inline_bytes;
    if (offset < here)
        std::ranges::fill(guard->writable().subspan(head->inline_offset() + offset,
                                                    std::min(end, here) - offset),
                          std::byte{0});
    return {};
}

Result<std::uint64_t> Core::seek(InodeId inode, std::uint64_t offset, bool data) {
    auto head = head_of(inode);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    if (offset >= head->size) return refuse(ENXIO, "behind the end");
    if (!head->paged()) {
        if (data) return offset < head->inline_bytes ? Result<std::uint64_t>(offset)
                                                     : refuse(ENXIO, "no data behind");
        return std::max<std::uint64_t>(offset, head->inline_bytes);
    }
    auto found = pages_->seek(inode, Layout::unpack(head->layout), offset, head->size, data);
    if (found && data && *found >= head->size) return refuse(ENXIO, "no data behind");
    return found;
}

Result<std::vector<Extent>> Core::extents(InodeId inode) {
    auto head = head_of(inode);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    if (head->paged())
        return pages_->extents(inode, Layout::unpack(head->layout), head->size);
    if (head->size == 0) return std::vector<Extent>{};
    return std::vector<Extent>{{0, head->size, volume_of(inode), home_of(inode), true}};
}

Result<std::vector<Copy>> Core::copies(InodeId inode, std::uint64_t offset,
                                       std::uint64_t length) {
    auto head = head_of(inode);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    if (offset >= head->size || length == 0) return std::vector<Copy>{};
    length = std::min(length, head->size - offset);
    if (head->paged())
        return pages_->copies(inode, Layout::unpack(head->layout), offset, length, all_nodes());
    return std::vector<Copy>{{offset, length, home_of(inode)}};
}

}  // namespace ssi::fs
