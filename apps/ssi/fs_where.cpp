// SPDX-License-Identifier: BSD-3-Clause
#include "fs_where.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "fs.hpp"
#include "machine.hpp"
#include "running.hpp"
#include "support/volume_names.hpp"

namespace ssi::cli {
namespace {

tl::unexpected<Failure> failed_elsewhere(Errc code) { return fail(code, ""); }

// What the file system of a node is; not_found when it has none.
Result<JsonValue> file_system_of(RunningSession& session, const node::ContactNode& node) {
    return session.ask(node, "fs");
}

bool has_file_system(RunningSession& session) {
    return std::ranges::any_of(session.contact().nodes, [&](const node::ContactNode& node) {
        return file_system_of(session, node).has_value();
    });
}

std::string names_of(const std::vector<RunningSession>& sessions) {
    std::vector<std::string> names;
    for (const auto& session : sessions)
        names.push_back(fmt::format("{} ({})", session.contact().session,
                                    session.contact().program));
    return fmt::format("{}", fmt::join(names, ", "));
}

Result<RunningSession> choose(const Config& config, const std::string& id) {
    std::vector<RunningSession> with, without;
    for (node::Contact& contact : node::find_sessions(config)) {
        if (!contact.session.starts_with(id)) continue;
        RunningSession session(std::move(contact));
        auto& into = has_file_system(session) ? with : without;
        into.push_back(std::move(session));
    }
    if (with.size() == 1) return std::move(with.front());
    if (with.size() > 1)
        return fail(Errc::invalid_argument,
                    fmt::format("{} sessions with a file system run here, choose by --session: {}",
                                with.size(), names_of(with)));
    constexpr const char* advice = "name volumes by ssi fs --volume DIR/%n VERB ...";
    if (!without.empty())
        return fail(Errc::not_found, fmt::format("no file system is mounted by what runs here, {}: "
                                                 "{}", names_of(without), advice));
    return fail(Errc::not_found,
                fmt::format("no session{} of this user runs here: {}; `ssi nodes` lists those that "
                            "do", id.empty() ? "" : " " + id, advice));
}

// The sessions' own words for directories may be others: what they are is compared.
std::string session_that_has(const Config& config, const std::vector<std::string>& directories) {
    for (node::Contact& contact : node::find_sessions(config)) {
        RunningSession session(std::move(contact));
        for (const node::ContactNode& node : session.contact().nodes) {
            if (node.host != this_host()) continue;
            const auto system = file_system_of(session, node);
            if (!system) continue;
            for (const JsonValue& has : system->items_of("directories"))
                for (const std::string& directory : directories) {
                    struct stat of {};
                    if (::stat(directory.c_str(), &of) != 0 ||
                        of.st_dev != has.u64_of("device") || of.st_ino != has.u64_of("inode"))
                        continue;
                    return fmt::format(
                        "{} is in use by session {} ({}, node {} is process {}): to work on the "
                        "files of a running session leave --volume out, as in ssi fs --session {} "
                        "ls", directory, session.contact().session, session.contact().program,
                        node.node.value, node.process_id, session.contact().session);
                }
        }
    }
    return {};
}

// A connection to each node of this host, the rank's own first.
Result<std::vector<std::unique_ptr<fs::RemoteFileSystem>>> connect(const node::Contact& contact,
                                                                   int rank) {
    std::vector<std::unique_ptr<fs::RemoteFileSystem>> nodes;
    Failure last{Errc::not_found, 0, no_node,
                 fmt::format("session {} has no node on this host", contact.session)};
    for (const node::ContactNode& node : contact.nodes) {
        if (node.host != this_host() || node.socket.empty()) continue;
        auto made = fs::RemoteFileSystem::open(node.socket, contact.key);
        if (made)
            nodes.push_back(std::move(*made));
        else
            last = std::move(made).error();
    }
    if (nodes.empty()) return tl::unexpected(std::move(last));
    const auto first = static_cast<std::size_t>(rank) % nodes.size();
    std::ranges::rotate(nodes, nodes.begin() + static_cast<std::ptrdiff_t>(first));
    return nodes;
}

// The failure of some rank is one of all; who has words says them.
template <class T>
Result<T> agree(Session& session, Result<T> mine) {
    const auto code = static_cast<std::uint64_t>(mine ? Errc::ok : mine.error().code);
    const auto worst = static_cast<Errc>(session.reduce(code, Reduce::max));
    if (worst == Errc::ok || !mine) return mine;
    return failed_elsewhere(worst);
}

Result<fs::Options> options_of(Session& session, const FsOptions& options) {
    fs::Options mounting;
    mounting.volumes.directories = support::volumes_of(options.volumes, session.rank(),
                                                       session.size(), options.create);
    if (!options.cache.empty()) {
        const auto bytes = parse_bytes(options.cache);
        if (!bytes)
            return fail(Errc::invalid_argument,
                        session.rank() == 0 ? "--cache " + options.cache + " is no size" : "");
        mounting.cache_bytes = *bytes;
    }
    std::uint64_t missing = 0;
    std::string name;
    for (const std::string& directory : mounting.volumes.directories) {
        struct stat of {};
        if (options.create || ::stat(directory.c_str(), &of) == 0) continue;
        ++missing;
        name = directory;
    }
    const std::uint64_t mine = mounting.volumes.directories.size();
    if (session.reduce(missing, Reduce::sum) > 0)
        return fail(Errc::not_found, missing ? name + ": there is no such volume; --create makes it"
                                             : "");
    if (session.reduce(mine, Reduce::sum) == 0)
        return fail(Errc::not_found,
                    session.rank() == 0 ? options.volumes.front() +
                                              ": there is no such volume; --create makes it"
                                        : "");
    return mounting;
}

}  // namespace

Result<std::unique_ptr<fs::FileSystem>> mount_volumes(Session& session, const FsOptions& options) {
    auto how = options_of(session, options);
    if (!how) return tl::unexpected<Failure>(std::move(how).error());
    auto system = fs::FileSystem::mount(session, std::move(*how));
    if (system) return system;
    // The same on every rank: one says it.
    Failure failure = std::move(system).error();
    if (session.rank() != 0) return failed_elsewhere(failure.code);
    if (failure.code == Errc::would_block)
        if (auto who = session_that_has(session.config(),
                                        support::volumes_of(options.volumes, 0, 1, false));
            !who.empty())
            failure.text = std::move(who);
    return tl::unexpected<Failure>(std::move(failure));
}

Result<std::unique_ptr<Kdfs>> find_running(Session& session, const FsOptions& options) {
    if (!options.cache.empty() || options.create)
        return fail(Errc::invalid_argument,
                    session.rank() == 0 ? "--cache and --create are for --volume: a session that "
                                          "runs has its own" : "");
    std::vector<std::byte> id;
    Result<RunningSession> found = failed_elsewhere(Errc::not_found);
    if (session.rank() == 0) {
        found = choose(session.config(), options.session);
        if (found) {
            const auto bytes = std::as_bytes(std::span(found->contact().session));
            id.assign(bytes.begin(), bytes.end());
        }
    }
    session.broadcast(0, id);
    if (session.rank() != 0 && !id.empty())
        found = RunningSession::find(session.config(),
                                     {reinterpret_cast<const char*>(id.data()), id.size()});
    found = agree(session, std::move(found));
    if (!found) return tl::unexpected<Failure>(std::move(found).error());
    auto nodes = agree(session, connect(found->contact(), session.rank()));
    if (!nodes) return tl::unexpected<Failure>(std::move(nodes).error());
    return make_running_kdfs(std::move(*nodes), found->contact().session);
}

}  // namespace ssi::cli
