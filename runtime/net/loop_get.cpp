// SPDX-License-Identifier: BSD-3-Clause
// Gets of the loop twin: the reader's own polls copy, a piece a poll, while the other node's
// threads go on writing.
#include <algorithm>
#include <utility>

#include "loop_world.hpp"

namespace ssi::net {

void LoopTransport::get(Get& get) {
    {
        std::lock_guard lock(mutex_);
        asked_.push_back({&get, {}, false});
        waiting_.fetch_add(1);
    }
    wake();
}

void LoopTransport::show(const ShownMemory* memory) {
    shown_.store(memory, std::memory_order_seq_cst);
    while (!memory && readers_.load(std::memory_order_seq_cst) != 0) sys::yield_task();
}

// Under the token. True when there was something to do.
bool LoopTransport::advance_gets() {
    {
        std::lock_guard lock(mutex_);
        for (Getting& asked : std::exchange(asked_, {})) {
            asked.pieces = GetPieces(*asked.get, random_, reorder_);
            gets_.push_back(asked);
        }
    }
    std::vector<Getting> all;
    all.swap(gets_);
    bool handled = false;
    for (Getting& one : all) {
        const Errc outcome = advance(one);
        if (outcome == Errc::would_block) {
            gets_.push_back(one);
            handled = handled || !one.stuck;
            continue;
        }
        handled = true;
        waiting_.fetch_sub(1);
        one.get->done(*one.get, outcome);
    }
    return handled;
}

// would_block: there is more to do.
Errc LoopTransport::advance(Getting& getting) {
    const Get& get = *getting.get;
    if (std::find(forgotten_.begin(), forgotten_.end(), get.from) != forgotten_.end())
        return Errc::peer_lost;
    if (getting.pieces.done()) return Errc::ok;
    LoopTransport* target = world_.find(get.from);
    if (!target) return Errc::not_found;
    if (target->dead() || dead()) {
        // The living find out; what becomes of the get is for forget() to say.
        if (!std::exchange(getting.stuck, true) && !dead())
            push({Kind::suspect, get.from, {}, {}, {}, nullptr});
        return Errc::would_block;
    }
    target->readers_.fetch_add(1, std::memory_order_seq_cst);
    const ShownMemory* memory = target->shown_.load(std::memory_order_seq_cst);
    const bool shown = shows(memory, get.address, get.into.size());
    if (shown) getting.pieces.take(get);
    target->readers_.fetch_sub(1, std::memory_order_release);
    return shown ? Errc::would_block : Errc::not_found;
}

}  // namespace ssi::net
