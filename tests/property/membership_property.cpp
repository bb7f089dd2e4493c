// SPDX-License-Identifier: BSD-3-Clause
#include <gtest/gtest.h>
// After gtest, which it does not include itself.
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <bit>
#include <set>

#include "ssi/node/membership.hpp"

namespace ssi::node {
namespace {

// Sparse ids, ascending, as a session that has lived for a while would have them.
std::vector<Member> members() {
    const auto ids = *rc::gen::nonEmpty(
        rc::gen::container<std::set<std::uint32_t>>(rc::gen::inRange(0u, 5000u)));
    std::vector<Member> members;
    for (const std::uint32_t id : ids)
        members.push_back({NodeId{id}, Incarnation{1}, 0, 0, "host"});
    return members;
}

RC_GTEST_PROP(MembershipProperty, finds_members_and_nobody_else, ()) {
    const auto all = members();
    const auto membership = make_membership(all);
    std::set<std::uint32_t> ids;
    for (std::size_t i = 0; i < all.size(); ++i) {
        ids.insert(all[i].node.value);
        RC_ASSERT(membership->index_of(all[i].node) == static_cast<int>(i));
        RC_ASSERT(membership->find(all[i].node)->node == all[i].node);
    }
    const NodeId other{*rc::gen::inRange(0u, 6000u)};
    if (!ids.contains(other.value)) {
        RC_ASSERT(membership->index_of(other) == -1);
        RC_ASSERT(membership->find(other) == nullptr);
    }
}

RC_GTEST_PROP(MembershipProperty, slots_are_many_and_shared_evenly, ()) {
    const auto all = members();
    const auto membership = make_membership(all);
    const SlotTable& table = *membership->slot_table;
    RC_ASSERT(std::has_single_bit(table.size()));
    RC_ASSERT(table.size() >= 1024u);
    RC_ASSERT(table.size() >= 16 * all.size());
    std::vector<std::uint32_t> slots(all.size());
    for (std::uint32_t s = 0; s < table.size(); ++s) {
        const int index = membership->index_of(table.at(SlotId{s}).node);
        RC_ASSERT(index >= 0);
        ++slots[static_cast<std::size_t>(index)];
    }
    const auto [fewest, most] = std::minmax_element(slots.begin(), slots.end());
    RC_ASSERT(*most - *fewest <= 1u);
}

}  // namespace
}  // namespace ssi::node
