// SPDX-License-Identifier: BSD-3-Clause
#include "checkpoint.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "checkpoint_stores.hpp"
#include "ssi/base/json.hpp"
#include "words.hpp"

namespace ssi::cli {
namespace {

using ckpt::VersionInfo;
using ckpt::VersionNumber;
using ckpt::VersionState;

std::vector<CheckpointVerb> make_verbs() {
    using Takes = CheckpointVerb::Takes;
    return {
        {"list", "List the versions: whether they are complete, who took them and when, how large "
                 "they are, and which older ones they refer to.",
         Takes::nothing, false, false, checkpoint_list},
        {"show", "Print all that one version says of itself: its members, what was saved, and the "
                 "versions that it needs.",
         Takes::maybe, false, false, checkpoint_show},
        {"verify", "Read every byte of a version, and of those that it refers to, and name each "
                   "fault. Changes nothing.",
         Takes::maybe, true, false, checkpoint_verify},
        {"rm", "Remove one version, whatever its state, from all directories that are named. One "
               "that a later version refers to, or that is being written, is refused.",
         Takes::always, false, false, checkpoint_remove},
        {"prune", "Remove all complete versions but the newest ones and those that they refer to, "
                  "from all directories that are named. Others stay.",
         Takes::nothing, false, true, checkpoint_prune},
    };
}

Result<std::vector<std::string>> directories_of(const Config& config,
                                                const CheckpointRequest& request) {
    if (!request.directories.empty()) return request.directories;
    const std::string& directory = config.text("checkpoint.directory");
    if (!directory.empty()) return std::vector{directory};
    return fail(Errc::invalid_argument,
                fmt::format("checkpoint {}: DIR is needed, a directory of checkpoints, or the "
                            "setting checkpoint.directory", request.verb));
}

// By whom each version is needed.
std::map<VersionNumber, std::vector<VersionNumber>> referrers(
    const std::vector<VersionInfo>& versions) {
    std::map<VersionNumber, std::vector<VersionNumber>> by;
    for (const VersionInfo& info : versions)
        if (info.manifest)
            for (const VersionNumber base : bases_of(*info.manifest))
                by[base].push_back(info.version);
    return by;
}

void print_json(const CheckpointRequest& request, const ckpt::Pruned& pruned,
                const std::vector<VersionInfo>& left) {
    auto by = referrers(left);
    Json json;
    json.object().field("dry_run", request.dry_run).array("removed");
    for (const VersionNumber version : pruned.removed) json.value(version);
    json.end().array("needed");
    for (const VersionNumber version : pruned.needed) {
        json.object().field("version", version).array("by");
        for (const VersionNumber other : by[version]) json.value(other);
        json.end().end();
    }
    json.end().array("left");
    for (const VersionInfo& info : left)
        if (info.state != VersionState::complete || info.writing)
            json.object().field("version", info.version).field("writing", info.writing)
                .field("why", readable(info.why)).end();
    say("{}\n", json.end().end().text());
}

void print_text(const CheckpointRequest& request, const ckpt::Pruned& pruned,
                const std::vector<VersionInfo>& left) {
    auto by = referrers(left);
    for (const VersionNumber version : pruned.removed)
        say("version {} {}\n", version, request.dry_run ? "would be removed" : "removed");
    for (const VersionNumber version : pruned.needed)
        say("version {} stays: {}\n", version,
            by[version].empty()
                ? "one that was not committed refers to it"
                : fmt::format("version {} refers to it", numbers_text(by[version])));
    for (const VersionInfo& info : left)
        if (info.state != VersionState::complete)
            say("version {} stays: {}\n", info.version, readable(info.why));
        else if (info.writing)
            say("version {} stays: it is being written\n", info.version);
    if (pruned.removed.empty()) say("nothing to remove\n");
}

}  // namespace

const std::vector<CheckpointVerb>& checkpoint_verbs() {
    static const std::vector<CheckpointVerb> verbs = make_verbs();
    return verbs;
}

Result<void> run_checkpoint(const Config& config, CheckpointRequest request) {
    auto directories = directories_of(config, request);
    if (!directories) return tl::unexpected<Failure>(std::move(directories).error());
    request.directories = std::move(*directories);
    const auto opened = open_stores(request.directories);
    if (!opened) return tl::unexpected<Failure>(opened.error());
    const auto stores = opened->all();
    for (const CheckpointVerb& verb : checkpoint_verbs())
        if (request.verb == verb.name) return verb.run({request, stores});
    return fail(Errc::internal, "checkpoint: no such verb");
}

Result<void> checkpoint_remove(const CheckpointRun& run) {
    const VersionNumber version = *run.request.version;
    const auto chosen = choose_version(run);
    if (!chosen) return tl::unexpected<Failure>(chosen.error());
    SSI_TRY(ckpt::remove_version(run.stores, version));
    const bool partly = chosen->manifest && chosen->state == VersionState::incomplete;
    if (run.request.json)
        say("{}\n", Json().object().array("removed").value(version).end().end().text());
    else
        say("version {} removed{}\n", version,
            partly ? fmt::format(" ({}; other directories keep what they have)", chosen->why) : "");
    return {};
}

Result<void> checkpoint_prune(const CheckpointRun& run) {
    const auto pruned = ckpt::prune_versions(run.stores, {.keep = run.request.keep,
                                                          .dry_run = run.request.dry_run});
    if (!pruned) return tl::unexpected<Failure>(pruned.error());
    auto left = ckpt::list_versions(run.stores);
    if (!left) return tl::unexpected<Failure>(left.error());
    std::erase_if(*left, [&](const VersionInfo& info) {
        return std::ranges::find(pruned->removed, info.version) != pruned->removed.end();
    });
    run.request.json ? print_json(run.request, *pruned, *left)
                     : print_text(run.request, *pruned, *left);
    return {};
}

// ---- for the verbs

Result<VersionInfo> choose_version(const CheckpointRun& run) {
    auto versions = ckpt::list_versions(run.stores);
    if (!versions) return tl::unexpected<Failure>(std::move(versions).error());
    const auto wanted = [&](const VersionInfo& info) {
        return run.request.version ? info.version == *run.request.version
                                   : info.state == VersionState::complete;
    };
    const auto found = std::find_if(versions->rbegin(), versions->rend(), wanted);
    if (found != versions->rend()) return std::move(*found);
    if (run.request.version)
        return fail(Errc::not_found, fmt::format("no version {} in {}: `ssi checkpoint list` names "
                                                 "those there are", *run.request.version,
                                                 places_text(run)));
    return fail(Errc::not_found, fmt::format("no complete version in {}: `ssi checkpoint list` "
                                             "tells why", places_text(run)));
}

std::string numbers_text(const std::vector<VersionNumber>& versions) {
    std::string text;
    for (const VersionNumber version : versions)
        text += (text.empty() ? "" : ", ") + std::to_string(version);
    return text;
}

std::vector<VersionNumber> bases_of(const ckpt::Manifest& manifest) {
    std::vector<VersionNumber> versions;
    for (const ckpt::BaseVersion& base : manifest.bases()) versions.push_back(base.version);
    return versions;
}

std::string places_text(const CheckpointRun& run) {
    const std::string& first = run.stores.front()->name();
    return run.stores.size() == 1 ? first
                                  : fmt::format("{} and {} more", first, run.stores.size() - 1);
}

}  // namespace ssi::cli
