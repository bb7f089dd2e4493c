// SPDX-License-Identifier: BSD-3-Clause
// kDFS for C: locks of files, and where their bytes are.
#include <algorithm>
#include <string>

#include "files_inside.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace {

static_assert(SSI_FS_PROCESS == fs::ByteLock::of_process);
static_assert(SSI_FS_THIS_OPEN == fs::ByteLock::of_this_open);

fs::LockKind kind_of(ssi_access access) {
    return access == SSI_READ ? fs::LockKind::shared : fs::LockKind::exclusive;
}
ssi_access access_of(fs::LockKind kind) {
    return kind == fs::LockKind::shared ? SSI_READ : SSI_WRITE;
}
fs::ByteLock bytes_of(ssi_fs_range range, ssi_access access = SSI_READ) {
    return {kind_of(access), range.offset, range.length, range.owner};
}

// What fits of `found`, each as `shown` has it, goes to `to`.
template <class From, class To, class Show>
Result<void> copy_list(const std::vector<From>& found, To* to, std::size_t capacity,
                       std::size_t* count, Show&& show) {
    *count = found.size();
    const std::size_t fits = std::min(found.size(), to ? capacity : 0);
    std::transform(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(fits), to, show);
    if (fits == found.size()) return {};
    return fail_errno(Errc::too_large, ERANGE,
                      "there are " + std::to_string(found.size()) + ", but there is room for " +
                          std::to_string(fits));
}

}  // namespace

int ssi_fs_lock(ssi_file* file, ssi_access access, ssi_fs_range range, int64_t timeout_ms) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        SSI_TRY(check_access(access));
        return open.lock(bytes_of(range, access), {.timeout = nanoseconds(timeout_ms)});
    });
}

int ssi_fs_unlock(ssi_file* file, ssi_fs_range range) {
    return on_file(file, [&](fs::File& open) { return open.unlock(bytes_of(range)); });
}

int ssi_fs_find_lock(ssi_file* file, ssi_access access, ssi_fs_range range,
                     ssi_fs_held_lock* found) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        SSI_TRY(need(found, "found"));
        SSI_TRY(check_access(access));
        return with(open.find_lock(bytes_of(range, access)), [&](const auto& lock) {
            *found = {SSI_NONE, 0, 0, SSI_NO_NODE, 0};
            if (lock)
                *found = {access_of(lock->kind), lock->offset, lock->length, lock->node.value,
                          lock->process};
        });
    });
}

int ssi_fs_flock(ssi_file* file, ssi_access access, int64_t timeout_ms) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        if (access == SSI_NONE) return open.unlock_whole();
        SSI_TRY(check_access(access));
        return open.lock_whole(kind_of(access), {.timeout = nanoseconds(timeout_ms)});
    });
}

int ssi_fs_extents(ssi_file* file, uint64_t offset, uint64_t length, ssi_fs_extent* extents,
                   size_t capacity, size_t* count) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        SSI_TRY(need(count, "count"));
        const auto found = open.extents(offset, length);
        if (!found) return tl::unexpected<Failure>(found.error());
        return copy_list(*found, extents, capacity, count, [](const fs::Extent& e) {
            return ssi_fs_extent{e.offset, e.length, e.volume, e.node.value, e.in_memory};
        });
    });
}

int ssi_fs_copies(ssi_file* file, uint64_t offset, uint64_t length, ssi_fs_copy* copies,
                  size_t capacity, size_t* count) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        SSI_TRY(need(count, "count"));
        const auto found = open.copies(offset, length);
        if (!found) return tl::unexpected<Failure>(found.error());
        return copy_list(*found, copies, capacity, count, [](const fs::Copy& c) {
            return ssi_fs_copy{c.offset, c.length, c.node.value};
        });
    });
}
