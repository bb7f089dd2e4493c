// SPDX-License-Identifier: BSD-3-Clause
// The sets of the bank that cuts are tried on.
#pragma once

#include <cstdint>

namespace ssi::model {

// Of sets with accounts: in the entry, in a block, of variable length, always at home.
inline constexpr std::uint32_t bank_sets = 4;
inline constexpr std::uint64_t accounts = 5;     // of each of these
inline constexpr std::uint32_t pairs = 4;        // two objects for each task that writes in order
inline constexpr std::uint32_t post = 5;         // messages sent, messages received
inline constexpr std::uint32_t all_sets = 6;
inline constexpr std::uint32_t bank_tasks = 3;   // of each node
inline constexpr const char* post_channel = "bank post";
inline constexpr const char* silent_channel = "bank silence";
inline constexpr const char* meeting_name = "bank meeting";

inline std::uint64_t accounts_of(std::uint32_t set, std::uint32_t nodes) {
    return set == post ? 2 : set == pairs ? 2 * nodes : accounts;
}

}  // namespace ssi::model
