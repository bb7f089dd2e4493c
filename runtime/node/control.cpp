// SPDX-License-Identifier: BSD-3-Clause
#include "control.hpp"

#include <cstring>
#include <memory>
#include <new>

#include "address_book.hpp"
#include "control_protocol.hpp"
#include "control_relay.hpp"
#include "detector.hpp"

namespace ssi::node {

namespace {

// Of a payload that is too long to be copied by the transport.
struct Lent {
    std::string bytes;
    static void release(void* context) { delete static_cast<Lent*>(context); }
};

}  // namespace

Result<void> send_control(Node& node, NodeId to, ControlKind kind, NodeId subject,
                          std::uint32_t value,
                          std::span<const std::byte> payload) {
    ControlHeader header;
    header.message.channel = static_cast<std::uint8_t>(ChannelId::control);
    header.message.kind = static_cast<std::uint8_t>(kind);
    header.subject = subject.value;
    header.value = value;
    net::Payload lent{payload.data(), payload.size(), nullptr, nullptr};
    if (payload.size() > net::max_copied_payload) {
        auto* copy = new Lent{{reinterpret_cast<const char*>(payload.data()), payload.size()}};
        lent = {reinterpret_cast<const std::byte*>(copy->bytes.data()), payload.size(),
                &Lent::release, copy};
    }
    auto sent = node.send(to, std::as_writable_bytes(std::span(&header, 1)), lent);
    if (!sent)
        SSI_LOG(node.doors().log, debug, "session", "no control message to node {}: {}", to.value,
                sent.error().text);
    return sent;
}

// Only answers are large.
std::byte* Control::on_large(NodeId, std::span<const std::byte>, std::size_t length) {
    if (length > max_control_reply_bytes) return nullptr;
    return new (std::nothrow) std::byte[length];
}

void Control::on_large_failed(NodeId, std::byte* memory) {
    std::unique_ptr<std::byte[]>{memory};
}

void Control::refuse_ask(NodeId from, std::uint32_t ticket) {
    const std::string line = reply_line(
        fail(Errc::unsupported, "that node has no control socket: see the setting control.socket"));
    (void)send_control(node_, from, ControlKind::answer, node_.id(), ticket,
                       std::as_bytes(std::span(line)));
}

void Control::on_message(NodeId from, std::span<const std::byte> header,
                         std::span<std::byte> payload, bool owned) {
    const std::unique_ptr<std::byte[]> memory(owned ? payload.data() : nullptr);
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
            (void)send_control(node_, from, ControlKind::pong, node_.id());
            return;
        case ControlKind::pong: return detector_.on_verdict(from, from, true);
        case ControlKind::ask:
            if (relay_) return relay_->on_ask(from, parsed.value, payload);
            return refuse_ask(from, parsed.value);
        case ControlKind::answer:
            if (relay_) relay_->on_answer(parsed.value, payload);
            return;
    }
    SSI_LOG(node_.doors().log, error, "session", "control message of node {} dropped: kind {}",
            from.value, parsed.message.kind);
}

}  // namespace ssi::node
