// SPDX-License-Identifier: BSD-3-Clause
// Removing versions: never one that another refers to, never one that is being written, and in an
// order that leaves it complete or uncommitted at every moment.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "fault_point.hpp"
#include "manifest.hpp"
#include "store_files.hpp"
#include "store_list.hpp"
#include "store_state.hpp"

namespace ssi::ckpt {

Result<void> Store::State::remember(VersionNumber version) {
    return replace_file(disk, "", newest_name, encode_newest(version));
}

Result<void> Store::State::retract(VersionNumber version) {
    const std::string folder = version_folder(version);
    auto removed = disk.remove(folder + "/" + manifest_name);
    if (!removed && removed.error().code != Errc::not_found) return removed;
    if (removed) SSI_TRY(disk.sync_directory(folder));
    fault_point(FaultPoint::manifest_removed);
    return {};
}

Result<void> Store::State::drop_member(VersionNumber version, MemberIndex member) {
    const std::string folder = version_folder(version);
    if (manifest(version)) return fail(Errc::exists, "the version is committed");
    SSI_TRY(remove_folder(disk, member_folder(version, member)));
    const auto others = members(version);
    if (others && others->empty()) return remove_folder(disk, folder);
    return {};
}

// What makes room goes first: a full disk has none for remembering.
Result<void> Store::State::erase(VersionNumber version) {
    SSI_TRY(retract(version));
    const auto all = members(version);
    if (!all && all.error().code == Errc::not_found) return {};   // it has nothing of it
    if (!all) return tl::unexpected<Failure>(all.error());
    for (const MemberIndex member : *all)
        SSI_TRY(remove_folder(disk, member_folder(version, member)));
    const auto newest = newest_begun();
    if (!newest) return tl::unexpected<Failure>(newest.error());
    if (*newest == version) SSI_TRY(remember(version));
    SSI_TRY(remove_folder(disk, version_folder(version)));
    return disk.sync_directory("");
}

Result<std::vector<BaseVersion>> Store::State::bases_of_members(VersionNumber version) {
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

namespace {

// The versions that a version refers to, by all that the stores have of it. io, or what a disk
// said, when that cannot be told.
Result<std::set<VersionNumber>> bases_of(std::span<Store* const> stores, VersionNumber version) {
    std::set<VersionNumber> versions;
    std::optional<Failure> unclear;
    bool whole = false;
    for (Store* store : stores) {
        const auto manifest = store->manifest(version);
        // Uncommitted, or its manifest is damaged: then the members tell.
        const auto bases = manifest ? manifest->bases() : store->state().bases_of_members(version);
        whole = whole || manifest;
        if (!bases && bases.error().code != Errc::not_found) unclear = bases.error();
        if (bases)
            for (const BaseVersion& base : *bases) versions.insert(base.version);
    }
    // A manifest speaks for all members.
    if (unclear && !whole) return tl::unexpected(std::move(*unclear));
    return versions;
}

Result<std::set<VersionNumber>> versions_of(std::span<Store* const> stores) {
    std::set<VersionNumber> versions;
    for (Store* store : stores) {
        const auto here = store->state().versions();
        if (!here) return tl::unexpected<Failure>(here.error());
        versions.insert(here->begin(), here->end());
    }
    return versions;
}

// As long as one of them has the manifest nothing else is removed.
Result<void> erase(std::span<Store* const> stores, VersionNumber version) {
    for (Store* store : stores) SSI_TRY(store->state().retract(version));
    for (Store* store : stores) SSI_TRY(store->state().erase(version));
    return {};
}

// Whether somebody writes it in one of the stores: the name of that.
Result<std::optional<std::string>> writing_in(std::span<Store* const> stores,
                                              VersionNumber version) {
    for (Store* store : stores) {
        const auto writing = store->state().being_written(version);
        if (!writing && writing.error().code == Errc::not_found) continue;   // not here
        if (!writing) return tl::unexpected<Failure>(writing.error());
        if (*writing) return store->name();
    }
    return std::nullopt;
}

// exists, would_block: the later version `other` may refer to this one.
Result<void> check_unreferenced(std::span<Store* const> stores, VersionNumber version,
                                VersionNumber other) {
    const auto bases = bases_of(stores, other);
    if (!bases && bases.error().sys_errno != 0) return tl::unexpected<Failure>(bases.error());
    if (!bases)
        return fail(Errc::exists,
                    fmt::format("version {} may refer to version {}, it cannot be told ({}): "
                                "remove {} first", other, version, bases.error().text, other));
    if (bases->contains(version))
        return fail(Errc::exists, fmt::format("version {} refers to version {}: remove {} first",
                                              other, version, other));
    const bool committed = std::ranges::any_of(
        stores, [&](Store* store) { return store->manifest(other).has_value(); });
    if (committed) return {};
    const auto writing = writing_in(stores, other);
    if (!writing) return tl::unexpected<Failure>(writing.error());
    if (!*writing) return {};
    return fail(Errc::would_block, fmt::format("version {} of {} is being written and may refer to "
                                               "version {}", other, **writing, version));
}

}  // namespace

Result<void> remove_version(std::span<Store* const> stores, VersionNumber version) {
    const auto versions = versions_of(stores);
    if (!versions) return tl::unexpected<Failure>(versions.error());
    if (!versions->contains(version)) return no_version(stores, version);
    for (auto other = versions->upper_bound(version); other != versions->end(); ++other)
        SSI_TRY(check_unreferenced(stores, version, *other));
    const auto writing = writing_in(stores, version);
    if (!writing) return tl::unexpected<Failure>(writing.error());
    if (*writing)
        return fail(Errc::would_block,
                    fmt::format("version {} of {} is being written", version, **writing));
    return erase(stores, version);
}

Result<Pruned> prune_versions(std::span<Store* const> stores, const PruneOptions& options) {
    const auto versions = list_versions(stores);
    if (!versions) return tl::unexpected<Failure>(versions.error());
    std::set<VersionNumber> needed;
    std::map<std::uint32_t, std::size_t> kept;   // of each level that is named; 0: of all others
    Pruned pruned;
    // The newest first: each refers to older ones only, and is removed before them.
    for (auto at = versions->rbegin(); at != versions->rend(); ++at) {
        const bool complete = at->state == VersionState::complete ||
                              (options.elsewhere && at->manifest &&
                               at->state == VersionState::incomplete);
        const auto named = complete ? options.of_level.find(at->manifest->level)
                                    : options.of_level.end();
        const bool by_level = named != options.of_level.end();
        std::size_t& before = kept[by_level ? named->first : 0];
        const bool old = complete && before >= (by_level ? named->second : options.keep);
        if (complete) ++before;
        if (old && needed.contains(at->version)) pruned.needed.push_back(at->version);
        if (old && !needed.contains(at->version) && !at->writing) {
            pruned.removed.push_back(at->version);
            continue;
        }
        auto bases = bases_of(stores, at->version);
        if (!bases) {
            Failure failure = std::move(bases).error();
            failure.text = fmt::format("nothing is pruned, as what version {} refers to cannot be "
                                       "told ({}): remove it first", at->version, failure.text);
            return tl::unexpected<Failure>(std::move(failure));
        }
        needed.merge(*bases);
    }
    if (!options.dry_run)
        for (const VersionNumber version : pruned.removed) SSI_TRY(erase(stores, version));
    std::ranges::reverse(pruned.removed);
    std::ranges::reverse(pruned.needed);
    return pruned;
}

Result<void> Store::remove(VersionNumber version) {
    Store* const one[] = {this};
    return remove_version(one, version);
}

Result<Pruned> Store::prune(std::size_t keep) {
    Store* const one[] = {this};
    return prune_versions(one, {.keep = keep});
}

Result<std::vector<VersionNumber>> Store::clean(std::span<const VersionNumber> committed) {
    const auto versions = state_->versions();
    if (!versions) return tl::unexpected<Failure>(versions.error());
    std::vector<VersionNumber> cleaned;
    for (const VersionNumber version : *versions) {
        // A member that was being rebuilt; what is kept of it lies in another folder.
        const auto folders = state_->disk.list_directories(version_folder(version));
        if (!folders) return tl::unexpected<Failure>(folders.error());
        for (const std::string& name : *folders)
            if (is_rebuild(name))
                SSI_TRY(remove_folder(state_->disk, version_folder(version) + "/" + name));
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
