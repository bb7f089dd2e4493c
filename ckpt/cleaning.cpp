// SPDX-License-Identifier: BSD-3-Clause
#include "cleaning.hpp"

#include <algorithm>
#include <cerrno>
#include <map>

#include "fault_point.hpp"
#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

// Of each version that a leader has in its stores: whether its manifest is among it.
Result<Bytes> seen_here(Places& places) {
    Writer out;
    if (!places.leads()) return Bytes();
    const auto versions = list_versions(places.all());
    if (!versions) return tl::unexpected<Failure>(versions.error());
    for (const VersionInfo& info : *versions) {
        out.put(info.version);
        out.put(static_cast<std::uint8_t>(info.manifest.has_value()));
    }
    return Bytes(out.bytes().begin(), out.bytes().end());
}

// At the first node: all that are committed, then those that somebody lacks.
Bytes together(const std::vector<Bytes>& told) {
    std::map<VersionNumber, std::uint32_t> holders;
    std::map<VersionNumber, bool> lacking;
    for (std::uint32_t rank = 0; rank < told.size(); ++rank)
        for (Reader in(told[rank]); !in.at_end() && in.ok();) {
            const auto version = in.get<std::uint64_t>();
            if (in.get<std::uint8_t>() != 0)
                holders.try_emplace(version, rank);
            else
                lacking[version] = true;
        }
    Writer out;
    out.put(static_cast<std::uint32_t>(holders.size()));
    for (const auto& [version, rank] : holders) {
        out.put(version);
        out.put(rank);
        out.put(static_cast<std::uint8_t>(lacking.contains(version)));
    }
    return {out.bytes().begin(), out.bytes().end()};
}

// What a store does not accept is of another dataset by the same number: it is left to `clean`.
void adopt(Places& places, const Manifest& manifest) {
    for (Store* store : places.all()) {
        if (store->manifest(manifest.version)) continue;
        for (const MemberInfo& member : manifest.members) {
            const auto here = store->member(manifest.version, member.member);
            if (!here || *here != member) continue;
            (void)store->commit(manifest);
            break;
        }
    }
}

}  // namespace

Result<void> give_manifest(node::Node& node, Places& places, VersionNumber version, int rank) {
    Bytes bytes;
    if (node.rank() == rank)
        for (Store* store : places.all())
            if (const auto manifest = store->manifest(version); manifest && bytes.empty())
                bytes = encode_manifest(*manifest);
    SSI_TRY(share(node, bytes, rank));
    const auto manifest = decode_manifest(bytes);
    if (manifest && places.leads()) adopt(places, *manifest);   // else it was removed meanwhile
    return {};
}

Result<void> clean_global(node::Node& node, Places& places) {
    Result<void> cleaned;
    if (node.rank() == 0)
        if (auto done = places.global()->clean(); !done)
            cleaned = tl::unexpected<Failure>(std::move(done).error());
    return agree(node, std::move(cleaned));
}

Result<void> clean(node::Node& node, Places& places) {
    auto mine = seen_here(places);
    SSI_TRY(agree(node, mine ? Result<void>() : tl::unexpected<Failure>(mine.error())));
    const auto told = gather(node, *mine);
    if (!told) return tl::unexpected<Failure>(told.error());
    Bytes bytes;
    if (node.rank() == 0) bytes = together(*told);
    SSI_TRY(share(node, bytes));
    std::vector<VersionNumber> committed;
    Reader in(bytes);
    for (auto left = in.get<std::uint32_t>(); left > 0 && in.ok(); --left) {
        committed.push_back(in.get<std::uint64_t>());
        const auto holder = static_cast<int>(in.get<std::uint32_t>());
        if (in.get<std::uint8_t>() != 0)
            SSI_TRY(give_manifest(node, places, committed.back(), holder));
    }
    fault_point(FaultPoint::cleaning);
    Result<void> cleaned;
    for (Store* store : places.all()) {
        if (!places.leads() || !cleaned) break;
        if (auto done = store->clean(committed); !done && done.error().sys_errno != EROFS)
            cleaned = tl::unexpected<Failure>(std::move(done).error());
    }
    return agree(node, std::move(cleaned));
}

}  // namespace ssi::ckpt
