// SPDX-License-Identifier: BSD-3-Clause
// Who keeps a copy of whose member, and whose members share a parity: pure.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "ssi/base/result.hpp"

namespace ssi::ckpt {

// Where a rank saves.
struct Seat {
    std::uint64_t host = 0;
    int store = 0;                       // the first rank that has its store
};

// For each rank another one whose host, or with `same_host` at least whose store, is not its own;
// what each keeps for others differs by one at most where groups are equal. unsupported: there is
// none, and what to do.
Result<std::vector<int>> partners(std::span<const Seat> seats, bool same_host);

// Failure groups: all ranks, divided into groups of at most `most`, ascending, each of at least two
// ranks whose hosts (or stores, as above) all differ; sizes differ by one at most. One more than
// `most` where a rank would be alone. unsupported: a host has more ranks than all others together.
Result<std::vector<std::vector<int>>> failure_groups(std::span<const Seat> seats, std::size_t most,
                                                     bool same_host);

}  // namespace ssi::ckpt
