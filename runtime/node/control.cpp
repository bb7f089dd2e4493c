// SPDX-License-Identifier: BSD-3-Clause
#include "control.hpp"

#include <cstring>

#include "address_book.hpp"
#include "detector.hpp"

namespace ssi::node {

void send_control(Node& node, NodeId to, ControlKind kind, NodeId subject, std::uint32_t value,
                  std::span<const std::byte> payload) {
    ControlHeader header;
    header.message.channel = static_cast<std::uint8_t>(ChannelId::control);
    header.message.kind = static_cast<std::uint8_t>(kind);
    header.subject = subject.value;
    header.value = value;
    const auto sent = node.send(to, std::as_writable_bytes(std::span(&header, 1)),
                                {payload.data(), payload.size(), nullptr, nullptr});
    if (!sent)
        SSI_LOG(node.doors().log, debug, "session", "no control message to node {}: {}", to.value,
                sent.error().text);
}

void Control::on_message(NodeId from, std::span<const std::byte> header,
                         std::span<std::byte> payload, bool) {
    ControlHeader parsed;
    if (header.size() != sizeof parsed) {
        SSI_LOG(node_.doors().log, error, "session",
                "control message of node {} dropped: {} bytes of header instead of {}", from.value,
                header.size(), sizeof parsed);
        return;
    }
    std::memcpy(&parsed, header.data(), sizeof parsed);
    const NodeId subject{parsed.subject};
    switch (static_cast<ControlKind>(parsed.message.kind)) {
        case ControlKind::address_wanted: return book_.on_wanted(from, subject);
        case ControlKind::address_is: return book_.on_address(subject, payload);
        case ControlKind::node_lost:
            return detector_.on_told(subject,
                                     {reinterpret_cast<const char*>(payload.data()),
                                      payload.size()});
        case ControlKind::is_it_alive: return detector_.on_question(from, subject);
        case ControlKind::it_is: return detector_.on_verdict(from, subject, parsed.value != 0);
        case ControlKind::ping:
            return send_control(node_, from, ControlKind::pong, node_.id());
        case ControlKind::pong: return detector_.on_verdict(from, from, true);
    }
    SSI_LOG(node_.doors().log, error, "session", "control message of node {} dropped: kind {}",
            from.value, parsed.message.kind);
}

}  // namespace ssi::node
