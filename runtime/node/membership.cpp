// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/node/membership.hpp"

#include <algorithm>
#include <bit>
#include <utility>

#include "ssi/base/assert.hpp"

namespace ssi::node {

int Membership::index_of(NodeId node) const {
    // Ids are the ranks until nodes come and go: look there first.
    if (node.value < members.size() && members[node.value].node == node)
        return static_cast<int>(node.value);
    auto at = std::lower_bound(members.begin(), members.end(), node,
                               [](const Member& m, NodeId n) { return m.node < n; });
    if (at == members.end() || at->node != node) return -1;
    return static_cast<int>(at - members.begin());
}

const Member* Membership::find(NodeId node) const {
    const int index = index_of(node);
    return index < 0 ? nullptr : &members[static_cast<std::size_t>(index)];
}

std::shared_ptr<const Membership> make_membership(std::vector<Member> members) {
    SSI_ASSERT(!members.empty(), "a session has at least one member");
    std::sort(members.begin(), members.end(),
              [](const Member& a, const Member& b) { return a.node < b.node; });
    for (std::size_t i = 1; i < members.size(); ++i)
        SSI_ASSERT(members[i - 1].node != members[i].node, "give every member its own NodeId");

    auto table = std::make_shared<SlotTable>();
    const std::size_t slots = std::bit_ceil(std::max<std::size_t>(16 * members.size(), 1024));
    table->slots.resize(slots);
    for (std::size_t s = 0; s < slots; ++s)
        table->slots[s].node = members[s % members.size()].node;

    auto result = std::make_shared<Membership>();
    result->members = std::move(members);
    result->slot_table = std::move(table);
    return result;
}

}  // namespace ssi::node
