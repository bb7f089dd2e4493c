// SPDX-License-Identifier: BSD-3-Clause
#include "control_relay.hpp"

#include <utility>

#include "control.hpp"
#include "control_protocol.hpp"

namespace ssi::node {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text));
}

std::string text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

ControlRelay::ControlRelay(Node& node, ControlServer& server, std::string key)
    : node_(node), server_(server), key_(std::move(key)) {
    server_.set_forward(node.id(), [this](NodeId to, std::uint32_t ticket, std::string_view line) {
        return ask(to, ticket, line);
    });
}

// Behind the key, the line as it came: what the client may do, it may do here.
Result<void> ControlRelay::ask(NodeId to, std::uint32_t ticket, std::string_view line) {
    return send_control(node_, to, ControlKind::ask, node_.id(), ticket,
                        bytes_of(key_ + std::string(line)));
}

void ControlRelay::on_ask(NodeId from, std::uint32_t ticket, std::span<const std::byte> line) {
    server_.post([this, from, ticket, text = text_of(line)] {
        const std::string_view view = text;
        const bool ours = same_secret(view.substr(0, key_.size()), key_);
        const std::string reply =
            ours ? server_.answer(view.substr(key_.size()))
                 : reply_line(fail(Errc::invalid_argument, "a request without the session's key"));
        (void)send_control(node_, from, ControlKind::answer, node_.id(), ticket, bytes_of(reply));
    });
}

void ControlRelay::on_answer(std::uint32_t ticket, std::span<const std::byte> line) {
    server_.deliver(ticket, text_of(line));
}

}  // namespace ssi::node
