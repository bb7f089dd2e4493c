// SPDX-License-Identifier: BSD-3-Clause
// Invalidation of a coarse copyset: down a binary tree within each group of members, with one
// combined ack per subtree. Called under the shard lock of the object.
#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

// Tells the first live member of [lo, hi) other than the requester; false when there is none.
bool Impl::tell_subtree(const Message& m, std::uint32_t lo, std::uint32_t hi, Transition& t) {
    const auto& members = t.members->members;
    while (lo < hi && (members[lo].node.value == m.requester || node.lost(members[lo].node))) ++lo;
    if (lo >= hi) return false;
    Message child = m;
    child.range_lo = lo;
    child.range_hi = hi;
    child.ack_to = self.value;
    t.forward(members[lo].node, child);
    return true;
}

void Impl::receive_group(const Message& m, Transition& t) {
    const std::uint32_t lo = m.range_lo + 1;  // range_lo is this node
    const std::uint32_t hi = m.range_hi;
    const std::uint32_t middle = lo + (hi > lo ? (hi - lo) / 2 : 0);
    FanIn fan_in{m.set_id(), m.object(), m.requester, m.txn, NodeId(m.ack_to), 1};
    if (tell_subtree(m, lo, middle, t)) ++fan_in.missing;
    if (tell_subtree(m, middle, hi, t)) ++fan_in.missing;
    {
        std::lock_guard lock(fan_in_mutex);
        fan_ins.push_back(fan_in);
    }
    Message own = m;
    own.header.kind = static_cast<std::uint8_t>(Kind::invalidate);
    own.ack_to = self.value;
    t.forward(self, own);
}

void Impl::receive_group_ack(const Message& m, Transition& t) {
    std::lock_guard lock(fan_in_mutex);
    for (std::size_t i = 0; i < fan_ins.size(); ++i) {
        FanIn& f = fan_ins[i];
        if (f.requester != m.requester || f.txn != m.txn || f.set != m.set_id() ||
            f.id != m.object())
            continue;
        if (--f.missing != 0) return;
        t.send(f.parent, Kind::ack, f.set, f.id, TxnId(f.txn), NodeId(f.requester)).acks = 1;
        f = fan_ins.back();
        fan_ins.pop_back();
        return;
    }
}

}  // namespace ssi::kddm
