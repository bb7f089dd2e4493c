// SPDX-License-Identifier: BSD-3-Clause
// How all nodes of a session come to one cut together: the gate closes everywhere, what is under
// way comes to its end, the cut gets a number and begins, and the gate opens again. Messages are
// those of collectives alone, so that the simulator runs the same steps over nodes that die.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "ssi/kddm/cut.hpp"
#include "ssi/node/node.hpp"

namespace ssi::ckpt {

// Deliberate bugs, for proving that the simulator's checkers catch them. Never set in real runs.
enum class StopPlant : std::uint8_t {
    none,
    stop_stays_closed,     // the gate is not opened again after the loss of a node
    stop_opens_early,      // a node goes on without knowing that the others have begun
    stop_without_rest,     // one quiet look is taken for rest
};
std::string_view plant_name(StopPlant plant);
std::vector<StopPlant> all_stop_plants();

struct StopOptions {
    std::int64_t timeout_ms = 10'000;    // for coming to rest
    kddm::CutOptions cut;
    StopPlant plant = StopPlant::none;
};

// Collective, by one task of each node. `keep` runs when the cut has begun here, while nothing goes
// on anywhere yet: for what the cut does not keep itself; again when all has to be begun once more,
// and then what it kept before does not count. The gate is open again on return: after
// success the cut is to be read out (Cut::next) and ended, after a failure it is as if there had
// been none. Without a loss all nodes return alike; timed_out names what was in the way. peer_lost
// names the node; some may have succeeded nevertheless, so what they read out is worth something
// only when all nodes say that they have theirs.
Result<void> stop_and_begin(node::Node& node, kddm::Cut& cut, std::span<const kddm::RawSet> sets,
                            const StopOptions& options, const std::function<void()>& keep);

}  // namespace ssi::ckpt
