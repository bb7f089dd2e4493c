// SPDX-License-Identifier: BSD-3-Clause
// Attributes: an inode is grabbed where it is changed, and goes home with the next write-back.
// Rules of who may change what: chmod(2), chown(2), utimensat(2), setxattr(2).
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "fs_core.hpp"

namespace ssi::fs {
namespace {

constexpr std::size_t most_xattr_name = 255;

void store(kddm::RawGuard& guard, const InodeHead& head) {
    std::memcpy(guard.writable().data(), &head, sizeof head);
}

Result<void> check_striping(const Striping& s) {
    if (s.unit_bytes != 0 && (!std::has_single_bit(s.unit_bytes) || s.unit_bytes < page_bytes ||
                              s.unit_bytes > std::uint64_t{page_bytes} << 15))
        return refuse(EINVAL, "a stripe unit is a power of two from 64 KiB to 2 GiB");
    if (s.count > 255) return refuse(EINVAL, "a stripe count is at most 255");
    if (s.placement > Placement::local_first) return refuse(EINVAL, "an unknown placement");
    return {};
}

void change_owner(InodeHead& head, const AttributeChange& change, const Credentials& who) {
    if (!S_ISDIR(head.mode)) {
        const bool foreign = who.uid != 0 && !in_group(who, head.gid);
        head.mode &= ~static_cast<std::uint32_t>(S_ISUID);
        if (head.mode & S_IXGRP || foreign) head.mode &= ~static_cast<std::uint32_t>(S_ISGID);
    }
    if (change.uid) head.uid = *change.uid;
    if (change.gid) head.gid = *change.gid;
}

}  // namespace

Result<Attributes> Core::stat(InodeId inode) {
    auto head = head_of(inode);
    if (!head) return tl::unexpected<Failure>(std::move(head).error());
    Attributes a = attributes_of(inode, *head);
    if (!head->is_directory()) return a;
    // Its buckets know of the entries.
    std::uint64_t directories = 0, entries = 0;
    for (std::uint64_t cookie = 1; cookie != 0;) {
        auto bucket = bucket_for(inode, hash_at(cookie), kddm::Access::read);
        if (!bucket) return tl::unexpected<Failure>(std::move(bucket).error());
        const BucketView view(bucket->guard.bytes());
        entries += view.head().entries;
        directories += view.head().directories;
        a.modify_ns = std::max(a.modify_ns, view.head().modify_ns);
        cookie = view.end_cookie(bucket->key);
    }
    a.change_ns = std::max(a.change_ns, a.modify_ns);
    a.links = head->links == 0 ? 0 : 2 + directories;
    a.size = entries * 32;
    return a;
}

Result<void> Core::check_change(const InodeHead& head, const AttributeChange& change,
                                const Credentials& who, bool opened_for_writing) {
    const bool owner = who.uid == 0 || who.uid == head.uid;
    if (change.mode && !owner) return refuse(EPERM, "only the owner changes permissions");
    if (change.uid && who.uid != 0 && (!owner || *change.uid != head.uid))
        return refuse(EPERM, "only user 0 gives files away");
    if (change.gid && who.uid != 0 && (!owner || !in_group(who, *change.gid)))
        return refuse(EPERM, "only the owner changes the group, to one of his own");
    if ((change.access_ns || change.modify_ns) && !owner)
        return refuse(EPERM, "only the owner sets times");
    if (change.access_now != change.modify_now && !owner)
        return refuse(EPERM, "only the owner sets one time alone");
    if (change.access_now && !owner && !may(head, who, W_OK))
        return refuse(EACCES, "only who may write touches");
    if (change.size) {
        if (S_ISDIR(head.mode)) return refuse(EISDIR, "a directory has no size to set");
        if (!S_ISREG(head.mode)) return refuse(EINVAL, "only files have a size to set");
        if (!opened_for_writing && !may(head, who, W_OK)) return refuse(EACCES, "no permission");
        if (*change.size > most_file_bytes) return refuse(EFBIG, "a size beyond 2 PiB");
    }
    if (change.striping) {
        if (!S_ISDIR(head.mode)) return refuse(ENOTDIR, "a file has the striping it was made with");
        if (!owner) return refuse(EPERM, "only the owner sets striping");
        SSI_TRY(check_striping(*change.striping));
    }
    return {};
}

// A directory's buckets have the times of what happened in them; a time that is set counts for all.
Result<void> Core::set_bucket_times(InodeId directory, std::int64_t time) {
    auto buckets = buckets_of(directory);
    if (!buckets) return tl::unexpected<Failure>(std::move(buckets).error());
    for (const BucketKey key : *buckets) {
        auto guard = buckets_.grab(bucket_id(directory, key));
        if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
        if (guard->bytes().size() < sizeof(BucketHead)) continue;
        BucketHead head = BucketView(guard->bytes()).head();
        head.modify_ns = time;
        std::memcpy(guard->writable().data(), &head, sizeof head);
    }
    return {};
}

Result<void> Core::set_attributes(InodeId inode, const AttributeChange& change,
                                  const Credentials& who, bool opened_for_writing) {
    {
        auto head = head_of(inode);
        if (!head) return tl::unexpected<Failure>(std::move(head).error());
        SSI_TRY(check_change(*head, change, who, opened_for_writing));
        if (head->is_directory() && (change.modify_ns || change.modify_now))
            SSI_TRY(set_bucket_times(inode, change.modify_now ? now() : *change.modify_ns));
    }
    if (change.size) SSI_TRY(truncate(inode, *change.size, who));
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    auto found = inode_head(guard->bytes());
    if (!found) return refuse(ENOENT, "the inode was removed");
    InodeHead head = *found;
    const std::int64_t time = now();
    if (change.uid || change.gid) change_owner(head, change, who);
    if (change.mode) {
        std::uint32_t mode = *change.mode & 07777;
        if (who.uid != 0 && mode & S_ISGID && !in_group(who, head.gid))
            mode &= ~static_cast<std::uint32_t>(S_ISGID);
        head.mode = (head.mode & S_IFMT) | mode;
    }
    if (change.access_ns) head.access_ns = *change.access_ns;
    if (change.access_now) head.access_ns = time;
    if (change.modify_ns) head.modify_ns = *change.modify_ns;
    if (change.modify_now) head.modify_ns = time;
    if (change.striping) {
        const Striping& s = *change.striping;
        head.unit_shift = s.unit_bytes ? static_cast<std::uint8_t>(std::countr_zero(s.unit_bytes))
                                       : std::uint8_t{0};
        head.count = static_cast<std::uint8_t>(s.count);
        head.placement = static_cast<std::uint8_t>(s.placement);
    }
    head.change_ns = time;
    store(*guard, head);
    return {};
}

Result<Space> Core::space() {
    Space all;
    for (auto& answer : calls_->call_all(all_nodes(), static_cast<std::uint8_t>(Verb::space), {})) {
        if (!answer) return tl::unexpected<Failure>(std::move(answer).error());
        const auto part = Reader(*answer).get<Space>();
        all.total_bytes += part.total_bytes;
        all.free_bytes += part.free_bytes;
        all.inodes += part.inodes;
    }
    return all;
}

Result<Core::Bytes> Core::serve_space(std::span<const std::byte>) {
    Space mine;
    for (const std::uint32_t volume : own_volumes_) {
        auto space = volumes_->space(volume);
        if (!space) return tl::unexpected<Failure>(std::move(space).error());
        mine.total_bytes += space->total_bytes;
        mine.free_bytes += space->free_bytes;
        mine.inodes +=
            volumes_->log(volume, io::KeptIn::metadata)->objects(inode_number_).size();
    }
    return Writer().put(mine).take();
}

// -- extended attributes

namespace {

// user.* needs permission of the file, and only files and directories have them; others are user
// 0's.
Result<void> check_xattr(const InodeHead& head, const Credentials& who, std::string_view name,
                         int wanted) {
    if (name.empty()) return refuse(ERANGE, "an attribute without a name");
    if (name.size() > most_xattr_name) return refuse(ERANGE, "an attribute's name above 255 bytes");
    const auto dot = name.find('.');
    const std::string_view space = name.substr(0, dot);
    const bool known = dot != std::string_view::npos &&
                       (space == "user" || space == "trusted" || space == "security");
    // Whether the name is one is asked last.
    if (!known || space == "user") {
        if (known && !S_ISREG(head.mode) && !S_ISDIR(head.mode))
            return refuse(wanted & W_OK ? EPERM : ENODATA, name);
        if (known && wanted & W_OK && S_ISDIR(head.mode) && head.mode & S_ISVTX &&
            who.uid != 0 && who.uid != head.uid)
            return refuse(EPERM, name);
        if (!may(head, who, wanted)) return refuse(EACCES, name);
    } else if (who.uid != 0) {
        return refuse(wanted & W_OK ? EPERM : ENODATA, name);
    }
    if (!known) return refuse(EOPNOTSUPP, name);
    if (dot + 1 == name.size()) return refuse(EINVAL, name);
    return {};
}

std::span<const std::byte> xattr_bytes(std::span<const std::byte> bytes, const InodeHead& head) {
    return bytes.subspan(sizeof(InodeHead),
                         std::min<std::size_t>(head.xattr_bytes, bytes.size() - sizeof(InodeHead)));
}

}  // namespace

// What `change` makes of the attributes of an inode that is grabbed for it.
template <class F>
Result<void> Core::change_xattrs(InodeId inode, const Credentials& who, std::string_view name,
                                 F&& change) {
    auto guard = inodes_.grab(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const auto found = inode_head(guard->bytes());
    if (!found) return refuse(ENOENT, "the inode was removed");
    SSI_TRY(check_xattr(*found, who, name, W_OK));
    const std::vector<std::byte> before(guard->bytes().begin(), guard->bytes().end());
    std::vector<XattrView> xattrs = xattrs_of(xattr_bytes(before, *found));
    SSI_TRY(change(xattrs));
    const std::vector<std::byte> packed = pack_xattrs(xattrs);
    if (packed.size() > most_xattr_bytes) return refuse(ENOSPC, "attributes above 64 KiB");
    InodeHead head = *found;
    const auto content = inline_of(before, head);
    head.xattr_bytes = static_cast<std::uint32_t>(packed.size());
    head.change_ns = now();
    std::vector<std::byte> rest = packed;
    rest.insert(rest.end(), content.begin(), content.end());
    return Edit::of_whole(make_inode_value(head, rest)).apply(*guard);
}

Result<void> Core::set_xattr(InodeId inode, const Credentials& who, std::string_view name,
                             std::span<const std::byte> value, int flags) {
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) return refuse(EINVAL, "flags of setxattr");
    if (value.size() > most_xattr_bytes) return refuse(E2BIG, name);
    return change_xattrs(inode, who, name, [&](std::vector<XattrView>& xattrs) -> Result<void> {
        const auto at = std::ranges::find(xattrs, name, &XattrView::name);
        if (at != xattrs.end() && flags & XATTR_CREATE) return refuse(EEXIST, name);
        if (at == xattrs.end() && flags & XATTR_REPLACE) return refuse(ENODATA, name);
        if (at != xattrs.end())
            at->value = value;
        else
            xattrs.push_back({name, value});
        return {};
    });
}

Result<void> Core::remove_xattr(InodeId inode, const Credentials& who, std::string_view name) {
    return change_xattrs(inode, who, name, [&](std::vector<XattrView>& xattrs) -> Result<void> {
        const auto at = std::ranges::find(xattrs, name, &XattrView::name);
        if (at == xattrs.end()) return refuse(ENODATA, name);
        xattrs.erase(at);
        return {};
    });
}

Result<std::vector<std::byte>> Core::get_xattr(InodeId inode, const Credentials& who,
                                               std::string_view name) {
    auto guard = inodes_.get(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const auto head = inode_head(guard->bytes());
    if (!head) return refuse(ENOENT, "the inode was removed");
    if (auto allowed = check_xattr(*head, who, name, R_OK); !allowed)
        return tl::unexpected<Failure>(std::move(allowed).error());
    for (const XattrView& x : xattrs_of(xattr_bytes(guard->bytes(), *head)))
        if (x.name == name) return std::vector<std::byte>(x.value.begin(), x.value.end());
    return refuse(ENODATA, name);
}

Result<std::vector<std::string>> Core::list_xattrs(InodeId inode) {
    auto guard = inodes_.get(ObjectId(inode.value));
    if (!guard) return tl::unexpected<Failure>(std::move(guard).error());
    const auto head = inode_head(guard->bytes());
    if (!head) return refuse(ENOENT, "the inode was removed");
    std::vector<std::string> names;
    for (const XattrView& x : xattrs_of(xattr_bytes(guard->bytes(), *head)))
        names.emplace_back(x.name);
    return names;
}

}  // namespace ssi::fs
