// SPDX-License-Identifier: BSD-3-Clause
// kDFS for C: mounting, files, their bytes.
#include <algorithm>
#include <mutex>
#include <span>

#include "files_inside.hpp"
#include "future_inside.hpp"
#include "grown.hpp"

using namespace ssi;
using namespace ssi::capi;

namespace ssi::capi {
namespace {

constexpr std::size_t least_options = sizeof(ssi_fs_options);
constexpr std::size_t most_groups = 65536;
constexpr int most_buffers = 1024;

Result<void> unmount(ssi_fs& mounted) {
    mounted.files.clear();
    mounted.directories.clear();
    Result<void> closed = mounted.system->close();
    mounted.system.reset();
    return closed;
}

Result<fs::Options> options_of(const ssi_fs_options* given) {
    ssi_fs_options o = SSI_FS_OPTIONS_INIT;
    SSI_TRY(read_grown(given, least_options, o, "ssi_fs_options"));
    if (o.directory_count != 0) SSI_TRY(need(o.directories, "directories"));
    fs::Options options;
    for (const char* directory : std::span(o.directories, o.directory_count)) {
        SSI_TRY(need(directory, "a directory"));
        options.volumes.directories.emplace_back(directory);
    }
    options.volumes.limit_bytes = o.limit_bytes;
    options.cache_bytes = o.cache_bytes;
    options.commit_ms = o.commit_ms;
    options.write_back_ms = o.write_back_ms;
    return options;
}

Result<void> check_buffer(const void* buffer, std::size_t length, const char* name) {
    return length == 0 ? Result<void>{} : need(buffer, name);
}
std::span<std::byte> room(void* buffer, std::size_t length) {
    return {static_cast<std::byte*>(buffer), length};
}
std::span<const std::byte> bytes(const void* buffer, std::size_t length) {
    return {static_cast<const std::byte*>(buffer), length};
}

// `Span` is a span of bytes, const or not.
template <class Span, class Byte>
Result<std::vector<Span>> spans_of(const iovec* buffers, int count) {
    if (count < 0 || count > most_buffers)
        return fail(Errc::invalid_argument, "count is not 0 to 1024");
    SSI_TRY(check_buffer(buffers, static_cast<std::size_t>(count), "buffers"));
    std::vector<Span> spans;
    for (const iovec& one : std::span(buffers, static_cast<std::size_t>(count))) {
        SSI_TRY(check_buffer(one.iov_base, one.iov_len, "a buffer"));
        spans.emplace_back(static_cast<Byte*>(one.iov_base), one.iov_len);
    }
    return spans;
}

Result<void> give_done(Result<std::size_t>&& done, std::size_t* to) {
    return with(std::move(done), [&](std::size_t length) {
        if (to) *to = length;
    });
}

// `start(file)` returns the Pending of a number.
template <class Start>
int begin(ssi_file* file, ssi_future** future, Start&& start) noexcept {
    if (future) *future = nullptr;
    return file_call([&]() -> Result<void> {
        SSI_TRY(need(file, "file"));
        SSI_TRY(need(future, "future"));
        auto made = std::make_unique<ssi_future>();
        made->future = Future<std::uint64_t>(
            start(file->file), [](kddm::Pending& pending) { return pending.take_number(); });
        made->kind = kddm::NumberKind::uint64;
        *future = made.release();
        return {};
    });
}

int open_file(ssi_fs* fs, const char* path, int flags, uint32_t mode,
              const ssi_fs_striping* striping, ssi_file** file) noexcept {
    if (file) *file = nullptr;
    return on_path(fs, path, [&](fs::FileSystem& system) -> Result<void> {
        SSI_TRY(need(file, "file"));
        auto stripes = striping ? striping_of(*striping) : fs::Striping{};
        if (!stripes) return tl::unexpected<Failure>(std::move(stripes).error());
        auto opened = system.open(path, flags, mode, *stripes);
        if (!opened) return tl::unexpected<Failure>(std::move(opened).error());
        *file = adopt(*fs, std::move(*opened));
        return {};
    });
}

}  // namespace

ssi_file* adopt(ssi_fs& fs, fs::File&& file) {
    auto handle = std::make_unique<ssi_file>(std::move(file), &fs);
    std::lock_guard lock(fs.mutex);
    const auto place = fs.files.insert(fs.files.end(), std::move(handle));
    (*place)->place = place;
    return place->get();
}

int errno_of(int error) noexcept {
    if (const int said = ssi_last_error_errno(); said != 0) return said;
    switch (error) {
        case SSI_ERR_INVALID_ARGUMENT: case SSI_ERR_MISMATCH: return EINVAL;
        case SSI_ERR_NOT_FOUND: return ENOENT;
        case SSI_ERR_EXISTS: return EEXIST;
        case SSI_ERR_TOO_LARGE: return ERANGE;
        case SSI_ERR_OUT_OF_MEMORY: return ENOMEM;
        case SSI_ERR_WOULD_BLOCK: case SSI_ERR_TIMED_OUT: return EAGAIN;
        case SSI_ERR_DEADLOCK: return EDEADLK;
        case SSI_ERR_CANCELLED: return ECANCELED;
        case SSI_ERR_UNSUPPORTED: return EOPNOTSUPP;
        default: return EIO;
    }
}

Result<void> unmount_all(ssi_session& session) {
    Result<void> result;
    while (!session.systems.empty()) {
        const std::shared_ptr<ssi_fs> last = std::move(session.systems.back());
        session.systems.pop_back();
        Result<void> done = unmount(*last);
        if (result) result = std::move(done);
    }
    return result;
}

}  // namespace ssi::capi

