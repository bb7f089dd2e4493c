// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/contact.hpp"

#include <algorithm>

#include "identity.hpp"
#include "ssi/base/json.hpp"

namespace ssi::node {
namespace {

constexpr std::uint64_t contact_version = 1;
// 300 bytes a node: enough for 200,000 of them.
constexpr std::size_t max_contact_bytes = 64u << 20;

bool is_hex(std::string_view text, std::size_t digits) {
    return text.size() == digits &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::string Contact::to_json() const {
    Json json;
    json.object()
        .field("v", contact_version)
        .field("session", session)
        .field("key", key)
        .field("program", program)
        .field("started_ms", started_ms)
        .array("nodes");
    for (const ContactNode& node : nodes)
        json.object()
            .field("node", node.node.value)
            .field("host", node.host)
            .field("pid", node.process_id)
            .field("socket", node.socket)
            .end();
    return json.end().end().text() + "\n";
}

Result<Contact> Contact::from_json(std::string_view text) {
    auto read = JsonValue::parse(text);
    if (!read) return tl::unexpected(std::move(read).error());
    if (const auto version = read->u64_of("v"); version != contact_version)
        return fail(Errc::unsupported, "a contact file of version " + std::to_string(version));
    Contact out;
    out.session = read->text_of("session");
    out.key = read->text_of("key");
    out.program = read->text_of("program");
    out.started_ms = read->u64_of("started_ms");
    for (const JsonValue& node : read->items_of("nodes"))
        out.nodes.push_back({NodeId{static_cast<std::uint32_t>(node.u64_of("node"))},
                             std::string(node.text_of("host")),
                             static_cast<std::int32_t>(node.u64_of("pid")),
                             std::string(node.text_of("socket"))});
    if (!is_hex(out.session, 16) || !is_hex(out.key, 32) || out.nodes.empty())
        return fail(Errc::parse, "a contact file without session, key or nodes");
    return out;
}

Result<Contact> read_contact(const RuntimeDirectory& directory, const std::string& name) {
    auto text = directory.read(name, max_contact_bytes);
    if (!text) return tl::unexpected(std::move(text).error());
    auto contact = Contact::from_json(*text);
    if (!contact) contact.error().text = directory.path_of(name) + ": " + contact.error().text;
    return contact;
}

bool is_running(const Contact& contact) {
    const std::string here = host_name();
    return std::any_of(contact.nodes.begin(), contact.nodes.end(), [&](const ContactNode& node) {
        return node.host == here && !node.socket.empty() && is_listened_to(node.socket);
    });
}

std::vector<Contact> find_sessions(const Config& config) {
    std::vector<Contact> out;
    for (const RuntimeDirectory& directory : RuntimeDirectory::existing(config))
        for (const std::string& name : directory.names(contact_suffix))
            if (auto contact = read_contact(directory, name); contact && is_running(*contact))
                out.push_back(std::move(*contact));
    std::sort(out.begin(), out.end(), [](const Contact& a, const Contact& b) {
        return a.started_ms != b.started_ms ? a.started_ms < b.started_ms : a.session < b.session;
    });
    // A directory that has two names, such as /tmp and /tmp/, tells of each session twice.
    const auto same = [](const Contact& a, const Contact& b) { return a.session == b.session; };
    out.erase(std::unique(out.begin(), out.end(), same), out.end());
    return out;
}

}  // namespace ssi::node
