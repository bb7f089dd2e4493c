// SPDX-License-Identifier: BSD-3-Clause
// `ssi restart`: what a restart from stores would go on from, and running a program again that
// does.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ssi/base/config.hpp"

namespace ssi::cli {

struct RestartRequest {
    std::vector<std::string> directories;      // as open_stores takes them
    bool dry_run = false, quick = false, json = false;
    std::optional<std::uint64_t> version;
    std::uint32_t ranks = 0;                   // 0: as many as saved
    std::vector<std::string> substitutions;    // "FROM=TO"
    std::vector<std::string> launcher;         // what came after "--"
};

// --dry-run: prints what a restart would do; changes nothing. Otherwise this process becomes
// ssi-relaunch with the launcher, and it returns only when that fails. Failures: not_found (no
// version), io (none that can be used), unsupported (not on so many ranks).
Result<void> run_restart(const Config& config, const RestartRequest& request);

}  // namespace ssi::cli