int ssi_fs_mount(ssi_session* session, const ssi_fs_options* options, ssi_fs** fs) {
    if (fs) *fs = nullptr;
    return file_call([&]() -> Result<void> {
        SSI_TRY(need(session, "session"));
        SSI_TRY(need(options, "options"));
        SSI_TRY(need(fs, "fs"));
        auto wanted = options_of(options);
        if (!wanted) return tl::unexpected<Failure>(std::move(wanted).error());
        auto mounted = fs::FileSystem::mount(session->session, std::move(*wanted));
        if (!mounted) return tl::unexpected<Failure>(std::move(mounted).error());
        auto handle = std::make_shared<ssi_fs>();
        handle->session = session;
        handle->system = std::move(*mounted);
        *fs = handle.get();
        std::lock_guard lock(session->mutex);
        session->systems.push_back(std::move(handle));
        return {};
    });
}

int ssi_fs_unmount(ssi_fs* fs) {
    if (!fs) return SSI_OK;
    return file_call([&]() -> Result<void> {
        std::shared_ptr<ssi_fs> owned;
        {
            std::lock_guard lock(fs->session->mutex);
            auto& systems = fs->session->systems;
            const auto found = std::ranges::find(systems, fs, &std::shared_ptr<ssi_fs>::get);
            owned = std::move(*found);
            systems.erase(found);
        }
        return unmount(*owned);
    });
}

int ssi_fs_sync(ssi_fs* fs) {
    return on_fs(fs, [](fs::FileSystem& system) { return system.sync(); });
}

int ssi_fs_set_credentials(ssi_fs* fs, uint32_t uid, uint32_t gid, const uint32_t* groups,
                           size_t group_count, uint32_t umask) {
    return on_fs(fs, [&](fs::FileSystem& system) -> Result<void> {
        SSI_TRY(check_buffer(groups, group_count, "groups"));
        if (group_count > most_groups)
            return fail(Errc::invalid_argument, "more than 65536 groups");
        system.set_credentials({uid, gid, {groups, groups + group_count}, umask & 0777});
        return {};
    });
}

int ssi_fs_statfs(ssi_fs* fs, ssi_fs_space* space) {
    return on_fs(fs, [&](fs::FileSystem& system) -> Result<void> {
        SSI_TRY(need(space, "space"));
        return with(system.space(), [&](const fs::Space& s) {
            *space = {s.total_bytes, s.free_bytes, s.inodes};
        });
    });
}

int ssi_fs_check(ssi_fs* fs, int repair, uint64_t* problems, uint64_t* repaired) {
    return on_fs(fs, [&](fs::FileSystem& system) -> Result<void> {
        return with(system.check(repair != 0), [&](const fs::CheckReport& report) {
            if (problems) *problems = report.problems;
            if (repaired) *repaired = report.repaired;
        });
    });
}

