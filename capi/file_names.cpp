// SPDX-License-Identifier: BSD-3-Clause
// kDFS for C: names and directories.
#include <cstring>
#include <mutex>

#include "files_inside.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

constexpr std::size_t entries_at_once = 1024;

// Of an entry that is there; those of one that was removed meanwhile are empty.
const ssi_fs_attributes* attributes_of(ssi_dir& directory, const fs::DirectoryEntry& entry) {
    if (!directory.attributes || entry.attributes.inode == 0) return nullptr;
    directory.shown_attributes.size = sizeof(ssi_fs_attributes);
    fill(directory.shown_attributes, entry.attributes);
    return &directory.shown_attributes;
}

int two_paths(ssi_fs* fs, const char* from, const char* to, auto&& body) noexcept {
    return file_call([&]() -> Result<void> {
        SSI_TRY(need(fs, "fs"));
        SSI_TRY(need(from, "the first path"));
        SSI_TRY(need(to, "the second path"));
        return body(*fs->system);
    });
}

}  // namespace

int ssi_fs_mkdir(ssi_fs* fs, const char* path, uint32_t mode) {
    return on_path(fs, path,
                   [&](fs::FileSystem& system) { return system.make_directory(path, mode); });
}
int ssi_fs_rmdir(ssi_fs* fs, const char* path) {
    return on_path(fs, path, [&](fs::FileSystem& system) { return system.remove_directory(path); });
}
int ssi_fs_unlink(ssi_fs* fs, const char* path) {
    return on_path(fs, path, [&](fs::FileSystem& system) { return system.unlink(path); });
}
int ssi_fs_rename(ssi_fs* fs, const char* from, const char* to, unsigned flags) {
    return two_paths(fs, from, to, [&](fs::FileSystem& s) { return s.rename(from, to, flags); });
}
int ssi_fs_link(ssi_fs* fs, const char* from, const char* to) {
    return two_paths(fs, from, to, [&](fs::FileSystem& system) { return system.link(from, to); });
}
int ssi_fs_symlink(ssi_fs* fs, const char* target, const char* path) {
    return two_paths(fs, target, path,
                     [&](fs::FileSystem& system) { return system.symlink(target, path); });
}

int ssi_fs_readlink(ssi_fs* fs, const char* path, char* target, size_t capacity, size_t* length) {
    return on_path(fs, path, [&](fs::FileSystem& system) -> Result<void> {
        const auto found = system.read_link(path);
        if (!found) return tl::unexpected<Failure>(found.error());
        if (length) *length = found->size();
        if (!target || found->size() + 1 > capacity)
            return fail_errno(Errc::too_large, ERANGE,
                              std::string(path) + ": the target has " +
                                  std::to_string(found->size()) + " bytes and a 0");
        std::memcpy(target, found->c_str(), found->size() + 1);
        return {};
    });
}

int ssi_fs_sync_path(ssi_fs* fs, const char* path) {
    return on_path(fs, path, [&](fs::FileSystem& system) { return system.sync(path); });
}

int ssi_fs_opendir(ssi_fs* fs, const char* path, int flags, ssi_dir** directory) {
    if (directory) *directory = nullptr;
    return on_path(fs, path, [&](fs::FileSystem& system) -> Result<void> {
        SSI_TRY(need(directory, "directory"));
        if (flags & ~(SSI_FS_WITH_ATTRIBUTES | SSI_FS_NOFOLLOW))
            return fail(Errc::invalid_argument,
                        "flags has more than SSI_FS_WITH_ATTRIBUTES and SSI_FS_NOFOLLOW");
        const int follow = flags & SSI_FS_NOFOLLOW ? O_NOFOLLOW : 0;
        auto opened = system.open(path, O_RDONLY | O_DIRECTORY | follow);
        if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
        auto handle = std::make_unique<ssi_dir>();
        handle->directory = std::move(*opened);
        handle->fs = fs;
        handle->attributes = flags & SSI_FS_WITH_ATTRIBUTES;
        std::lock_guard lock(fs->mutex);
        const auto place = fs->directories.insert(fs->directories.end(), std::move(handle));
        (*place)->place = place;
        *directory = place->get();
        return {};
    });
}

int ssi_fs_readdir(ssi_dir* directory, const ssi_fs_entry** entry) {
    if (entry) *entry = nullptr;
    return file_call([&]() -> Result<void> {
        SSI_TRY(need(directory, "directory"));
        SSI_TRY(need(entry, "entry"));
        ssi_dir& d = *directory;
        if (d.next == d.entries.size()) {
            auto more = d.directory.list(d.cookie, entries_at_once, d.attributes);
            if (!more) return tl::unexpected<Failure>(std::move(more).error());
            d.entries = std::move(*more);
            d.next = 0;
            if (d.entries.empty()) return {};
            d.cookie = d.entries.back().cookie;
        }
        const fs::DirectoryEntry& one = d.entries[d.next++];
        d.shown = {one.name.c_str(), one.inode, one.type, one.cookie, attributes_of(d, one)};
        *entry = &d.shown;
        return {};
    });
}

int ssi_fs_seekdir(ssi_dir* directory, uint64_t cookie) {
    return file_call([&]() -> Result<void> {
        SSI_TRY(need(directory, "directory"));
        directory->entries.clear();
        directory->next = 0;
        directory->cookie = cookie;
        return {};
    });
}

int ssi_fs_closedir(ssi_dir* directory) {
    if (!directory) return SSI_OK;
    return file_call([&]() -> Result<void> {
        Result<void> closed = directory->directory.close();
        std::unique_ptr<ssi_dir> owned;
        std::lock_guard lock(directory->fs->mutex);
        owned = std::move(*directory->place);
        owned->fs->directories.erase(owned->place);
        return closed;
    });
}
