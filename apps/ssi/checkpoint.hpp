// SPDX-License-Identifier: BSD-3-Clause
// `ssi checkpoint`: what stores have of checkpoints, on disk, whether or not a session runs; and
// asking a running session for one.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ssi/base/config.hpp"
#include "ssi/base/json.hpp"
#include "ssi/ckpt/store.hpp"

namespace ssi::cli {

// What the command line said, of all verbs together.
struct CheckpointRequest {
    std::string verb;
    std::vector<std::string> directories;      // as open_stores takes them
    std::optional<std::uint64_t> version;
    std::uint64_t keep = 1;
    bool all = false, dry_run = false, json = false;
    // Of verbs on a running session.
    bool of_session = false;
    std::string session;                       // the beginning of its id; empty: the only one
    double timeout_s = 600;
    // Of `policy`: set, list or simulate; empty: tell, or set the interval.
    std::string policy_verb, policy_text;
    std::optional<std::uint64_t> interval_s;
    double mtbf_s = 0, cost_s = 0, restart_s = -1, hours = 1000;
    std::uint64_t seed = 1;
};

// What a verb has in hand.
struct CheckpointRun {
    const CheckpointRequest& request;
    std::span<ckpt::Store* const> stores;
};

struct CheckpointVerb {
    enum class Takes : std::uint8_t { nothing, maybe, always };
    const char* name;
    const char* text;
    Takes version;                             // --version N
    bool all, keep;                            // --all; --keep N, and --dry-run
    Result<void> (*run)(const CheckpointRun& run);
};
const std::vector<CheckpointVerb>& checkpoint_verbs();

// Without directories those of the setting checkpoint.directory are meant.
Result<void> run_checkpoint(const Config& config, CheckpointRequest request);

// `policy list` and `policy simulate`: need no session.
Result<void> run_checkpoint_policy(const Config& config, const CheckpointRequest& request);
void print_policy(const JsonValue& report);
// take, halt, freeze, thaw, status and policy.
Result<void> run_checkpoint_session(const Config& config, const CheckpointRequest& request);

// The verbs on stores, by files.
Result<void> checkpoint_list(const CheckpointRun& run);
Result<void> checkpoint_show(const CheckpointRun& run);
Result<void> checkpoint_verify(const CheckpointRun& run);
Result<void> checkpoint_remove(const CheckpointRun& run);
Result<void> checkpoint_prune(const CheckpointRun& run);

// ---- for the verbs

// The version that was asked for, else the newest complete one. not_found.
Result<ckpt::VersionInfo> choose_version(const CheckpointRun& run);
// "1, 2, 5"
std::string numbers_text(const std::vector<ckpt::VersionNumber>& versions);
std::vector<ckpt::VersionNumber> bases_of(const ckpt::Manifest& manifest);
// "run7/0", "run7/0 and 3 more".
std::string places_text(const CheckpointRun& run);

}  // namespace ssi::cli
