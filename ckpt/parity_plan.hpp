// SPDX-License-Identifier: BSD-3-Clause
// What needs to be rebuilt by parity, and can be: members that no rank sees, or whose bytes are
// damaged, and parity that is not there.
#pragma once

#include "choice.hpp"
#include "collect.hpp"
#include "partners.hpp"
#include "places.hpp"

namespace ssi::ckpt {

struct ParityRebuild {
    DatasetId dataset;
    VersionNumber version = 0;
    MemberIndex member = 0;
    bool make_member = false;
    bool make_parity = false;            // that is kept with it
    int to = 0;                          // in that rank's store
    int manifest_at = 0;                 // a rank that has the manifest
    // By place in the group: who reads that member, and the parity kept with it if the lost one is
    // made. At its own place: `to`.
    std::vector<int> from;
    friend bool operator==(const ParityRebuild&, const ParityRebuild&) = default;
};

// What is missing of versions that have parity, and can be made. Pure; `seats` by rank.
std::vector<ParityRebuild> missing_parity(std::span<const Choice> choices,
                                          std::span<const Seat> seats);

Bytes encode_rebuilds(std::span<const ParityRebuild> wanted);
std::vector<ParityRebuild> decode_rebuilds(std::span<const std::byte> bytes);

// Of the members `mine` of a version, and of the older ones that it refers to, those whose bytes in
// this node's stores are not what their manifests say.
struct Damaged {
    VersionNumber version = 0;
    MemberIndex member = 0;
};
std::vector<Damaged> find_damage(Places& places, const Manifest& manifest,
                                 std::span<const MemberIndex> mine);

}  // namespace ssi::ckpt
