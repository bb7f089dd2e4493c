// SPDX-License-Identifier: BSD-3-Clause
// kDFS for C: attributes, permissions, times, striping, extended attributes.
#include <algorithm>
#include <cstring>
#include <span>

#include "files_inside.hpp"
#include "grown.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace ssi::capi {
namespace {

constexpr std::size_t least_attributes = sizeof(ssi_fs_attributes);

Result<bool> follows(int flags) {
    if (flags & ~SSI_FS_NOFOLLOW)
        return fail(Errc::invalid_argument, "flags has more than SSI_FS_NOFOLLOW");
    return (flags & SSI_FS_NOFOLLOW) == 0;
}

fs::AttributeChange owner_change(uint32_t uid, uint32_t gid) {
    fs::AttributeChange change;
    if (uid != SSI_FS_SAME) change.uid = uid;
    if (gid != SSI_FS_SAME) change.gid = gid;
    return change;
}

fs::AttributeChange mode_change(uint32_t mode) {
    fs::AttributeChange change;
    change.mode = mode & 07777;
    return change;
}

fs::AttributeChange time_change(int64_t access_ns, int64_t modify_ns) {
    fs::AttributeChange change;
    change.access_now = access_ns == SSI_FS_NOW;
    change.modify_now = modify_ns == SSI_FS_NOW;
    if (!change.access_now && access_ns != SSI_FS_OMIT) change.access_ns = access_ns;
    if (!change.modify_now && modify_ns != SSI_FS_OMIT) change.modify_ns = modify_ns;
    return change;
}

int change_path(ssi_fs* fs, const char* path, const fs::AttributeChange& change,
                int flags) noexcept {
    return on_path(fs, path, [&](fs::FileSystem& system) -> Result<void> {
        const auto follow = follows(flags);
        if (!follow) return tl::unexpected<Failure>(follow.error());
        return system.set_attributes(path, change, *follow);
    });
}
int change_file(ssi_file* file, const fs::AttributeChange& change) noexcept {
    return on_file(file, [&](fs::File& open) { return open.set_attributes(change); });
}

// All of it, or ERANGE; *length says how much there is either way.
Result<void> copy_value(std::span<const std::byte> value, void* to, std::size_t capacity,
                        std::size_t* length, const char* what) {
    if (length) *length = value.size();
    auto copied = copy_out(value, to, to ? capacity : 0, what);
    if (!copied) copied.error().sys_errno = ERANGE;
    return copied;
}

// Runs body(FileSystem, follow).
template <class Body>
int on_xattr(ssi_fs* fs, const char* path, const char* name, int flags, Body&& body) noexcept {
    return on_path(fs, path, [&](fs::FileSystem& system) -> Result<void> {
        SSI_TRY(need(name, "name"));
        const auto follow = follows(flags);
        if (!follow) return tl::unexpected<Failure>(follow.error());
        return body(system, *follow);
    });
}

}  // namespace

Result<fs::Striping> striping_of(const ssi_fs_striping& striping) {
    if (striping.placement > SSI_FS_LOCAL_FIRST)
        return fail(Errc::invalid_argument, "placement is no ssi_fs_placement");
    return fs::Striping{striping.unit_bytes, striping.count,
                        static_cast<fs::Placement>(striping.placement)};
}

void fill(ssi_fs_attributes& to, const fs::Attributes& from) {
    to = {to.size, from.inode, from.mode, from.uid, from.gid, from.links, from.size, from.blocks,
          from.access_ns, from.modify_ns, from.change_ns,
          {from.striping.unit_bytes, from.striping.count,
           static_cast<std::uint32_t>(from.striping.placement)}};
}

Result<void> give(const fs::Attributes& from, ssi_fs_attributes* to) {
    SSI_TRY(need(to, "attributes"));
    ssi_fs_attributes mine = SSI_FS_STAT_INIT;
    SSI_TRY(read_grown(to, least_attributes, mine, "ssi_fs_attributes"));
    fill(mine, from);
    std::memcpy(to, &mine, std::min(to->size, sizeof mine));
    return {};
}

}  // namespace ssi::capi

