// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/io/file_system.hpp"

#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <mutex>

#include "file_open.hpp"
#include "remote_service.hpp"
#include "ssi/kddm/session.hpp"

namespace ssi::fs {

Credentials Credentials::of_process() {
    Credentials who;
    who.uid = ::geteuid();
    who.gid = ::getegid();
    if (const int count = ::getgroups(0, nullptr); count > 0) {
        who.groups.resize(static_cast<std::size_t>(count));
        const int got = ::getgroups(count, who.groups.data());
        who.groups.resize(static_cast<std::size_t>(std::max(got, 0)));
    }
    const mode_t mask = ::umask(0);   // there is no way to look without touching
    ::umask(mask);
    who.umask = mask;
    return who;
}

// -- FileSystem

namespace {

// The path as part of what is said, and alone where that was about a name in it.
template <class T>
Result<T> about(std::string_view path, Result<T> result) {
    if (result) return result;
    std::string& text = result.error().text;
    if (!text.empty() && path.ends_with(text))
        text = path;
    else if (text.find(path) == std::string::npos)
        text = std::string(path) + ": " + text;
    return result;
}

}  // namespace

struct FileSystem::Handle {
    std::shared_ptr<Core> core;
    std::shared_ptr<Identity> identity = std::make_shared<Identity>(Credentials::of_process());
    std::shared_ptr<const Credentials> credentials() const { return identity->get(); }
    std::unique_ptr<RemoteService> remote;   // acts by the core, on behalf of the node's user
};

FileSystem::FileSystem(std::unique_ptr<Handle> handle) : handle_(std::move(handle)) {}
FileSystem::~FileSystem() = default;

Result<std::unique_ptr<FileSystem>> FileSystem::mount(Session& session, Options options) {
    return mount(session.internal_node(), session.internal_engine(), std::move(options));
}

Result<std::unique_ptr<FileSystem>> FileSystem::mount(node::Node& node, kddm::Engine& engine,
                                                      Options options) {
    auto directories = options.volumes.directories;
    auto core = Core::mount(node, engine, std::move(options));
    if (!core) return tl::unexpected<Failure>(std::move(core).error());
    const std::shared_ptr<Core> shared = std::move(*core);
    const auto make = [&] {
        auto handle = std::make_unique<Handle>();
        handle->core = shared;
        return std::unique_ptr<FileSystem>(new FileSystem(std::move(handle)));
    };
    auto made = make();
    made->handle_->remote =
        std::make_unique<RemoteService>(node, make(), std::move(directories));
    return made;
}

Core& FileSystem::core() { return *handle_->core; }
void FileSystem::set_credentials(Credentials credentials) {
    handle_->identity->set(std::move(credentials));
}
const io::Volumes& FileSystem::volumes() const { return handle_->core->volumes(); }

namespace {

constexpr int most_tries = 1000;   // to get at what is replaced all the while

// What is wrong whatever the path leads to.
Result<void> check_xattr_name(std::string_view name) {
    if (name.empty()) return refuse(ERANGE, "an attribute without a name");
    if (name.size() > most_name_bytes) return refuse(ERANGE, "an attribute's name above 255 bytes");
    return {};
}

}  // namespace

// What a path leads to, opened or made; `made` tells which.
Result<Place> FileSystem::open_place(const Credentials& who, std::string_view path, int flags,
                                     std::uint32_t mode, const Striping& striping,
                                     VolumeList& volumes, bool& made) {
    made = false;
    if (!(flags & O_CREAT)) {
        auto place = core().resolve(who, path, !(flags & O_NOFOLLOW), &volumes);
        if (!place) return place;
        if (flags & O_DIRECTORY && !place->is_directory()) return refuse(ENOTDIR, path);
        if (place->is_symlink()) return refuse(ELOOP, path);
        return place;
    }
    if (flags & O_DIRECTORY) return refuse(EINVAL, "O_CREAT with O_DIRECTORY");
    auto parent = core().resolve_parent(who, path, !(flags & (O_EXCL | O_NOFOLLOW)));
    if (!parent) return tl::unexpected<Failure>(std::move(parent).error());
    volumes = parent->volumes;
    if (parent->last != LastName::plain) return refuse(flags & O_EXCL ? EEXIST : EISDIR, path);
    if (parent->slash) return refuse(EISDIR, path);
    auto place = core().create(*parent, who, mode, striping, flags & O_EXCL, &made, &volumes);
    if (!place) return place;
    if (place->is_symlink()) return refuse(ELOOP, path);
    if (place->is_directory()) return refuse(EISDIR, path);
    return place;
}

Result<File> FileSystem::open(std::string_view path, int flags, std::uint32_t mode,
                              const Striping& striping) {
    return about(path, open_file(path, flags, mode, striping));
}

Result<File> FileSystem::open_file(std::string_view path, int flags, std::uint32_t mode,
                                   const Striping& striping) {
    const auto who = handle_->credentials();
    const int access = flags & O_ACCMODE;
    if (access == O_ACCMODE) return refuse(EINVAL, "access mode of open");
    for (int tries = 0;; ++tries) {
        VolumeList volumes;
        bool made = false;
        auto place = open_place(*who, path, flags, mode, striping, volumes, made);
        if (!place) return tl::unexpected<Failure>(std::move(place).error());
        const bool writes = access != O_RDONLY || flags & O_TRUNC;
        if (place->is_directory() && writes) return refuse(EISDIR, path);
        if (!made && who->uid != 0)
            SSI_TRY(core().require(place->inode, *who,
                                   (access != O_WRONLY ? R_OK : 0) | (writes ? W_OK : 0)));
        if (auto opened = made ? Result<void>{} : core().opened(place->inode); !opened) {
            // Removed or replaced between: the name may lead to another by now.
            if (opened.error().sys_errno == ENOENT && tries < most_tries) continue;
            return tl::unexpected<Failure>(std::move(opened).error());
        }
        auto open = std::make_unique<File::Open>(core(), place->inode);
        open->number = core().next_open();
        open->path = path;
        open->flags = flags;
        open->directory = place->is_directory();
        open->identity = handle_->identity;
        open->volumes = std::move(volumes);
        File file(std::move(open));
        if (flags & O_TRUNC && !made) SSI_TRY(core().truncate(place->inode, 0, *who));
        return file;
    }
}

template <class F>
auto FileSystem::with(std::string_view path, bool follow, F&& f)
    -> decltype(f(std::declval<const Credentials&>(), std::declval<Place>())) {
    const auto who = handle_->credentials();
    auto place = core().resolve(*who, path, follow);
    if (!place) return about(path, decltype(f(*who, *place))(
                                       tl::unexpected<Failure>(std::move(place).error())));
    for (int tries = 0;; ++tries) {
        auto result = f(*who, *place);
        if (result || result.error().sys_errno != ENOENT || tries == most_tries)
            return about(path, std::move(result));
        // A rename may have replaced it meanwhile: there always was something of that name.
        auto now = core().resolve(*who, path, follow);
        if (!now || now->inode == place->inode) return about(path, std::move(result));
        place = std::move(now);
    }
}

template <class F>
Result<void> FileSystem::at(std::string_view path, F&& f) {
    const auto who = handle_->credentials();
    auto parent = core().resolve_parent(*who, path);
    if (!parent)
        return about(path, Result<void>(tl::unexpected<Failure>(std::move(parent).error())));
    return about(path, f(*who, *parent));
}

Result<Attributes> FileSystem::stat(std::string_view path) {
    return with(path, true, [&](auto&, Place place) { return core().stat(place.inode); });
}
Result<Attributes> FileSystem::lstat(std::string_view path) {
    return with(path, false, [&](auto&, Place place) { return core().stat(place.inode); });
}
Result<void> FileSystem::set_attributes(std::string_view path, const AttributeChange& change,
                                        bool follow) {
    if (change.size && *change.size > INT64_MAX) return refuse(EINVAL, "a negative size");
    return with(path, follow, [&](auto& who, Place place) {
        return core().set_attributes(place.inode, change, who);
    });
}
Result<void> FileSystem::make_directory(std::string_view path, std::uint32_t mode) {
    return at(path, [&](auto& who, Parent& p) { return core().make_directory(p, who, mode); });
}
Result<void> FileSystem::remove_directory(std::string_view path) {
    return at(path, [&](auto& who, Parent& p) { return core().remove_directory(p, who); });
}
Result<void> FileSystem::unlink(std::string_view path) {
    return at(path, [&](auto& who, Parent& p) { return core().unlink(p, who); });
}
Result<void> FileSystem::symlink(std::string_view target, std::string_view path) {
    if (target.empty()) return refuse(ENOENT, "an empty target");
    if (target.size() >= most_path_bytes) return refuse(ENAMETOOLONG, "the target");
    return at(path, [&](auto& who, Parent& p) { return core().symlink(p, who, target); });
}

Result<void> FileSystem::rename(std::string_view from, std::string_view to, unsigned flags) {
    return at(from, [&](auto& who, Parent& source) -> Result<void> {
        auto target = core().resolve_parent(who, to);
        if (!target) return tl::unexpected<Failure>(std::move(target).error());
        SSI_TRY(core().commit_way(source, *target));
        return core().rename(source, *target, who, flags);
    });
}

Result<void> FileSystem::link(std::string_view from, std::string_view to) {
    return with(from, false, [&](auto& who, Place place) -> Result<void> {
        auto target = core().resolve_parent(who, to);
        if (!target) return tl::unexpected<Failure>(std::move(target).error());
        return core().link(place, *target, who);
    });
}

Result<std::string> FileSystem::read_link(std::string_view path) {
    return with(path, false, [&](auto&, Place place) -> Result<std::string> {
        if (!place.is_symlink()) return refuse(EINVAL, "no symbolic link");
        return core().read_link(place.inode);
    });
}

Result<void> FileSystem::access(std::string_view path, int mode) {
    if (mode & ~(R_OK | W_OK | X_OK)) return refuse(EINVAL, "mode of access");
    return with(path, true, [&](auto& who, Place place) -> Result<void> {
        return core().require(place.inode, who, mode);
    });
}

Result<std::vector<DirectoryEntry>> FileSystem::list(std::string_view path, std::uint64_t cookie,
                                                     std::size_t most, bool attributes) {
    return with(path, true, [&](auto& who, Place place) -> Result<std::vector<DirectoryEntry>> {
        if (!place.is_directory()) return refuse(ENOTDIR, path);
        SSI_TRY(core().require(place.inode, who, R_OK));
        return core().list(place.inode, cookie, most, attributes);
    });
}

Result<void> FileSystem::set_xattr(std::string_view path, std::string_view name,
                                   std::span<const std::byte> value, int flags, bool follow) {
    if (flags & ~(XATTR_CREATE | XATTR_REPLACE)) return refuse(EINVAL, "flags of setxattr");
    SSI_TRY(check_xattr_name(name));
    if (value.size() > most_xattr_bytes) return refuse(E2BIG, name);
    return with(path, follow, [&](auto& who, Place place) {
        return core().set_xattr(place.inode, who, name, value, flags);
    });
}
Result<std::vector<std::byte>> FileSystem::get_xattr(std::string_view path, std::string_view name,
                                                     bool follow) {
    if (auto checked = check_xattr_name(name); !checked)
        return tl::unexpected<Failure>(std::move(checked).error());
    return with(path, follow, [&](auto& who, Place place) {
        return core().get_xattr(place.inode, who, name);
    });
}
Result<std::vector<std::string>> FileSystem::list_xattrs(std::string_view path, bool follow) {
    return with(path, follow,
                [&](auto&, Place place) { return core().list_xattrs(place.inode); });
}
Result<void> FileSystem::remove_xattr(std::string_view path, std::string_view name, bool follow) {
    SSI_TRY(check_xattr_name(name));
    return with(path, follow, [&](auto& who, Place place) {
        return core().remove_xattr(place.inode, who, name);
    });
}

Result<void> FileSystem::sync(std::string_view path) {
    const auto who = handle_->credentials();
    VolumeList volumes;
    auto place = core().resolve(*who, path, false, &volumes);
    if (!place) return about(path, Result<void>(tl::unexpected<Failure>(place.error())));
    return about(path, core().sync(place->inode, volumes));
}
Result<void> FileSystem::sync() { return core().sync_all(); }
Result<Space> FileSystem::space() { return core().space(); }
Result<void> FileSystem::drop_caches() { return core().pages().drop_caches(); }
Result<CheckReport> FileSystem::check(bool repair) { return core().run_check(repair, false); }
Result<CheckReport> FileSystem::check_in_use(const std::atomic<bool>& stop) {
    return core().look(stop);
}
Result<void> FileSystem::close() {
    handle_->remote.reset();
    return core().close();
}

}  // namespace ssi::fs
