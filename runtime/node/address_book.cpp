// SPDX-License-Identifier: BSD-3-Clause
#include "address_book.hpp"

#include <utility>

#include "control.hpp"

namespace ssi::node {

AddressBook::AddressBook(Node& node, NodeId parent, NodeId root, std::map<NodeId, Address> known,
                         Tell tell)
    : node_(node), parent_(parent), root_(root), known_(std::move(known)), tell_(std::move(tell)) {}

void AddressBook::want(NodeId target) { on_wanted(node_.id(), target); }

void AddressBook::on_wanted(NodeId from, NodeId target) {
    if (auto at = known_.find(target); at != known_.end()) {
        if (from == node_.id())
            tell_(target, at->second);
        else
            send_control(node_, from, ControlKind::address_is, target, 0, at->second);
        return;
    }
    auto& waiting = waiting_[target];
    waiting.push_back(from);
    if (waiting.size() == 1) ask(target);
}

void AddressBook::ask(NodeId target) {
    const NodeId whom = parent_ != no_node && !node_.lost(parent_) ? parent_ : root_;
    if (whom == node_.id() || node_.lost(whom) || !node_.membership()->find(target)) {
        SSI_LOG(node_.doors().log, warn, "session",
                "nobody knows the address of node {}: messages to it wait", target.value);
        return;
    }
    send_control(node_, whom, ControlKind::address_wanted, target);
}

void AddressBook::on_address(NodeId target, std::span<const std::byte> address) {
    known_.try_emplace(target, address.begin(), address.end());
    auto at = waiting_.find(target);
    if (at == waiting_.end()) return;
    const std::vector<NodeId> waiting = std::move(at->second);
    waiting_.erase(at);
    for (NodeId who : waiting) on_wanted(who, target);
}

}  // namespace ssi::node
