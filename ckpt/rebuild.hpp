// SPDX-License-Identifier: BSD-3-Clause
// Rebuilding: versions that were kept in two places, and of which one was lost, or is damaged, get
// the other one's copy where there is room for it now.
#pragma once

#include "choice.hpp"
#include "copies.hpp"
#include "parity_plan.hpp"
#include "partners.hpp"
#include "places.hpp"

namespace ssi::ckpt {

inline constexpr std::uint32_t level_with_copies = 2;

// A copy to be made, and who has the version's manifest.
struct Rebuild {
    CopyOf copy;
    int from = 0;
    int to = 0;
    int manifest_at = 0;
    bool damaged = false;   // what `to` has of it: replaced once the other one was verified
};

// What is missing of versions that can be put back. Pure; `seats` by rank.
std::vector<Rebuild> missing_copies(std::span<const Choice> choices, std::span<const Seat> seats,
                                    bool same_host);

// The same for members that were found to be damaged, each where a rank reads it from. Pure;
// `ranks` beside `damaged`.
std::vector<Rebuild> damaged_copies(std::span<const Choice> choices,
                                    std::span<const Damaged> damaged, std::span<const int> ranks,
                                    std::span<const int> leaders);

// Collective; the first node says what. What cannot be made is told in the log.
Result<std::uint64_t> rebuild(node::Node& node, Places& places, Copies& copies,
                              std::span<const Rebuild> wanted);

}  // namespace ssi::ckpt
