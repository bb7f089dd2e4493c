// SPDX-License-Identifier: BSD-3-Clause
// Removing versions: never one that another refers to, never one that is being written, and in an
// order that leaves it complete or uncommitted at every moment.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "fault_point.hpp"
#include "manifest.hpp"
#include "store_files.hpp"
#include "store_list.hpp"
#include "store_state.hpp"

namespace ssi::ckpt {

Result<void> Store::State::remember(VersionNumber version) {
    return replace_file(disk, "", newest_name, encode_newest(version));
}

// What makes room goes first: a full disk has none for remembering.
Result<void> Store::State::erase(VersionNumber version) {
    const std::string folder = version_folder(version);
    auto removed = disk.remove(folder + "/" + manifest_name);
    if (!removed && removed.error().code != Errc::not_found) return removed;
    if (removed) SSI_TRY(disk.sync_directory(folder));
    fault_point(FaultPoint::manifest_removed);
    const auto all = members(version);
    if (!all) return tl::unexpected<Failure>(all.error());
    for (const MemberIndex member : *all)
        SSI_TRY(remove_folder(disk, member_folder(version, member)));
    const auto newest = newest_begun();
    if (!newest) return tl::unexpected<Failure>(newest.error());
    if (*newest == version) SSI_TRY(remember(version));
    SSI_TRY(remove_folder(disk, folder));
    return disk.sync_directory("");
}

Result<std::vector<BaseVersion>> Store::State::bases_of(VersionNumber version) {
    const auto whole = manifest(version);
    if (whole) return whole->bases();
    // Uncommitted, or its manifest is damaged: then the members tell.
    const auto all = members(version);
    if (!all) return tl::unexpected<Failure>(all.error());
    std::vector<BaseVersion> bases;
    for (const MemberIndex index : *all) {
        const auto one = member(version, index);
        if (!one && one.error().code == Errc::not_found) continue;   // not finished
        if (!one) return tl::unexpected<Failure>(one.error());
        bases.insert(bases.end(), one->bases.begin(), one->bases.end());
    }
    return bases;
}

Result<void> Store::remove(VersionNumber version) {
    const auto versions = state_->versions();
    if (!versions) return tl::unexpected<Failure>(versions.error());
    if (!std::ranges::binary_search(*versions, version))
        return fail(Errc::not_found, fmt::format("no version {} in {}", version, name()));
    for (const VersionNumber other : *versions) {
        if (other <= version) continue;
        const auto bases = state_->bases_of(other);
        if (!bases && bases.error().code == Errc::not_found) continue;   // removed meanwhile
        if (!bases && bases.error().sys_errno != 0)
            return tl::unexpected<Failure>(bases.error());
        if (!bases)
            return fail(Errc::exists,
                        fmt::format("version {} may refer to version {}, it cannot be told ({}): "
                                    "remove {} first", other, version, bases.error().text, other));
        if (std::ranges::find(*bases, version, &BaseVersion::version) != bases->end())
            return fail(Errc::exists, fmt::format("version {} refers to version {}: remove {} "
                                                  "first", other, version, other));
    }
    const auto writing = state_->being_written(version);
    if (!writing) return tl::unexpected<Failure>(writing.error());
    if (*writing)
        return fail(Errc::would_block, fmt::format("version {} of {} is being written", version,
                                                   name()));
    return state_->erase(version);
}

Result<Pruned> Store::prune(std::size_t keep) {
    const auto versions = list();
    if (!versions) return tl::unexpected<Failure>(versions.error());
    std::set<VersionNumber> needed;
    std::size_t kept = 0;
    std::vector<VersionNumber> old;
    for (auto at = versions->rbegin(); at != versions->rend(); ++at) {
        const bool complete = at->state == VersionState::complete;
        if (complete && kept >= keep && !needed.contains(at->version)) {
            old.push_back(at->version);
            continue;
        }
        if (complete && kept < keep) ++kept;
        const auto bases = state_->bases_of(at->version);
        if (!bases) {
            Failure failure = bases.error();
            failure.text = fmt::format("nothing is pruned, as what version {} refers to cannot be "
                                       "told ({}): remove it first", at->version, failure.text);
            return tl::unexpected<Failure>(std::move(failure));
        }
        for (const BaseVersion& base : *bases) needed.insert(base.version);
    }
    Pruned pruned;
    for (const VersionNumber version : old) {
        const auto writing = state_->being_written(version);
        if (!writing) return tl::unexpected<Failure>(writing.error());
        if (*writing) continue;
        if (auto erased = state_->erase(version); !erased)
            return tl::unexpected<Failure>(std::move(erased).error());
        pruned.removed.push_back(version);
    }
    std::size_t newest = 0;
    for (auto at = versions->rbegin(); at != versions->rend(); ++at)
        if (at->state == VersionState::complete && newest++ >= keep && needed.contains(at->version))
            pruned.needed.push_back(at->version);
    std::ranges::sort(pruned.removed);
    std::ranges::sort(pruned.needed);
    return pruned;
}

Result<std::vector<VersionNumber>> Store::clean(std::span<const VersionNumber> committed) {
    const auto versions = state_->versions();
    if (!versions) return tl::unexpected<Failure>(versions.error());
    std::vector<VersionNumber> cleaned;
    for (const VersionNumber version : *versions) {
        if (std::ranges::find(committed, version) != committed.end()) continue;
        const auto files = state_->disk.list(version_folder(version));
        if (!files) return tl::unexpected<Failure>(files.error());
        if (std::ranges::find(*files, manifest_name) != files->end()) continue;
        const auto writing = state_->being_written(version);
        if (!writing) return tl::unexpected<Failure>(writing.error());
        if (*writing) continue;
        if (auto erased = state_->erase(version); !erased)
            return tl::unexpected<Failure>(std::move(erased).error());
        cleaned.push_back(version);
    }
    return cleaned;
}

}  // namespace ssi::ckpt
