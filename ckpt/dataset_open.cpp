// SPDX-License-Identifier: BSD-3-Clause
// Opening a version, and finding in it: indexes, and the versions it refers to.
#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "dataset_read.hpp"
#include "store_files.hpp"
#include "store_list.hpp"
#include "store_state.hpp"

namespace ssi::ckpt {
namespace {

std::tuple<SetId, ObjectId> object_of(const IndexEntry& entry) { return {entry.item, entry.id}; }

// Offsets follow from the order: parts of an object follow each other without gaps.
void set_offsets(Index& index) {
    std::ranges::stable_sort(index, {}, object_of);
    for (std::size_t i = 1; i < index.size(); ++i)
        if (object_of(index[i]) == object_of(index[i - 1]))
            index[i].offset = index[i - 1].offset + index[i - 1].length;
}

}  // namespace

Result<void> Dataset::Impl::open(VersionNumber version, const Expected& expected) {
    auto placed = place_version(stores, version);
    if (!placed) return tl::unexpected<Failure>(std::move(placed).error());
    if (placed->info.manifest) {
        const Manifest& found = *placed->info.manifest;
        if (!expected.application.empty() && expected.application != found.application)
            return fail(Errc::mismatch,
                        fmt::format("version {} is of application \"{}\", this is \"{}\"", version,
                                    found.application, expected.application));
        if (!expected.session.empty() && expected.session != found.session)
            return fail(Errc::mismatch,
                        fmt::format("version {} is of session \"{}\", this is \"{}\"", version,
                                    found.session, expected.session));
    }
    if (placed->info.state != VersionState::complete)
        return fail(placed->code,
                    fmt::format("version {} of {} cannot be used: {}", version,
                                names_of(stores), placed->info.why));
    manifest = std::move(*placed->info.manifest);
    read_from(*placed);
    return {};
}

void Dataset::Impl::read_from(const Placed& placed) {
    for (const MemberInfo& info : manifest.members) {
        Member& one = members.emplace_back();
        if (!placed.where[info.member]) continue;
        io::Disk& disk = placed.where[info.member]->state().disk;
        one.name = fmt::format("{}/{}", disk.name(), member_folder(info.version, info.member));
        one.reader = std::make_unique<io::SealedLogReader>(log_of(disk, info));
    }
}

Result<Dataset::Impl::Member*> Dataset::Impl::member(MemberIndex index) {
    if (index < members.size() && !members[index].reader && damaged)
        return tl::unexpected(*damaged);
    if (index < members.size() && !members[index].reader)
        return fail(Errc::not_found, fmt::format("member {} of version {} is not in {}", index,
                                                 manifest.version, stores.front()->name()));
    if (index < members.size()) return &members[index];
    return fail(Errc::not_found, fmt::format("version {} has {} members and no member {}",
                                             manifest.version, members.size(), index));
}

Result<std::shared_ptr<const Index>> Dataset::Impl::index_of(MemberIndex which) {
    const auto found = member(which);
    if (!found) return tl::unexpected<Failure>(found.error());
    Member& one = **found;
    {
        std::lock_guard lock(mutex);
        if (one.index) return one.index;
    }
    auto index = std::make_shared<Index>();
    index->reserve(std::min<std::uint64_t>(manifest.members[which].log.records, 1 << 20));
    auto read = one.reader->index([&](const io::FoundRecord& record) {
        index->push_back({record.set, record.id, 0, record.version, record.value_bytes,
                          record.kind, (record.flags & io::record_piece) != 0, record.place});
    });
    if (!read) return tl::unexpected<Failure>(std::move(read).error());
    if (index->size() != manifest.members[which].log.records)
        return fail(Errc::io, fmt::format("{}: the indexes have {} of {} records", one.name,
                                          index->size(), manifest.members[which].log.records));
    set_offsets(*index);
    std::lock_guard lock(mutex);
    if (!one.index) one.index = std::move(index);
    return one.index;
}

std::span<const IndexEntry> Dataset::Impl::find(const Index& index, const Part& part,
                                                std::uint64_t length) {
    const auto key = [](const IndexEntry& entry) {
        return std::tuple(entry.item, entry.id, entry.offset);
    };
    auto from = std::ranges::upper_bound(index, std::tuple(part.item, part.id, part.offset), {},
                                         key);
    if (from == index.begin()) return {};
    --from;   // begins at the offset or before it
    auto until = from;
    const std::tuple object(part.item, part.id);
    std::uint64_t end = from->offset;
    do {
        if (until == index.end() || object_of(*until) != object) return {};
        end = until->offset + until->length;
        ++until;
    } while (end < part.offset + length);
    return {from, until};
}

// Not all of it need be here, but the member that is asked for.
Result<std::unique_ptr<Dataset>> Dataset::Impl::open_base(VersionNumber version) {
    auto placed = place_version(stores, version);
    if (!placed) return tl::unexpected<Failure>(std::move(placed).error());
    if (!placed->info.manifest)
        return fail(placed->code, fmt::format("version {} of {} cannot be used: {}", version,
                                              stores.front()->name(), placed->info.why));
    auto impl = std::make_unique<Impl>(stores);
    impl->manifest = std::move(*placed->info.manifest);
    impl->read_from(*placed);
    return std::unique_ptr<Dataset>(new Dataset(std::move(impl)));
}

Result<std::shared_ptr<Dataset>> Dataset::Impl::base(VersionNumber version) {
    {
        std::lock_guard lock(mutex);
        if (const auto found = bases.find(version); found != bases.end()) return found->second;
    }
    auto opened = open_base(version);
    if (!opened) {
        Failure failure = std::move(opened).error();
        failure.code = failure.code == Errc::not_found ? Errc::io : failure.code;
        failure.text = fmt::format("version {} needs version {}: {}", manifest.version, version,
                                   failure.text);
        return tl::unexpected<Failure>(std::move(failure));
    }
    for (const BaseVersion& wanted : manifest.bases())
        if (wanted.version == version && wanted.dataset != (*opened)->manifest().dataset)
            return fail(Errc::io, fmt::format("version {} needs another version {} than the one "
                                              "that is there", manifest.version, version));
    std::lock_guard lock(mutex);
    return bases.emplace(version, std::shared_ptr<Dataset>(std::move(*opened))).first->second;
}

Dataset::Dataset(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Dataset::~Dataset() = default;
const Manifest& Dataset::manifest() const { return impl_->manifest; }

Result<std::unique_ptr<Dataset>> Dataset::open(std::span<Store* const> stores,
                                               VersionNumber version, const Expected& expected) {
    auto impl = std::make_unique<Impl>(std::vector<Store*>(stores.begin(), stores.end()));
    if (auto opened = impl->open(version, expected); !opened)
        return tl::unexpected<Failure>(std::move(opened).error());
    return std::unique_ptr<Dataset>(new Dataset(std::move(impl)));
}

Result<std::unique_ptr<Dataset>> Dataset::open_part(std::span<Store* const> stores,
                                                    const Manifest& manifest) {
    auto impl = std::make_unique<Impl>(std::vector<Store*>(stores.begin(), stores.end()));
    impl->manifest = manifest;
    const Placed placed = place_members(stores, manifest);
    // What of it is damaged here may be whole elsewhere.
    if (placed.info.state == VersionState::damaged)
        impl->damaged = {placed.code, 0, no_node,
                         fmt::format("version {} cannot be used: {}", manifest.version,
                                     placed.info.why)};
    impl->read_from(placed);
    return std::unique_ptr<Dataset>(new Dataset(std::move(impl)));
}

}  // namespace ssi::ckpt
