// SPDX-License-Identifier: BSD-3-Clause
// Placement first_touch: a verb that meets an object of a slot whose home this node does not know
// asks the keeper of the slot, once; see Touched.
#include <fmt/format.h>

#include "engine_impl.hpp"

namespace ssi::kddm {

using Impl = Engine::Impl;

Result<void> Impl::touch(SetState& set, ObjectId id) {
    const SlotId slot = set.touched->slot_of(id);
    if (set.touched->home(slot) != no_node) return {};
    const NodeId keeper = slots.at(slot).node;
    if (keeper == self) {
        set.touched->claim(slot, self);
        return {};
    }
    Message m = make_message(Kind::claim, set.id, id, no_txn, self);
    Rpc rpc;
    m.txn = new_rpc(rpc, keeper);
    if (auto answered = call(keeper, m, {}, rpc); !answered)
        return fail(answered.error().code,
                    fmt::format("node {}, which keeps where object {} of set '{}' was first "
                                "touched, does not answer: {}",
                                keeper.value, id.lo, set.name, answered.error().text),
                    keeper);
    set.touched->claim(slot, NodeId(static_cast<std::uint32_t>(rpc.answer.version)));
    return {};
}

// At the keeper.
void Impl::receive_claim(SetState& set, const Message& m) {
    Message answer = make_message(Kind::reply, m.set_id(), m.object(), TxnId(m.txn), self);
    const bool known = set.touched && m.lo < set.options.count &&
                       slots.at(set.touched->slot_of(m.object())).node == self;
    if (!known) {
        answer.header.kind = static_cast<std::uint8_t>(Kind::error);
        answer.acks = static_cast<std::uint32_t>(Errc::bad_message);
    } else {
        answer.version = set.touched->claim(set.touched->slot_of(m.object()),
                                            NodeId(m.requester)).value;
    }
    send_block(NodeId(m.requester), answer, nullptr);
}

// A request may overtake the answer to our own claim. Whoever sends it to us has it from the keeper
// that this is the object's home.
void Impl::learn_touched(SetState& set, ObjectId id) {
    if (id.lo < set.options.count) set.touched->claim(set.touched->slot_of(id), self);
}

}  // namespace ssi::kddm
