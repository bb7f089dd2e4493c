// SPDX-License-Identifier: BSD-3-Clause
// Homes of objects that are named {part, block}: each at the rank that owns its block. Names do not
// depend on the number of ranks then, so that another number of ranks finds the same objects.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <string_view>
#include <vector>

#include "ssi/ssi.hpp"

namespace support {

// Collective, before any set is opened that has `placement`. `owner`: of a block, a rank. Where
// there are more blocks than a table has slots the homes of later blocks are those of earlier ones,
// which costs messages and nothing else.
template <class Owner>
void place_blocks(ssi::Session& session, std::string_view placement, std::uint64_t blocks,
                  Owner owner) {
    const auto slots = std::bit_ceil(
        std::clamp<std::uint64_t>(blocks, 1, ssi::kddm::most_home_slots));
    std::vector<ssi::NodeId> homes(slots, ssi::NodeId{0});
    for (std::uint64_t block = 0; block < std::min(blocks, slots); ++block)
        homes[block] = ssi::NodeId{
            static_cast<std::uint32_t>(owner(static_cast<std::uint32_t>(block)))};
    ssi::value_or_throw(session.register_homes(
        placement, std::move(homes), [](ssi::SetId, ssi::ObjectId id, std::uint32_t count) {
            return ssi::SlotId{static_cast<std::uint32_t>(id.lo) & (count - 1)};
        }));
    // A node that does not know the table yet would refuse what is asked of it.
    session.barrier();
}

}  // namespace support
