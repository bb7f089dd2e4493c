// SPDX-License-Identifier: BSD-3-Clause
// ControlRelay: carries requests between the control sockets of a session's nodes, so that whoever
// reaches one node reaches all, also those of other hosts. Its messages: ControlKind::ask and
// answer, whose payload is the line of a request or reply and whose value is the asker's ticket.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "control_server.hpp"
#include "ssi/node/node.hpp"

namespace ssi::node {

// Thread-safe. Server and node outlive it.
class ControlRelay {
public:
    // `key`: what proves to another node that a request comes from its session.
    ControlRelay(Node& node, ControlServer& server, std::string key);

    // From polls: neither waits.
    void on_ask(NodeId from, std::uint32_t ticket, std::span<const std::byte> line);
    void on_answer(std::uint32_t ticket, std::span<const std::byte> line);

private:
    Result<void> ask(NodeId to, std::uint32_t ticket, std::string_view line);

    Node& node_;
    ControlServer& server_;
    const std::string key_;
};

}  // namespace ssi::node
