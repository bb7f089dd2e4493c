// SPDX-License-Identifier: BSD-3-Clause
#include "ssi/ckpt/store.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "dataset_write.hpp"
#include "manifest.hpp"
#include "parity_file.hpp"
#include "store_files.hpp"
#include "store_list.hpp"
#include "store_state.hpp"

namespace ssi::ckpt {
namespace {

std::string path_of(VersionNumber version) {
    return version_folder(version) + "/" + manifest_name;
}

template <class T>
Result<T> decoded(Result<T> value, const io::Disk& disk, const std::string& path) {
    if (value) return value;
    return tl::unexpected(in_file(std::move(value).error(), disk, path));
}

}  // namespace

io::SealedLogOptions log_of(io::Disk& disk, const MemberInfo& member) {
    return {.disk = &disk,
            .directory = member_folder(member.version, member.member),
            .identity = {member.dataset, member.member},
            .segments = member.log.segments};
}

Result<MemberLock> MemberLock::take(Store::State& store, VersionNumber version,
                                    MemberIndex member) {
    std::lock_guard lock(store.mutex);
    if (!store.writers.emplace(version, member).second)
        return fail(Errc::would_block, fmt::format("member {} of version {} is being written",
                                                   member, version));
    return MemberLock(store, {version, member});
}

MemberLock::~MemberLock() {
    if (!store_) return;
    std::lock_guard lock(store_->mutex);
    store_->writers.erase(name_);
}

Result<void> MemberLock::lock_folder() {
    if (!store_->options.lock) return {};
    auto taken = io::DirectoryLock::take(
        store_->disk.name() + "/" + member_folder(name_.first, name_.second), true);
    if (!taken) return tl::unexpected<Failure>(std::move(taken).error());
    directory_ = std::move(*taken);
    return {};
}

bool Store::State::has_writer(VersionNumber version) {
    std::lock_guard lock(mutex);
    const auto found = writers.lower_bound({version, 0});
    return found != writers.end() && found->first == version;
}

Result<bool> Store::State::being_written(VersionNumber version) {
    if (has_writer(version)) return true;
    if (!options.lock) return false;
    const auto all = members(version);
    if (!all) return tl::unexpected<Failure>(all.error());
    for (const MemberIndex member : *all) {
        const auto taken = io::DirectoryLock::take(
            disk.name() + "/" + member_folder(version, member), false);
        if (!taken && taken.error().code == Errc::would_block) return true;
        // A store that cannot be written has no writer.
        if (!taken && taken.error().sys_errno != EROFS && taken.error().sys_errno != EACCES)
            return tl::unexpected<Failure>(taken.error());
    }
    return false;
}

Result<std::vector<VersionNumber>> Store::State::versions() {
    const auto folders = disk.list_directories("");
    if (!folders) return tl::unexpected<Failure>(folders.error());
    std::vector<VersionNumber> all;
    for (const std::string& folder : *folders)
        if (const auto version = version_of(folder)) all.push_back(*version);
    std::ranges::sort(all);
    return all;
}

Result<std::vector<MemberIndex>> Store::State::members(VersionNumber version) {
    const auto folders = disk.list_directories(version_folder(version));
    if (!folders) return tl::unexpected<Failure>(folders.error());
    std::vector<MemberIndex> all;
    for (const std::string& folder : *folders)
        if (const auto member = member_of(folder)) all.push_back(*member);
    std::ranges::sort(all);
    return all;
}

Result<Manifest> Store::State::manifest(VersionNumber version) {
    const std::string path = path_of(version);
    const auto bytes = read_file(disk, path);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    auto manifest = decode_manifest(*bytes);
    if (manifest && manifest->version != version)
        manifest = fail(Errc::io, fmt::format("it is that of version {}", manifest->version));
    return decoded(std::move(manifest), disk, path);
}

Result<MemberInfo> Store::State::member(VersionNumber version, MemberIndex member) {
    const std::string path = member_folder(version, member) + "/" + member_name;
    const auto bytes = read_file(disk, path);
    if (!bytes) return tl::unexpected<Failure>(bytes.error());
    auto info = decode_member(*bytes);
    if (info && (info->version != version || info->member != member))
        info = fail(Errc::io, fmt::format("it is member {} of version {}", info->member,
                                          info->version));
    return decoded(std::move(info), disk, path);
}

Result<VersionNumber> Store::State::newest_begun() {
    VersionNumber newest = 0;
    const auto bytes = read_file(disk, newest_name);
    if (bytes) {
        const auto remembered = decoded(decode_newest(*bytes), disk, newest_name);
        if (!remembered) return remembered;
        newest = *remembered;
    } else if (bytes.error().code != Errc::not_found) {
        return tl::unexpected<Failure>(bytes.error());
    }
    const auto here = versions();
    if (!here) return tl::unexpected<Failure>(here.error());
    return here->empty() ? newest : std::max(newest, here->back());
}

Store::Store(std::unique_ptr<State> state) : state_(std::move(state)) {}
Store::~Store() = default;
const std::string& Store::name() const { return state_->disk.name(); }

Result<std::unique_ptr<Store>> Store::open(const StoreOptions& options) {
    auto state = std::make_unique<State>(options);
    if (const auto versions = state->versions(); !versions)
        return tl::unexpected<Failure>(versions.error());
    return std::unique_ptr<Store>(new Store(std::move(state)));
}

Result<VersionNumber> Store::next_version() {
    const auto newest = state_->newest_begun();
    if (!newest) return newest;
    return *newest + 1;
}

Result<std::unique_ptr<MemberWriter>> Store::begin(const MemberOptions& options) {
    if (options.version == 0) return fail(Errc::invalid_argument, "versions begin with 1");
    const auto newest = state_->newest_begun();
    if (!newest) return tl::unexpected<Failure>(newest.error());
    const auto members = state_->members(options.version);
    if (!members && members.error().code != Errc::not_found)
        return tl::unexpected<Failure>(members.error());
    // The newest may be here because another member of it was begun.
    if (*newest > options.version || (*newest == options.version && !members))
        return fail(Errc::exists, fmt::format("{} has had version {}: versions only grow, take {}",
                                              name(), *newest, *newest + 1));
    auto lock = MemberLock::take(*state_, options.version, options.member);
    if (!lock) return tl::unexpected<Failure>(std::move(lock).error());
    auto impl = std::make_unique<MemberWriter::Impl>(*state_, std::move(*lock));
    if (auto begun = impl->begin(options); !begun) {
        // Folders that are empty go; a member of somebody else is not.
        (void)state_->disk.remove_directory(member_folder(options.version, options.member));
        const auto others = state_->disk.list_directories(version_folder(options.version));
        const bool refused = begun.error().code == Errc::exists ||
                             begun.error().code == Errc::would_block;
        if (!refused && others && others->empty())
            (void)remove_folder(state_->disk, version_folder(options.version));
        return tl::unexpected<Failure>(std::move(begun).error());
    }
    return std::unique_ptr<MemberWriter>(new MemberWriter(std::move(impl)));
}

Result<void> Store::commit(const Manifest& manifest) {
    SSI_TRY(check_manifest(manifest));
    State& state = *state_;
    const std::string folder = version_folder(manifest.version);
    SSI_TRY(state.disk.make_directory(folder));
    const auto there = state.manifest(manifest.version);
    if (!there && there.error().sys_errno != 0 && there.error().code != Errc::not_found)
        return tl::unexpected<Failure>(there.error());
    if (there || there.error().code != Errc::not_found)
        return fail(Errc::exists, fmt::format("{} has a manifest of version {} already", name(),
                                              manifest.version));
    const auto members = state.members(manifest.version);
    if (!members) return tl::unexpected<Failure>(members.error());
    for (const MemberIndex index : *members) {
        const auto member = state.member(manifest.version, index);
        if (!member) return tl::unexpected<Failure>(member.error());
        if (index >= manifest.members.size() || manifest.members[index] != *member)
            return fail(Errc::mismatch,
                        fmt::format("{}/{} is another member than the manifest names",
                                    name(), member_folder(manifest.version, index)));
    }
    for (const BaseVersion& base : manifest.bases()) {
        const auto older = state.manifest(base.version);
        if (!older) return tl::unexpected<Failure>(older.error());
        if (older->dataset != base.dataset)
            return fail(Errc::mismatch, fmt::format("version {} is not the one that version {} "
                                                    "refers to", base.version, manifest.version));
    }
    SSI_TRY(state.disk.sync_directory(""));
    return replace_file(state.disk, folder, manifest_name, encode_manifest(manifest));
}

Result<Manifest> Store::manifest(VersionNumber version) { return state_->manifest(version); }
Result<MemberInfo> Store::member(VersionNumber version, MemberIndex member) {
    return state_->member(version, member);
}
Result<std::uint64_t> Store::parity_bytes(VersionNumber version, MemberIndex member) {
    const auto info = parity_in(*this, version, member);
    if (!info) return tl::unexpected<Failure>(info.error());
    return info->bytes();
}

}  // namespace ssi::ckpt
