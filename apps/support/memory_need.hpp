// SPDX-License-Identifier: BSD-3-Clause
// Whether a run fits the memory of the hosts it is on: asked before it starts, because running out
// later gets processes killed.
#pragma once

#include <string>
#include <string_view>

#include "ssi/ssi.hpp"

namespace support {

struct Host {
    int ranks = 1;            // of the session, on this rank's host
    bool has_first = false;   // rank 0 among them
};
Host this_host(ssi::Session& session);

// Collective. `bytes`: what all ranks of this rank's host will take. When some host lacks it,
// `fits` is false on every rank, and one rank's result is what to say; elsewhere it is empty.
std::string memory_problem(ssi::Session& session, const Host& host, double bytes,
                           std::string_view what, std::string_view advice, bool& fits);

}  // namespace support