int ssi_fs_stat(ssi_fs* fs, const char* path, ssi_fs_attributes* attributes) {
    return on_path(fs, path, [&](fs::FileSystem& system) -> Result<void> {
        auto found = system.stat(path);
        if (!found) return tl::unexpected<Failure>(std::move(found).error());
        return give(*found, attributes);
    });
}
int ssi_fs_lstat(ssi_fs* fs, const char* path, ssi_fs_attributes* attributes) {
    return on_path(fs, path, [&](fs::FileSystem& system) -> Result<void> {
        auto found = system.lstat(path);
        if (!found) return tl::unexpected<Failure>(std::move(found).error());
        return give(*found, attributes);
    });
}
int ssi_fs_fstat(ssi_file* file, ssi_fs_attributes* attributes) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        auto found = open.stat();
        if (!found) return tl::unexpected<Failure>(std::move(found).error());
        return give(*found, attributes);
    });
}

int ssi_fs_access(ssi_fs* fs, const char* path, int mode) {
    return on_path(fs, path, [&](fs::FileSystem& system) { return system.access(path, mode); });
}
int ssi_fs_chmod(ssi_fs* fs, const char* path, uint32_t mode) {
    return change_path(fs, path, mode_change(mode), 0);
}
int ssi_fs_fchmod(ssi_file* file, uint32_t mode) { return change_file(file, mode_change(mode)); }
int ssi_fs_chown(ssi_fs* fs, const char* path, uint32_t uid, uint32_t gid, int flags) {
    return change_path(fs, path, owner_change(uid, gid), flags);
}
int ssi_fs_fchown(ssi_file* file, uint32_t uid, uint32_t gid) {
    return change_file(file, owner_change(uid, gid));
}
int ssi_fs_utimens(ssi_fs* fs, const char* path, int64_t access_ns, int64_t modify_ns, int flags) {
    return change_path(fs, path, time_change(access_ns, modify_ns), flags);
}
int ssi_fs_futimens(ssi_file* file, int64_t access_ns, int64_t modify_ns) {
    return change_file(file, time_change(access_ns, modify_ns));
}

int ssi_fs_truncate(ssi_fs* fs, const char* path, uint64_t length) {
    fs::AttributeChange change;
    change.size = length;
    return change_path(fs, path, change, 0);
}

int ssi_fs_set_striping(ssi_fs* fs, const char* path, const ssi_fs_striping* striping) {
    return on_path(fs, path, [&](fs::FileSystem& system) -> Result<void> {
        SSI_TRY(need(striping, "striping"));
        auto wanted = striping_of(*striping);
        if (!wanted) return tl::unexpected<Failure>(std::move(wanted).error());
        fs::AttributeChange change;
        change.striping = *wanted;
        return system.set_attributes(path, change);
    });
}

int ssi_fs_setxattr(ssi_fs* fs, const char* path, const char* name, const void* value,
                    size_t length, int flags, int follow_flags) {
    return on_xattr(fs, path, name, follow_flags,
                    [&](fs::FileSystem& system, bool follow) -> Result<void> {
        if (length != 0) SSI_TRY(need(value, "value"));
        return system.set_xattr(path, name, {static_cast<const std::byte*>(value), length}, flags,
                                follow);
    });
}

int ssi_fs_getxattr(ssi_fs* fs, const char* path, const char* name, void* value, size_t capacity,
                    size_t* length, int follow_flags) {
    return on_xattr(fs, path, name, follow_flags,
                    [&](fs::FileSystem& system, bool follow) -> Result<void> {
        auto found = system.get_xattr(path, name, follow);
        if (!found) return tl::unexpected<Failure>(std::move(found).error());
        return copy_value(*found, value, capacity, length, "the attribute");
    });
}

int ssi_fs_listxattr(ssi_fs* fs, const char* path, char* names, size_t capacity, size_t* length,
                     int follow_flags) {
    return on_xattr(fs, path, "", follow_flags,
                    [&](fs::FileSystem& system, bool follow) -> Result<void> {
        auto found = system.list_xattrs(path, follow);
        if (!found) return tl::unexpected<Failure>(std::move(found).error());
        std::string all;
        for (const std::string& name : *found) all.append(name).push_back('\0');
        return copy_value(std::as_bytes(std::span(all)), names, capacity, length, "the list");
    });
}

int ssi_fs_removexattr(ssi_fs* fs, const char* path, const char* name, int follow_flags) {
    return on_xattr(fs, path, name, follow_flags, [&](fs::FileSystem& system, bool follow) {
        return system.remove_xattr(path, name, follow);
    });
}
