// SPDX-License-Identifier: BSD-3-Clause
#include "rebuild.hpp"

#include <algorithm>
#include <optional>
#include <ranges>

#include "cleaning.hpp"
#include "manifest.hpp"
#include "member_copy.hpp"
#include "parity_file.hpp"

namespace ssi::ckpt {
namespace {

bool holds(const std::vector<int>& holders, const Seat& seat) {
    return std::ranges::find(holders, seat.store) != holders.end();
}

Bytes encode(std::span<const Rebuild> wanted) {
    Writer out;
    out.put(static_cast<std::uint32_t>(wanted.size()));
    for (const Rebuild& one : wanted) {
        out.put(one.copy.dataset.high);
        out.put(one.copy.dataset.low);
        out.put(one.copy.version);
        out.put(one.copy.member);
        out.put(static_cast<std::uint32_t>(one.from));
        out.put(static_cast<std::uint32_t>(one.to));
        out.put(static_cast<std::uint32_t>(one.manifest_at));
        out.put(static_cast<std::uint8_t>(one.damaged));
    }
    return {out.bytes().begin(), out.bytes().end()};
}

std::vector<Rebuild> decode(std::span<const std::byte> bytes) {
    std::vector<Rebuild> wanted;
    Reader in(bytes);
    for (auto left = in.count(sizeof(std::uint64_t)); left > 0 && in.ok(); --left) {
        Rebuild& one = wanted.emplace_back();
        one.copy.dataset.high = in.get<std::uint64_t>();
        one.copy.dataset.low = in.get<std::uint64_t>();
        one.copy.version = in.get<std::uint64_t>();
        one.copy.member = in.get<MemberIndex>();
        one.from = static_cast<int>(in.get<std::uint32_t>());
        one.to = static_cast<int>(in.get<std::uint32_t>());
        one.manifest_at = static_cast<int>(in.get<std::uint32_t>());
        one.damaged = in.get<std::uint8_t>() != 0;
    }
    return wanted;
}

// The store of this node that has the member.
Store* store_of(Places& places, const CopyOf& copy) {
    for (Store* store : places.all())
        if (const auto member = store->member(copy.version, copy.member);
            member && member->dataset == copy.dataset)
            return store;
    return nullptr;
}

// Collective: what the damaged member should be, as a manifest says.
Result<std::optional<MemberInfo>> info_of(node::Node& node, Places& places, const Rebuild& one) {
    Bytes bytes;
    if (node.rank() == one.manifest_at)
        for (Store* store : places.all())
            if (const auto manifest = store->manifest(one.copy.version);
                manifest && manifest->dataset == one.copy.dataset && bytes.empty())
                bytes = encode_manifest(*manifest);
    SSI_TRY(share(node, bytes, one.manifest_at));
    const auto manifest = decode_manifest(bytes);
    if (!manifest || one.copy.member >= manifest->members.size())
        return std::optional<MemberInfo>();
    return std::optional(manifest->members[one.copy.member]);
}

// Those of this node that have it, the one that it is read from first.
std::vector<Store*> stores_of(Places& places, const MemberInfo& info) {
    std::vector<Store*> stores;
    for (Store* store : places.all())
        if (const auto member = store->member(info.version, info.member); member && *member == info)
            stores.push_back(store);
    return stores;
}

// From another store of this node.
Result<void> repair_here(const std::vector<Store*>& stores, const MemberInfo& info) {
    for (std::size_t i = 1; i < stores.size(); ++i) {
        Store& from = *stores[i];
        if (!verify_log(from.state().disk, member_folder(info.version, info.member), info))
            continue;
        const auto names = files_of_member(from, info.version, info.member);
        if (!names) return tl::unexpected<Failure>(names.error());
        auto copy = MemberCopy::rebuild(*stores[0], info);
        if (!copy) return tl::unexpected<Failure>(std::move(copy).error());
        for (const std::string& name : *names)
            SSI_TRY(read_file_of_member(
                from, info.version, info.member, name, most_piece,
                [&](const FilePiece& piece) { return (*copy)->write(piece); }));
        return (*copy)->finish();
    }
    return fail(Errc::io, "the other copy is damaged, too, or has gone");
}

Result<void> repair(node::Node& node, Places& places, Copies& copies, const Rebuild& one,
                    const std::optional<MemberInfo>& info) {
    Result<void> ready;
    std::vector<Store*> stores;
    if (info) stores = stores_of(places, *info);
    if (!info)
        ready = fail(Errc::not_found, "its manifest has gone");
    else if (stores.empty())
        ready = fail(Errc::not_found, "the damaged member has gone");
    if (one.from == node.rank()) return ready ? repair_here(stores, *info) : ready;
    // Also when it is of no use: the other one sends.
    return copies.receive(one.from, one.copy, ready ? *stores[0] : places.own(),
                          info ? &*info : nullptr, ready);
}

Result<void> make(node::Node& node, Places& places, Copies& copies, const Rebuild& one,
                  const std::optional<MemberInfo>& info) {
    if (one.damaged && node.rank() == one.to) return repair(node, places, copies, one, info);
    if (node.rank() == one.from) {
        Store* store = store_of(places, one.copy);
        Result<void> ready;
        if (!store) ready = fail(Errc::not_found, "the member to be copied has gone");
        return copies.send(one.to, one.copy, store ? *store : places.own(), ready);
    }
    if (node.rank() == one.to) return copies.receive(one.from, one.copy, places.own());
    return {};
}

}  // namespace

std::vector<Rebuild> missing_copies(std::span<const Choice> choices, std::span<const Seat> seats,
                                    bool same_host) {
    std::vector<Rebuild> wanted;
    const auto partner = partners(seats, same_host);
    if (!partner) return wanted;
    // The oldest first: a store takes no manifest before those that it refers to.
    for (const Choice& choice : std::views::reverse(choices)) {
        if (choice.level != level_with_copies || !choice.why_not.empty()) continue;
        for (std::size_t member = 0; member < choice.holders.size(); ++member) {
            const auto& holders = choice.holders[member];
            if (holders.size() != 1) continue;
            const int from = choice.readers[member];
            int to = (*partner)[static_cast<std::size_t>(from)];
            if (member < seats.size() && !holds(holders, seats[member]))
                to = static_cast<int>(member);
            if (holds(holders, seats[static_cast<std::size_t>(to)])) continue;
            wanted.push_back({{choice.dataset, choice.version, static_cast<MemberIndex>(member)},
                              from, to, choice.manifest_at});
        }
    }
    return wanted;
}

std::vector<Rebuild> damaged_copies(std::span<const Choice> choices,
                                    std::span<const Damaged> damaged, std::span<const int> ranks,
                                    std::span<const int> leaders) {
    std::vector<Rebuild> wanted;
    for (std::size_t i = 0; i < damaged.size(); ++i) {
        const auto [version, member] = damaged[i];
        const auto choice = std::ranges::find(choices, version, &Choice::version);
        if (choice == choices.end() || choice->level != level_with_copies ||
            member >= choice->holders.size())
            continue;
        // Of all that see one, another than that rank; or it has both.
        int from = ranks[i];
        for (const int holder : choice->holders[member])
            if (holder != leaders[static_cast<std::size_t>(ranks[i])]) from = holder;
        wanted.push_back({{choice->dataset, version, member}, from, ranks[i],
                          choice->manifest_at, true});
    }
    std::ranges::sort(wanted, {}, [](const Rebuild& one) { return one.copy.version; });
    return wanted;
}

Result<std::uint64_t> rebuild(node::Node& node, Places& places, Copies& copies,
                              std::span<const Rebuild> wanted) {
    Bytes bytes;
    if (node.rank() == 0) bytes = encode(wanted);
    SSI_TRY(share(node, bytes));
    const auto all = decode(bytes);
    for (const Rebuild& one : all) copies.know(one.from, one.to);
    SSI_TRY(agree(node, {}));
    std::uint64_t made = 0;
    for (const Rebuild& one : all) {
        std::optional<MemberInfo> info;
        if (one.damaged) {
            auto found = info_of(node, places, one);
            if (!found) return tl::unexpected<Failure>(std::move(found).error());
            info = std::move(*found);
        }
        const auto done = agree(node, make(node, places, copies, one, info));
        if (!done && done.error().code == Errc::peer_lost)
            return tl::unexpected<Failure>(done.error());
        if (done) {
            SSI_TRY(give_manifest(node, places, one.copy.version, one.manifest_at));
            ++made;
        } else if (node.rank() == 0) {
            SSI_LOG(node.doors().log, warn, "checkpoint",
                    "member {} of version {} has no second copy that is whole: {}", one.copy.member,
                    one.copy.version, done.error().to_string());
        }
    }
    return made;
}

}  // namespace ssi::ckpt
