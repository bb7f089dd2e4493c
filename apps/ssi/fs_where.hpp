// SPDX-License-Identifier: BSD-3-Clause
// Where the file system is that a verb of `ssi fs` works on: on volumes, which this run mounts, or
// in a session that runs and has them mounted, to whose nodes it talks.
#pragma once

#include <memory>

#include "fs_tree.hpp"
#include "ssi/base/config.hpp"
#include "ssi/kddm/session.hpp"

namespace ssi::cli {

struct FsOptions;

// Both are collective and fail on every rank, with words on one of them.

// Volumes that are not there are made only when that is asked for. When a session has them, the
// failure says so and what to do.
Result<std::unique_ptr<fs::FileSystem>> mount_volumes(Session& session, const FsOptions& options);
// The session that options.session names the beginning of, or the only one of this user and host
// that has a file system. Each rank talks to another node, of its host, as far as there are some.
Result<std::unique_ptr<Kdfs>> find_running(Session& session, const FsOptions& options);

}  // namespace ssi::cli
