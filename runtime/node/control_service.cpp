// SPDX-License-Identifier: BSD-3-Clause
#include "control_service.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "identity.hpp"
#include "ssi/node/contact.hpp"

namespace ssi::node {

void ControlService::warn(const Failure& failure) {
    SSI_LOG(log_, warn, "session", "no control socket: {}; see the settings control.directory and "
                                   "control.socket",
            failure.to_string());
}

std::string ControlService::open() {
    if (config_.text("control.socket") == "off") return {};
    auto directory = RuntimeDirectory::open(config_);
    if (!directory) {
        warn(directory.error());
        return {};
    }
    directory_ = std::move(*directory);
    auto server = ControlServer::listen(*directory_, {});
    if (!server) {
        warn(server.error());
        return {};
    }
    server_ = std::move(*server);
    return server_->path();
}

void ControlService::begin(Node& node, const SessionName& name, int cores) {
    facts_ = {name.id, program_name(), cores, node.doors().clock.now()};
    node.control().set_key(name.key);
    add_node_verbs(node, facts_);
    if (!server_) return;
    // One process of a host cleans up after the dead, not each of them.
    const auto& members = node.members().members;
    const auto own = static_cast<std::size_t>(node.rank());
    const auto first = std::find_if(members.begin(), members.end(), [&](const Member& member) {
        return member.host_id == members[own].host_id;
    });
    if (first->node == node.id())
        if (const int removed = directory_->clean())
            SSI_LOG(log_, info, "session", "removed {} files that dead processes left in {}",
                    removed, directory_->path());
    relay_.emplace(node, *server_, name.key);
    server_->set_dump([this, &node] {
        Log::stderr_sink()(LogLevel::info, dump_text(node, facts_));
    });
    const auto& doors = node.doors();
    if (auto started = server_->start({doors.clock, doors.tasks, doors.log, node.control()});
        !started)
        return warn(started.error());
    signal_.emplace(server_->dump_fd());
}

void ControlService::publish_contact(const Node& node, const SessionName& name) {
    if (!server_ || node.rank() != 0) return;
    Contact contact{name.id, name.key, facts_.program,
                    static_cast<std::uint64_t>(node.doors().clock.wall()) / 1'000'000, {}};
    for (const Member& member : node.members().members)
        contact.nodes.push_back(
            {member.node, member.host_name, member.process_id, member.control_socket});
    const std::string file = RuntimeDirectory::fresh_name() + std::string(contact_suffix);
    if (auto written = directory_->write(file, contact.to_json()); !written)
        return warn(written.error());
    contact_ = file;
}

Result<std::string> try_control_socket(const Config& config) {
    const std::vector<RuntimeDirectory> before = RuntimeDirectory::existing(config);
    auto directory = RuntimeDirectory::open(config);
    if (!directory) return tl::unexpected(std::move(directory).error());
    const bool was_there = std::ranges::any_of(before, [&](const RuntimeDirectory& there) {
        return there.path() == directory->path();
    });
    Result<std::string> result = directory->path();
    if (auto server = ControlServer::listen(*directory, {}); !server)
        result = tl::unexpected(std::move(server).error());
    else if (!is_listened_to((*server)->path()))
        result = fail(Errc::io, fmt::format("a socket in {} cannot be reached", directory->path()));
    // Only an empty one can go.
    if (!was_there) ::rmdir(directory->path().c_str());
    return result;
}

void ControlService::end() {
    signal_.reset();
    if (!contact_.empty()) directory_->remove(std::exchange(contact_, {}));
    if (server_) server_->stop();
}

}  // namespace ssi::node
