// SPDX-License-Identifier: BSD-3-Clause
// Control: the channel on which the processes of a session talk about each other: where a node can
// be reached, and who is dead. Owned by its ProcessNode; knows no UCX and no MPI, so that tests run
// it over the loop transport. Messages: one ControlHeader, then the bytes its kind names.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "ssi/node/node.hpp"

namespace ssi::node {

enum class ControlKind : std::uint8_t {
    address_wanted = 1,  // of `subject`
    address_is = 2,      // of `subject`; payload: the address
    node_lost = 3,       // `subject` is dead, with proof; payload: why
    is_it_alive = 4,     // asks a node on the same host as `subject`
    it_is = 5,           // the answer: `value` is 1 for alive, 0 for dead
    ping = 6,
    pong = 7,
    ask = 8,             // payload: a request to the control socket; `value`: the asker's ticket
    answer = 9,          // payload: its reply; `value`: the ticket
};

struct ControlHeader {
    MessageHeader message;       // kind: ControlKind
    std::uint32_t subject = 0;
    std::uint32_t value = 0;
};
static_assert(sizeof(ControlHeader) == 24);

class AddressBook;
class ControlRelay;
class Detector;

class Control final : public Channel {
public:
    Control(Node& node, AddressBook& book, Detector& detector)
        : node_(node), book_(book), detector_(detector) {}

    // Null, as before it is set: this node has no control socket, and says so. Before start().
    void set_relay(ControlRelay* relay) { relay_ = relay; }

    std::byte* on_large(NodeId from, std::span<const std::byte> header,
                        std::size_t length) override;
    void on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                    bool owned) override;
    void on_large_failed(NodeId from, std::byte* memory) override;
    void on_node_lost(NodeId) override {}

private:
    void refuse_ask(NodeId from, std::uint32_t ticket);

    Node& node_;
    AddressBook& book_;
    Detector& detector_;
    ControlRelay* relay_ = nullptr;
};

// A failure to send is logged as debug: the receiver is dead, or about to be found so.
Result<void> send_control(Node& node, NodeId to, ControlKind kind, NodeId subject,
                          std::uint32_t value = 0,
                          std::span<const std::byte> payload = {});

}  // namespace ssi::node
