// SPDX-License-Identifier: BSD-3-Clause
// Rebuilding by parity: a member that was lost, and the parity that was kept with it, from what the
// others of its group have.
#pragma once

#include "copies.hpp"
#include "parity_plan.hpp"

namespace ssi::ckpt {

// Collective; the first node says what. How each ended, the same on all; else only peer_lost.
Result<std::vector<Result<void>>> rebuild_by_parity(node::Node& node, Places& places,
                                                    Copies& copies,
                                                    std::span<const ParityRebuild> wanted);

}  // namespace ssi::ckpt
