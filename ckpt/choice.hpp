// SPDX-License-Identifier: BSD-3-Clause
// Which version is put back, and who reads which of its members: pure functions of what the ranks
// see in their stores.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ssi/ckpt/store.hpp"

namespace ssi::ckpt {

// A version as one rank sees it in its stores.
struct SeenVersion {
    VersionNumber version = 0;
    DatasetId dataset;                   // of its manifest, or of the members
    std::uint32_t level = 0;             // as the manifest says
    std::uint32_t members = 0;           // that it names; 0: no manifest here
    std::vector<MemberIndex> present;
    std::string why;                     // unless complete here
    std::vector<std::uint32_t> groups;   // by member, when the manifest tells of any
    std::vector<MemberIndex> parity;     // those whose parity is here

    friend bool operator==(const SeenVersion&, const SeenVersion&) = default;
};

// Members count where the manifest is in another store only.
Result<std::vector<SeenVersion>> see(std::span<Store* const> stores);
std::vector<std::byte> encode_seen(std::span<const SeenVersion> versions);
Result<std::vector<SeenVersion>> decode_seen(std::span<const std::byte> bytes);

struct Choice {
    VersionNumber version = 0;
    DatasetId dataset;
    std::uint32_t level = 0;
    int manifest_at = 0;                 // a rank that has it
    std::vector<std::vector<int>> holders;   // of each member: leaders that see it
    std::vector<int> readers;            // a rank for each member
    std::string why_not;                 // not empty: it cannot be read
    std::vector<std::uint32_t> groups;   // of each member; none: without parity
    std::vector<std::vector<int>> parity;    // kept with each member: leaders that see it
    bool global = false;                 // all of it is in the global store, too
    bool only_global = false;            // and is to be read there, the manifest as well

    std::vector<MemberIndex> group_of(MemberIndex member) const;   // itself among it
};

// Of a member that no rank sees: empty if its group has all that it can be rebuilt of.
std::string why_not_rebuilt(const Choice& choice, MemberIndex member);

// All versions, newest first. `by_rank`: what each rank sees, empty for those whose leader sees the
// same. `global`: what all see in the global store. Member k is read by rank k if it can, the
// others by ranks in turn, so that all have about as many: by one that sees it in its stores, if
// there is one. One that no rank sees, but that can be rebuilt, has no reader (-1).
std::vector<Choice> choices(std::span<const std::vector<SeenVersion>> by_rank,
                            std::span<const int> leaders,
                            std::span<const SeenVersion> global = {});

}  // namespace ssi::ckpt
