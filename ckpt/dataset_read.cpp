// SPDX-License-Identifier: BSD-3-Clause
#include "dataset_read.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ssi::ckpt {

Result<TakenApart> Dataset::Impl::take_apart(const Member& member, const io::FoundRecord& record,
                                             std::span<const std::byte> payload) const {
    const auto senseless = [&](const char* what) {
        return fail(Errc::io,
                    fmt::format("{}, segment {}, byte {}: a record of item {} object {}:{} with {}",
                                member.name, record.place.segment, record.place.offset,
                                record.set.value, record.id.hi, record.id.lo, what));
    };
    TakenApart out{.part = {.item = record.set,
                            .id = record.id,
                            .version = record.version,
                            .offset = 0,
                            .total = record.value_bytes},
                   .bytes = payload,
                   .base = {}};
    if (record.flags & io::record_piece) {
        PieceHead head;
        if (payload.size() < sizeof head) return senseless("no place");
        std::memcpy(&head, payload.data(), sizeof head);
        out.bytes = payload.subspan(sizeof head);
        out.part.offset = head.offset;
        out.part.total = head.total;
        if (head.offset > head.total || record.value_bytes > head.total - head.offset)
            return senseless("a place outside of it");
    }
    if (record.kind == io::RecordKind::ref) {
        RefBody body;
        if (out.bytes.size() != sizeof body) return senseless("no reference");
        std::memcpy(&body, out.bytes.data(), sizeof body);
        out.base = {body.version, body.member};
        out.bytes = {};
        // Only older versions: so following them ends.
        if (body.version == 0 || body.version >= manifest.version)
            return senseless("a reference to no older version");
        return out;
    }
    const bool zero = record.kind == io::RecordKind::zero;
    if (!zero && record.kind != io::RecordKind::raw) return senseless("a kind that is not used");
    if (out.bytes.size() != (zero ? 0 : record.value_bytes)) return senseless("another length");
    return out;
}

Result<void> Dataset::Impl::follow(const Base& to, const Part& part, std::uint64_t length,
                                   unsigned depth, const Visit& visit) {
    if (depth >= max_chain)
        return fail(Errc::io, fmt::format("more than {} versions refer to each other", max_chain));
    auto older = base(to.version);
    if (!older) return tl::unexpected<Failure>(std::move(older).error());
    return (*older)->impl_->read_range(to.member, part, length, depth + 1, visit);
}

Result<void> Dataset::Impl::has_range(MemberIndex which, const Part& part, std::uint64_t length) {
    const auto index = index_of(which);
    if (!index) return tl::unexpected<Failure>(index.error());
    if (!find(**index, part, length).empty()) return {};
    return fail(Errc::io, fmt::format("{}: bytes {} to {} of item {} object {}:{} are not there, a "
                                      "later version needs them",
                                      members[which].name, part.offset, part.offset + length,
                                      part.item.value, part.id.hi, part.id.lo));
}

Result<void> Dataset::Impl::read_range(MemberIndex which, const Part& part, std::uint64_t length,
                                       unsigned depth, const Visit& visit) {
    SSI_TRY(has_range(which, part, length));
    const auto index = index_of(which);
    if (!index) return tl::unexpected<Failure>(index.error());
    const Member& from = members[which];
    const std::uint64_t end = part.offset + length;
    for (const IndexEntry& entry : find(**index, part, length)) {
        // What of the entry is wanted.
        const std::uint64_t first = std::max(part.offset, entry.offset);
        const std::uint64_t last = std::min<std::uint64_t>(end, entry.offset + entry.length);
        FoundPart found{part, last - first, entry.kind == io::RecordKind::zero, {},
                        manifest.version};
        found.part.offset = first;
        if (found.zero) {
            SSI_TRY(visit(found));
            continue;
        }
        const auto payload = from.reader->read(entry.place);
        if (!payload) return tl::unexpected<Failure>(payload.error());
        const io::FoundRecord record{.kind = entry.kind,
                                     .flags = entry.piece ? io::record_piece : std::uint8_t{0},
                                     .set = entry.item,
                                     .id = entry.id,
                                     .version = entry.version,
                                     .value_bytes = entry.length,
                                     .batch = 0,
                                     .place = entry.place};
        const auto taken = take_apart(from, record, *payload);
        if (!taken) return tl::unexpected<Failure>(taken.error());
        if (entry.piece && taken->part.offset != entry.offset)
            return fail(Errc::io, fmt::format("{}: parts of item {} object {}:{} have gaps",
                                              from.name, entry.item.value, entry.id.hi,
                                              entry.id.lo));
        if (entry.kind == io::RecordKind::ref) {
            SSI_TRY(follow(taken->base, found.part, last - first, depth, visit));
            continue;
        }
        found.bytes = taken->bytes.subspan(first - entry.offset, last - first);
        SSI_TRY(visit(found));
    }
    return {};
}

