// SPDX-License-Identifier: BSD-3-Clause
// `ssi nodes`: the running sessions of this user and their nodes.
#include <fmt/core.h>

#include "commands.hpp"
#include "machine.hpp"
#include "running.hpp"

namespace ssi::cli {
namespace {

void print_node(const node::ContactNode& node, const Result<JsonValue>& facts) {
    fmt::print("  {:>5}  {:<16} {:>8}", node.node.value, node.host, node.process_id);
    if (facts)
        fmt::print("  {:>5}  {:>10}  {}{}\n", facts->u64_of("cores"),
                   human_bytes(facts->u64_of("rss_bytes")),
                   human_duration(facts->u64_of("uptime_ms")),
                   facts->boolean_of("lost_a_node") ? "; knows of a lost node" : "");
    else
        fmt::print("  {}\n", facts.error().to_string());
}

void add_node(Json& json, const node::ContactNode& node, const Result<JsonValue>& facts) {
    json.object()
        .field("node", node.node.value)
        .field("host", node.host)
        .field("pid", node.process_id)
        .field("answers", facts.has_value());
    if (facts)
        json.field("cores", facts->u64_of("cores"))
            .field("rss_bytes", facts->u64_of("rss_bytes"))
            .field("uptime_ms", facts->u64_of("uptime_ms"))
            .field("lost_a_node", facts->boolean_of("lost_a_node"));
    else
        json.field("error", facts.error().to_string());
    json.end();
}

}  // namespace

Result<void> run_nodes(const Config& config, const std::string& id, bool as_json) {
    std::vector<node::Contact> running;
    if (id.empty()) {
        running = node::find_sessions(config);
    } else {
        auto found = RunningSession::find(config, id);
        if (!found) return tl::unexpected(std::move(found).error());
        running.push_back(found->contact());
    }
    Json json;
    json.object().array("sessions");
    for (const node::Contact& contact : running) {
        RunningSession session(contact);
        json.object().field("session", contact.session).field("program", contact.program);
        json.field("started_ms", contact.started_ms).array("nodes");
        if (!as_json)
            fmt::print("session {}: {}, {} {}\n  {:>5}  {:<16} {:>8}  {:>5}  {:>10}  {}\n",
                       contact.session, contact.program, contact.nodes.size(),
                       contact.nodes.size() == 1 ? "node" : "nodes", "node", "host", "pid", "cores",
                       "resident", "up");
        for (const node::ContactNode& node : contact.nodes) {
            const auto facts = session.ask(node, "node");
            add_node(json, node, facts);
            if (!as_json) print_node(node, facts);
        }
        json.end().end();
    }
    json.end().end();
    if (as_json)
        fmt::print("{}\n", json.text());
    else if (running.empty())
        fmt::print("no session of this user runs on this host\n");
    return {};
}

}  // namespace ssi::cli
