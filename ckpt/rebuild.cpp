// SPDX-License-Identifier: BSD-3-Clause
#include "rebuild.hpp"

#include <algorithm>
#include <ranges>

#include "cleaning.hpp"
#include "manifest.hpp"

namespace ssi::ckpt {
namespace {

constexpr std::uint32_t level_with_copies = 2;

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

Result<void> make(node::Node& node, Places& places, Copies& copies, const Rebuild& one) {
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
        const auto done = agree(node, make(node, places, copies, one));
        if (!done && done.error().code == Errc::peer_lost)
            return tl::unexpected<Failure>(done.error());
        if (done) {
            SSI_TRY(give_manifest(node, places, one.copy.version, one.manifest_at));
            ++made;
        } else if (node.rank() == 0) {
            SSI_LOG(node.doors().log, warn, "checkpoint",
                    "member {} of version {} has no second copy: {}", one.copy.member,
                    one.copy.version, done.error().to_string());
        }
    }
    return made;
}

}  // namespace ssi::ckpt
