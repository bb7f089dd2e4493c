// SPDX-License-Identifier: BSD-3-Clause
// One member, from one store into another, as the drain does it: each byte is verified before it is
// written, in pieces, at most so many in a second. Blocking; for one task.
#pragma once

#include <atomic>
#include <functional>

#include "ssi/ckpt/store.hpp"

namespace ssi::ckpt {

struct DrainPace {
    std::uint64_t bytes_per_second = 0;  // 0: no limit
    const Clock& clock;
    sys::Tasks& tasks;
    std::atomic<std::uint64_t>& copied;  // bytes, counted up
    std::function<bool()> in_vain = [] { return false; };   // asked for each piece: to end early
};

// `info`: as the version's manifest says. Durable when it returns; after a failure nothing is left
// of it in `to`. cancelled: in vain. io: it is damaged in `from`, or what a disk said; not_found;
// would_block: somebody writes it in `to`.
Result<void> drain_member(Store& from, Store& to, const MemberInfo& info, const DrainPace& pace);

}  // namespace ssi::ckpt
