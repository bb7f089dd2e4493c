// SPDX-License-Identifier: BSD-3-Clause
#include "running.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "ssi/node/runtime_directory.hpp"

namespace ssi::cli {

std::string this_host() {
    std::array<char, 256> name{};
    ::gethostname(name.data(), name.size() - 1);
    return name.data();
}

Result<RunningSession> RunningSession::find(const Config& config, const std::string& id) {
    std::vector<node::Contact> running = node::find_sessions(config);
    const bool any = !running.empty();
    std::erase_if(running, [&](const node::Contact& c) { return !c.session.starts_with(id); });
    if (running.size() == 1) return RunningSession(std::move(running.front()));
    if (running.empty() && any)
        return fail(Errc::not_found, fmt::format("no session {} of this user runs here; `ssi "
                                                 "nodes` lists those that do", id));
    if (running.empty()) {
        std::vector<std::string> looked;
        for (const auto& directory : node::RuntimeDirectory::existing(config))
            looked.push_back(directory.path());
        return fail(Errc::not_found,
                    fmt::format("no session of this user runs on this host with a control socket "
                                "(looked into: {}); see the settings control.socket and "
                                "control.directory",
                                looked.empty() ? "no directory" : fmt::format("{}",
                                fmt::join(looked, ", "))));
    }
    std::vector<std::string> names;
    for (const auto& c : running) names.push_back(fmt::format("{} ({})", c.session, c.program));
    return fail(Errc::invalid_argument, fmt::format("{} sessions run here, choose by --session: {}",
                                                    running.size(), fmt::join(names, ", ")));
}

Result<std::vector<node::ContactNode>> RunningSession::nodes(
    std::optional<std::uint32_t> only) const {
    if (!only) return contact_.nodes;
    for (const node::ContactNode& node : contact_.nodes)
        if (node.node.value == *only) return std::vector<node::ContactNode>{node};
    return fail(Errc::not_found, fmt::format("session {} has no node {}", contact_.session, *only));
}

Result<node::ControlClient*> RunningSession::client_of(const node::ContactNode& node) {
    const auto known = clients_.find(node.node);
    if (known != clients_.end()) return &known->second;
    auto client = node::ControlClient::connect(node.socket);
    if (!client) return tl::unexpected(std::move(client).error());
    return &clients_.emplace(node.node, std::move(*client)).first->second;
}

Result<node::ControlClient*> RunningSession::any_client() {
    Failure last{Errc::not_found, 0, no_node, "no node of this host answers"};
    for (const node::ContactNode& node : contact_.nodes) {
        if (node.host != this_host() || node.socket.empty()) continue;
        auto client = client_of(node);
        if (client) return client;
        last = std::move(client).error();
    }
    return tl::unexpected(std::move(last));
}

Result<JsonValue> RunningSession::ask(const node::ContactNode& node, std::string_view verb,
                                      std::string_view more) {
    const bool here = node.host == this_host() && !node.socket.empty();
    auto client = here ? client_of(node) : any_client();
    if (!client) return tl::unexpected(std::move(client).error());
    auto reply = (*client)->request(fmt::format(R"({{"v":1,"verb":"{}","node":{}{}}})", verb,
                                                node.node.value, more));
    if (reply) return std::move(reply->value);
    // Whatever it still sends belongs to this request, not to the next.
    if (here && reply.error().code != Errc::not_found) clients_.erase(node.node);
    return tl::unexpected(std::move(reply).error());
}

std::string human_duration(std::uint64_t ms) {
    if (ms < 60'000) return fmt::format("{}.{} s", ms / 1000, ms % 1000 / 100);
    if (ms < 3'600'000) return fmt::format("{} min {} s", ms / 60'000, ms / 1000 % 60);
    return fmt::format("{} h {} min", ms / 3'600'000, ms / 60'000 % 60);
}

}  // namespace ssi::cli
