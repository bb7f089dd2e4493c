// SPDX-License-Identifier: BSD-3-Clause
// What several stores have of one version together.
#pragma once

#include "ssi/ckpt/store.hpp"

namespace ssi::ckpt {

struct Placed {
    VersionInfo info;
    Errc code = Errc::ok;                // of what is wrong, unless complete
    std::vector<Store*> where;           // of the manifest's members; null: not there
};
// Of one manifest.
Placed place_members(std::span<Store* const> stores, const Manifest& manifest);
Result<Placed> place_version(std::span<Store* const> stores, VersionNumber version);

// For messages: "/a", "/a and 3 more".
std::string names_of(std::span<Store* const> stores);
tl::unexpected<Failure> no_version(std::span<Store* const> stores, VersionNumber version);

}  // namespace ssi::ckpt
