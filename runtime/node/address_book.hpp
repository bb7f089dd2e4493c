// SPDX-License-Identifier: BSD-3-Clause
// AddressBook: how this node learns where others can be reached. Every node starts with the
// addresses of its own subtree of the bootstrap tree, of its parent and of its neighbours on the
// ring of ranks; it asks its parent for any other when it first sends there, and keeps what passes
// through. So nobody holds all addresses but the root, and no start-up message grows with N.
// Everything happens under the poller token: no lock.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "ssi/node/node.hpp"

namespace ssi::node {

class AddressBook {
public:
    using Address = std::vector<std::byte>;
    // `tell` gives an address to the transport.
    using Tell = std::function<void(NodeId, std::span<const std::byte>)>;
    AddressBook(Node& node, NodeId parent, NodeId root, std::map<NodeId, Address> known, Tell tell);

    void want(NodeId target);                    // the transport has something to send there
    void on_wanted(NodeId from, NodeId target);
    void on_address(NodeId target, std::span<const std::byte> address);

private:
    void ask(NodeId target);

    Node& node_;
    const NodeId parent_;                        // no_node at the root
    const NodeId root_;
    std::map<NodeId, Address> known_;
    std::map<NodeId, std::vector<NodeId>> waiting_;  // target -> who wants it; self: our transport
    Tell tell_;
};

}  // namespace ssi::node
