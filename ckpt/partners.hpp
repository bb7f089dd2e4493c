// SPDX-License-Identifier: BSD-3-Clause
// Who keeps a copy of whose member: pure.
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

}  // namespace ssi::ckpt