Result<void> Dataset::Impl::stream(MemberIndex which, const Visit& visit,
                                   const Reference& reference) {
    const auto found = member(which);
    if (!found) return tl::unexpected<Failure>(found.error());
    const Member& from = **found;
    const auto summary = from.reader->stream(
        [&](const io::FoundRecord& record, std::span<const std::byte> payload) -> Result<void> {
            const auto taken = take_apart(from, record, payload);
            if (!taken) return tl::unexpected<Failure>(taken.error());
            if (record.kind == io::RecordKind::ref) return reference(*taken, record.value_bytes);
            return visit({taken->part, record.value_bytes, record.kind == io::RecordKind::zero,
                          taken->bytes, manifest.version});
        });
    if (!summary) return tl::unexpected<Failure>(summary.error());
    if (*summary == manifest.members[which].log) return {};
    return fail(Errc::io, fmt::format("{}: every record is whole, but they are not those that the "
                                      "manifest names (digest)", from.name));
}

Result<void> Dataset::stream(MemberIndex which, const Visit& visit) {
    return impl_->stream(which, visit, [&](const TakenApart& taken, std::uint64_t length) {
        return impl_->follow(taken.base, taken.part, length, 0, visit);
    });
}

Result<void> Dataset::verify(MemberIndex which, const Progress& progress) {
    return impl_->stream(
        which,
        [&](const FoundPart& part) -> Result<void> {
            if (progress) progress(part.bytes.size());
            return {};
        },
        [&](const TakenApart& taken, std::uint64_t length) -> Result<void> {
            auto older = impl_->base(taken.base.version);
            if (!older) return tl::unexpected<Failure>(std::move(older).error());
            return (*older)->impl_->has_range(taken.base.member, taken.part, length);
        });
}

Result<std::vector<std::byte>> Dataset::read(MemberIndex which, SetId item, ObjectId id,
                                             std::uint64_t most) {
    const auto index = impl_->index_of(which);
    if (!index) return tl::unexpected<Failure>(index.error());
    const auto of_object = std::ranges::equal_range(
        **index, std::pair(item, id), {},
        [](const IndexEntry& entry) { return std::pair(entry.item, entry.id); });
    if (of_object.empty())
        return fail(Errc::not_found,
                    fmt::format("member {} of version {} has no object {}:{} of item {}", which,
                                manifest().version, id.hi, id.lo, item.value));
    const IndexEntry& last = of_object.back();
    const std::uint64_t total = last.offset + last.length;
    std::vector<std::byte> bytes(std::min(total, most));
    const Part whole{item, id, last.version, 0, total};
    SSI_TRY(impl_->read_range(which, whole, bytes.size(), 0,
                              [&](const FoundPart& part) -> Result<void> {
                                  if (!part.zero)
                                      std::ranges::copy(part.bytes,
                                                        bytes.begin() +
                                                            static_cast<std::ptrdiff_t>(
                                                                part.part.offset));
                                  return {};
                              }));
    return bytes;
}

}  // namespace ssi::ckpt
