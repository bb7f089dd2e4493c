// SPDX-License-Identifier: BSD-3-Clause
// Cleaning: what a session that ended early has left in the stores.
#pragma once

#include "collect.hpp"
#include "places.hpp"

namespace ssi::ckpt {

// Collective. A version whose manifest is in any store was committed: stores that have members of
// it get the manifest, too. All others are removed, unless somebody writes them now.
Result<void> clean(node::Node& node, Places& places);
// Collective: what was never committed in the global store, unless somebody writes it now.
Result<void> clean_global(node::Node& node, Places& places);
// Collective: the manifest that `rank` has, to every store that has a member of the version.
Result<void> give_manifest(node::Node& node, Places& places, VersionNumber version, int rank);

}  // namespace ssi::ckpt
