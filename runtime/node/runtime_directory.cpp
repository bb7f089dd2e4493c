// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/runtime_directory.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "ssi/node/contact.hpp"
#include "identity.hpp"
#include "ssi/base/ids.hpp"
#include "ssi/base/random.hpp"

namespace ssi::node {
namespace {

constexpr mode_t others = 0077;

struct Candidate {
    std::string path;
    bool chosen;  // by the setting: no other will do
};

std::vector<Candidate> candidates(const Config& config) {
    if (const std::string& set = config.text("control.directory"); !set.empty())
        return {{set, true}};
    std::vector<Candidate> out;
    const auto variable = [](const char* name) -> std::string {
        const char* value = std::getenv(name);
        return value && *value == '/' ? value : "";
    };
    const std::string own = fmt::format("/ssi-{}", ::geteuid());
    if (const auto run = variable("XDG_RUNTIME_DIR"); !run.empty())
        out.push_back({run + "/ssi", false});
    if (const auto tmp = variable("TMPDIR"); !tmp.empty()) out.push_back({tmp + own, false});
    if (out.empty() || out.back().path != "/tmp" + own) out.push_back({"/tmp" + own, false});
    return out;
}

// Eight hexadecimal digits that stand for this host in file names.
std::string host_tag() {
    std::uint64_t hash = 0;
    for (const char c : host_name()) hash = mix64(hash ^ static_cast<unsigned char>(c));
    return fmt::format("{:08x}", static_cast<std::uint32_t>(hash));
}

bool maker_is_gone(std::string_view name) {
    const auto dash = name.find('-');
    pid_t pid = 0;
    if (dash == name.npos) return false;
    std::from_chars(name.data() + dash + 1, name.data() + name.size(), pid);
    return pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH;
}

}  // namespace

Result<RuntimeDirectory> RuntimeDirectory::open_path(const std::string& path, bool make) {
    if (make && ::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
        return fail_errno(Errc::io, errno, fmt::format("cannot make the directory {}", path));
    OwnedFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return fail_errno(Errc::io, errno, fmt::format("cannot open the directory {}", path));
    struct stat status{};
    if (::fstat(fd.get(), &status) != 0)
        return fail_errno(Errc::io, errno, fmt::format("cannot look at {}", path));
    if (status.st_uid != ::geteuid())
        return fail(Errc::io, fmt::format("the directory {} belongs to user {}, not to {}", path,
                                          status.st_uid, ::geteuid()));
    if (status.st_mode & others)
        return fail(Errc::io, fmt::format("the directory {} is open to other users: chmod 700",
                                          path));
    if (make && ::faccessat(fd.get(), ".", W_OK | X_OK, AT_EACCESS) != 0)
        return fail_errno(Errc::io, errno, fmt::format("cannot write into {}", path));
    return RuntimeDirectory(path, std::move(fd));
}

Result<RuntimeDirectory> RuntimeDirectory::open(const Config& config) {
    std::string why;
    for (const Candidate& candidate : candidates(config)) {
        auto opened = open_path(candidate.path, true);
        if (opened || candidate.chosen) return opened;
        why += (why.empty() ? "" : "; ") + opened.error().to_string();
    }
    return fail(Errc::io, "no directory for control sockets: " + why);
}

std::vector<RuntimeDirectory> RuntimeDirectory::existing(const Config& config) {
    std::vector<RuntimeDirectory> out;
    for (const Candidate& candidate : candidates(config))
        if (auto opened = open_path(candidate.path, false)) out.push_back(std::move(*opened));
    return out;
}

std::string RuntimeDirectory::fresh_name() {
    return fmt::format("{}-{}-{:08x}", host_tag(), ::getpid(),
                       static_cast<std::uint32_t>(Random::seed_from_system()));
}

std::vector<std::string> RuntimeDirectory::names(std::string_view suffix) const {
    std::vector<std::string> out;
    const int copy = ::openat(fd_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* entries = copy >= 0 ? ::fdopendir(copy) : nullptr;
    if (!entries) return out;
    const std::string prefix = host_tag() + "-";
    while (const dirent* entry = ::readdir(entries)) {
        const std::string_view name = entry->d_name;
        if (name.starts_with(prefix) && name.ends_with(suffix)) out.emplace_back(name);
    }
    ::closedir(entries);
    std::sort(out.begin(), out.end());
    return out;
}

Result<void> RuntimeDirectory::write(const std::string& name, std::string_view text) const {
    const std::string beside = name + ".part";
    OwnedFd file(::openat(fd_.get(), beside.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file)
        return fail_errno(Errc::io, errno, fmt::format("cannot make {}", path_of(beside)));
    for (std::size_t done = 0; done < text.size();) {
        const auto n = ::write(file.get(), text.data() + done, text.size() - done);
        if (n > 0) done += static_cast<std::size_t>(n);
        if (n >= 0 || errno == EINTR) continue;
        const int error = errno;
        remove(beside);
        return fail_errno(Errc::io, error, fmt::format("cannot write {}", path_of(beside)));
    }
    if (::renameat(fd_.get(), beside.c_str(), fd_.get(), name.c_str()) == 0) return {};
    const int error = errno;
    remove(beside);
    return fail_errno(Errc::io, error, fmt::format("cannot rename {}", path_of(beside)));
}

Result<std::string> RuntimeDirectory::read(const std::string& name, std::size_t limit) const {
    OwnedFd file(::openat(fd_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status{};
    if (!file || ::fstat(file.get(), &status) != 0)
        return fail_errno(Errc::io, errno, fmt::format("cannot read {}", path_of(name)));
    if (!S_ISREG(status.st_mode) || status.st_uid != ::geteuid() || status.st_mode & others)
        return fail(Errc::io, fmt::format("{} is not a file of this user alone", path_of(name)));
    if (static_cast<std::uint64_t>(status.st_size) > limit)
        return fail(Errc::too_large, fmt::format("{} has {} bytes", path_of(name), status.st_size));
    std::string text(static_cast<std::size_t>(status.st_size), '\0');
    const auto got = ::pread(file.get(), text.data(), text.size(), 0);
    if (got != static_cast<ssize_t>(text.size()))
        return fail_errno(Errc::io, errno, fmt::format("cannot read {}", path_of(name)));
    return text;
}

void RuntimeDirectory::remove(const std::string& name) const {
    ::unlinkat(fd_.get(), name.c_str(), 0);
}

int RuntimeDirectory::clean() const {
    int removed = 0;
    const auto drop = [&](const std::string& name) {
        removed += ::unlinkat(fd_.get(), name.c_str(), 0) == 0;
    };
    for (const std::string& name : names(".sock"))
        if (!is_listened_to(path_of(name))) drop(name);
    // These are somebody's for an instant only, so the process is asked for, not the socket.
    for (const char* suffix : {".new", ".part"})
        for (const std::string& name : names(suffix))
            if (maker_is_gone(name)) drop(name);
    for (const std::string& name : names(contact_suffix)) {
        const auto contact = read_contact(*this, name);
        if (contact && !is_running(*contact)) drop(name);
        if (!contact && maker_is_gone(name)) drop(name);
    }
    return removed;
}

Result<SocketAddress> SocketAddress::of(const std::string& path) {
    const auto slash = path.rfind('/');
    const std::string folder = slash == path.npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
    SocketAddress out;
    out.folder_.reset(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!out.folder_) return fail_errno(Errc::io, errno, fmt::format("cannot reach {}", path));
    out.text_ = fmt::format("/proc/self/fd/{}/{}", out.folder_.get(),
                            slash == path.npos ? path : path.substr(slash + 1));
    return out;
}

SocketAddress SocketAddress::in(const RuntimeDirectory& directory, const std::string& name) {
    SocketAddress out;
    out.text_ = fmt::format("/proc/self/fd/{}/{}", directory.fd(), name);
    return out;
}

Result<OwnedFd> connect_unix(const SocketAddress& address) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (address.text().size() >= sizeof name.sun_path)
        return fail(Errc::invalid_argument, "the name of the socket is too long");
    std::memcpy(name.sun_path, address.text().data(), address.text().size());
    OwnedFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno(Errc::io, errno, "no socket");
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0)
        return fail_errno(errno == ENOENT ? Errc::not_found : Errc::io, errno, "cannot connect");
    return fd;
}

bool is_listened_to(const std::string& path) {
    const auto address = SocketAddress::of(path);
    if (!address) return false;
    const auto connected = connect_unix(*address);
    // Anything but a refusal: somebody is there, if only busy or not ours to talk to.
    return connected || (connected.error().sys_errno != ECONNREFUSED &&
                         connected.error().sys_errno != ENOENT);
}

}  // namespace ssi::node