int ssi_fs_drop_caches(ssi_fs* fs) {
    return on_fs(fs, [](fs::FileSystem& system) { return system.drop_caches(); });
}

int ssi_fs_open(ssi_fs* fs, const char* path, int flags, uint32_t mode, ssi_file** file) {
    return open_file(fs, path, flags, mode, nullptr, file);
}

int ssi_fs_open_striped(ssi_fs* fs, const char* path, int flags, uint32_t mode,
                        const ssi_fs_striping* striping, ssi_file** file) {
    return open_file(fs, path, flags, mode, striping, file);
}

int ssi_fs_close(ssi_file* file) {
    if (!file) return SSI_OK;
    return file_call([&]() -> Result<void> {
        Result<void> closed = file->file.close();   // nobody is inside afterwards
        std::unique_ptr<ssi_file> owned;
        std::lock_guard lock(file->fs->mutex);
        owned = std::move(*file->place);
        owned->fs->files.erase(owned->place);
        return closed;
    });
}

int ssi_fs_pread(ssi_file* file, void* buffer, size_t length, uint64_t offset, size_t* done) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        SSI_TRY(check_buffer(buffer, length, "buffer"));
        return give_done(open.pread(room(buffer, length), offset), done);
    });
}

int ssi_fs_preadv(ssi_file* file, const struct iovec* buffers, int count, uint64_t offset,
                  size_t* done) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        auto spans = spans_of<std::span<std::byte>, std::byte>(buffers, count);
        if (!spans) return tl::unexpected<Failure>(std::move(spans).error());
        return give_done(open.preadv(*spans, offset), done);
    });
}

int ssi_fs_pwrite(ssi_file* file, const void* buffer, size_t length, uint64_t offset) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        SSI_TRY(check_buffer(buffer, length, "bytes"));
        return give_done(open.pwrite(bytes(buffer, length), offset), nullptr);
    });
}

int ssi_fs_pwritev(ssi_file* file, const struct iovec* buffers, int count, uint64_t offset) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        auto spans = spans_of<std::span<const std::byte>, const std::byte>(buffers, count);
        if (!spans) return tl::unexpected<Failure>(std::move(spans).error());
        return give_done(open.pwritev(*spans, offset), nullptr);
    });
}

int ssi_fs_fsync(ssi_file* file) {
    return on_file(file, [](fs::File& open) { return open.sync(); });
}
int ssi_fs_ftruncate(ssi_file* file, uint64_t length) {
    return on_file(file, [&](fs::File& open) { return open.truncate(length); });
}
int ssi_fs_fallocate(ssi_file* file, int mode, uint64_t offset, uint64_t length) {
    return on_file(file, [&](fs::File& open) { return open.allocate(mode, offset, length); });
}

int ssi_fs_next_data(ssi_file* file, uint64_t offset, uint64_t* found) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        SSI_TRY(need(found, "found"));
        return with(open.next_data(offset), [&](std::uint64_t at) { *found = at; });
    });
}
int ssi_fs_next_hole(ssi_file* file, uint64_t offset, uint64_t* found) {
    return on_file(file, [&](fs::File& open) -> Result<void> {
        SSI_TRY(need(found, "found"));
        return with(open.next_hole(offset), [&](std::uint64_t at) { *found = at; });
    });
}

int ssi_fs_pread_async(ssi_file* file, void* buffer, size_t length, uint64_t offset,
                       ssi_future** future) {
    if (length != 0 && !buffer) return file_call([] { return need(nullptr, "buffer"); });
    return begin(file, future, [&](fs::File& open) {
        return open.read_async(room(buffer, length), offset).release();
    });
}

int ssi_fs_pwrite_async(ssi_file* file, const void* buffer, size_t length, uint64_t offset,
                        ssi_future** future) {
    if (length != 0 && !buffer) return file_call([] { return need(nullptr, "bytes"); });
    return begin(file, future, [&](fs::File& open) {
        return open.write_async(bytes(buffer, length), offset).release();
    });
}

int ssi_fs_fsync_async(ssi_file* file, ssi_future** future) {
    return begin(file, future, [](fs::File& open) { return open.sync_async().release(); });
}
