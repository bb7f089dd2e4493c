// SPDX-License-Identifier: BSD-3-Clause
#include "store_list.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "parity_file.hpp"
#include "store_files.hpp"
#include "store_state.hpp"

namespace ssi::ckpt {
namespace {

// Whether the member that the manifest names is in the store, as it says. Damage is a failure.
Result<bool> has_member(Store::State& store, const MemberInfo& wanted) {
    const auto found = store.member(wanted.version, wanted.member);
    if (!found && found.error().code == Errc::not_found) return false;
    if (!found) return tl::unexpected<Failure>(found.error());
    if (found->dataset != wanted.dataset) return false;   // of an attempt by the same number
    const std::string folder = member_folder(wanted.version, wanted.member);
    if (*found != wanted)
        return tl::unexpected(in_file({Errc::io, 0, no_node,
                                       "it is another member than the manifest names"},
                                      store.disk, folder + "/" + member_name));
    const auto names = store.disk.list(folder);
    if (!names) return tl::unexpected<Failure>(names.error());
    const auto segments = std::ranges::count_if(
        *names, [](const std::string& name) { return name.ends_with(".seg"); });
    if (static_cast<std::uint64_t>(segments) == wanted.log.segments) return true;
    return tl::unexpected(in_file({Errc::io, 0, no_node,
                                   fmt::format("{} of {} segment files are there", segments,
                                               wanted.log.segments)},
                                  store.disk, folder));
}

struct Found {
    std::vector<Manifest> manifests;     // different ones
    std::vector<Failure> faults;
    bool folder = false;
    bool writing = false;
    std::vector<MemberIndex> members;    // folders
};

Result<Found> find(std::span<Store* const> stores, VersionNumber version) {
    Found found;
    for (Store* one : stores) {
        Store::State& store = one->state();
        const auto members = store.members(version);
        if (!members && members.error().code == Errc::not_found) continue;
        if (!members) return tl::unexpected<Failure>(members.error());
        found.folder = true;
        found.members.insert(found.members.end(), members->begin(), members->end());
        const auto writing = store.being_written(version);
        if (!writing) return tl::unexpected<Failure>(writing.error());
        found.writing = found.writing || *writing;
        auto manifest = store.manifest(version);
        if (manifest) {
            if (std::ranges::find(found.manifests, *manifest) == found.manifests.end())
                found.manifests.push_back(std::move(*manifest));
        } else if (manifest.error().code != Errc::not_found) {
            found.faults.push_back(std::move(manifest).error());
        }
    }
    std::ranges::sort(found.members);
    return found;
}

// What is kept of the level's parity, and whether that makes good what is missing.
void look_for_parity(std::span<Store* const> stores, VersionInfo& info) {
    const Manifest& manifest = *info.manifest;
    const auto kept = place_parity(stores, manifest);
    for (MemberIndex member = 0; member < kept.size(); ++member)
        if (kept[member]) info.parity.push_back(member);
    if (info.state == VersionState::complete) return;
    const auto has = [](const std::vector<MemberIndex>& all, MemberIndex member) {
        return std::ranges::binary_search(all, member);
    };
    for (const MemberInfo& member : manifest.members)
        if (!has(info.present, member.member)) {
            const auto group = manifest.group_of(member.member);
            const bool good = !group.empty() && std::ranges::all_of(group, [&](MemberIndex one) {
                return one == member.member || (has(info.present, one) && has(info.parity, one));
            });
            if (!good) return;
        }
    info.why += " (a restart rebuilds it by parity)";
}

std::string joined(const std::vector<MemberIndex>& members) {
    std::string text;
    for (std::size_t i = 0; i < members.size() && i < 16; ++i)
        text += fmt::format("{}{}", i ? ", " : "", members[i]);
    return members.size() > 16 ? text + fmt::format(" and {} more", members.size() - 16) : text;
}

}  // namespace

Placed place_members(std::span<Store* const> stores, const Manifest& manifest) {
    Placed placed;
    placed.where.resize(manifest.members.size());
    std::vector<MemberIndex> missing;
    std::optional<Failure> fault;
    for (const MemberInfo& member : manifest.members) {
        Store*& where = placed.where[member.member];
        for (Store* store : stores) {
            const auto has = has_member(store->state(), member);
            if (!has && !fault) fault = has.error();
            if (has && *has) where = store;
            if (where) break;
        }
        if (where)
            placed.info.present.push_back(member.member);
        else
            missing.push_back(member.member);
    }
    if (missing.empty()) {
        placed.info.state = VersionState::complete;
    } else if (fault) {
        placed.info.state = VersionState::damaged;
        placed.info.why = fault->text;
        placed.code = fault->code;
    } else {
        placed.info.why = fmt::format("member {} of {} is not there", joined(missing),
                                      manifest.members.size());
        placed.code = Errc::io;
    }
    return placed;
}

std::string names_of(std::span<Store* const> stores) {
    if (stores.empty()) return "no store";
    const std::string& first = stores.front()->name();
    return stores.size() == 1 ? first : fmt::format("{} and {} more", first, stores.size() - 1);
}

tl::unexpected<Failure> no_version(std::span<Store* const> stores, VersionNumber version) {
    return fail(Errc::not_found, fmt::format("no version {} in {}", version, names_of(stores)));
}

Result<Placed> place_version(std::span<Store* const> stores, VersionNumber version) {
    auto found = find(stores, version);
    if (!found) return tl::unexpected<Failure>(std::move(found).error());
    if (!found->folder) return no_version(stores, version);
    Placed best;
    bool any = false;
    for (Manifest& manifest : found->manifests) {
        Placed placed = place_members(stores, manifest);
        if (any && placed.info.state != VersionState::complete) continue;
        placed.info.manifest = std::move(manifest);
        best = std::move(placed);
        any = true;
        if (best.info.state == VersionState::complete) break;
    }
    if (!any) {
        best.info.present = std::move(found->members);
        best.code = Errc::io;
        best.info.why = found->writing ? "it is being written"
                                       : "it has no manifest: it was not committed";
        if (!found->faults.empty()) {
            best.info.state = VersionState::damaged;
            best.info.why = found->faults.front().text;
            best.code = found->faults.front().code;
        }
    }
    if (best.info.manifest && best.info.manifest->level == parity_level)
        look_for_parity(stores, best.info);
    best.info.version = version;
    best.info.writing = found->writing;
    return best;
}

Result<std::vector<VersionInfo>> list_versions(std::span<Store* const> stores) {
    std::set<VersionNumber> versions;
    for (Store* store : stores) {
        const auto here = store->state().versions();
        if (!here) return tl::unexpected<Failure>(here.error());
        versions.insert(here->begin(), here->end());
    }
    std::vector<VersionInfo> all;
    for (const VersionNumber version : versions) {
        auto placed = place_version(stores, version);
        if (!placed && placed.error().code == Errc::not_found) continue;   // removed meanwhile
        if (!placed) return tl::unexpected<Failure>(std::move(placed).error());
        all.push_back(std::move(placed->info));
    }
    return all;
}

Result<std::vector<VersionInfo>> Store::list() {
    Store* const one[] = {this};
    return list_versions(one);
}

Result<std::optional<VersionNumber>> Store::newest() {
    const auto versions = state_->versions();
    if (!versions) return tl::unexpected<Failure>(versions.error());
    Store* const one[] = {this};
    for (auto at = versions->rbegin(); at != versions->rend(); ++at) {
        const auto placed = place_version(one, *at);
        if (!placed && placed.error().code == Errc::not_found) continue;
        if (!placed) return tl::unexpected<Failure>(placed.error());
        if (placed->info.state == VersionState::complete) return *at;
    }
    return std::nullopt;
}

}  // namespace ssi::ckpt
