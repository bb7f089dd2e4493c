// SPDX-License-Identifier: BSD-3-Clause
#include "parity_plan.hpp"

#include <algorithm>
#include <ranges>
#include <set>

#include "manifest.hpp"
#include "parity_file.hpp"

namespace ssi::ckpt {
namespace {

bool has(const std::vector<int>& ranks, int rank) {
    return std::ranges::find(ranks, rank) != ranks.end();
}

// Where its store is, by what else that has; else where the store of its rank would be seen, or
// the next one; of these the first whose own store has nothing of its group.
int place_for(std::span<const Choice> choices, const Choice& choice, MemberIndex member,
              std::span<const Seat> seats) {
    std::vector<int> places;
    for (const Choice& other : choices)
        if (other.level == parity_level && member < other.holders.size())
            places.insert(places.end(), other.holders[member].begin(),
                          other.holders[member].end());
    for (std::size_t i = 0; i < seats.size(); ++i)
        places.push_back(static_cast<int>((member + i) % seats.size()));
    const auto free = std::ranges::find_if(places, [&](int rank) {
        return std::ranges::none_of(choice.group_of(member), [&](MemberIndex other) {
            return has(choice.holders[other], seats[static_cast<std::size_t>(rank)].store);
        });
    });
    return free == places.end() ? static_cast<int>(member % seats.size()) : *free;
}

ParityRebuild rebuild_of(const Choice& choice, MemberIndex member, bool make_member, int to) {
    ParityRebuild one{.dataset = choice.dataset,
                      .version = choice.version,
                      .member = member,
                      .make_member = make_member,
                      .make_parity = !make_member || choice.parity[member].empty(),
                      .to = to,
                      .manifest_at = choice.manifest_at,
                      .from = {}};
    for (const MemberIndex other : choice.group_of(member)) {
        if (other == member) {
            one.from.push_back(to);
            continue;
        }
        const auto reads = [&](int rank) {
            return has(choice.holders[other], rank) &&
                   (!make_member || has(choice.parity[other], rank));
        };
        int from = reads(to) ? to : -1;
        for (const int rank : choice.holders[other])
            if (from < 0 && reads(rank)) from = rank;
        one.from.push_back(from);
    }
    return one;
}

}  // namespace

std::vector<ParityRebuild> missing_parity(std::span<const Choice> choices,
                                          std::span<const Seat> seats) {
    std::vector<ParityRebuild> wanted;
    // The oldest first: a store takes no manifest before those that it refers to.
    for (const Choice& choice : std::views::reverse(choices)) {
        if (choice.level != parity_level || choice.manifest_at < 0) continue;
        for (MemberIndex member = 0; member < choice.groups.size(); ++member) {
            if (choice.groups[member] == 0) continue;
            const bool lost = choice.holders[member].empty();
            if (lost && why_not_rebuilt(choice, member).empty())
                wanted.push_back(rebuild_of(choice, member, true,
                                            place_for(choices, choice, member, seats)));
            bool others = true;
            for (const MemberIndex other : choice.group_of(member))
                others = others && !choice.holders[other].empty();
            if (others && choice.parity[member].empty())
                wanted.push_back(rebuild_of(choice, member, false, choice.holders[member].front()));
        }
    }
    return wanted;
}

Bytes encode_rebuilds(std::span<const ParityRebuild> wanted) {
    Writer out;
    out.put(static_cast<std::uint32_t>(wanted.size()));
    for (const ParityRebuild& one : wanted) {
        out.put(one.dataset.high);
        out.put(one.dataset.low);
        out.put(one.version);
        out.put(one.member);
        out.put(static_cast<std::uint8_t>(one.make_member));
        out.put(static_cast<std::uint8_t>(one.make_parity));
        out.put(static_cast<std::int32_t>(one.to));
        out.put(static_cast<std::int32_t>(one.manifest_at));
        out.put(static_cast<std::uint32_t>(one.from.size()));
        for (const int from : one.from) out.put(static_cast<std::int32_t>(from));
    }
    return {out.bytes().begin(), out.bytes().end()};
}

std::vector<ParityRebuild> decode_rebuilds(std::span<const std::byte> bytes) {
    std::vector<ParityRebuild> wanted;
    Reader in(bytes);
    for (auto left = in.count(sizeof(std::uint64_t)); left > 0 && in.ok(); --left) {
        ParityRebuild& one = wanted.emplace_back();
        one.dataset.high = in.get<std::uint64_t>();
        one.dataset.low = in.get<std::uint64_t>();
        one.version = in.get<std::uint64_t>();
        one.member = in.get<MemberIndex>();
        one.make_member = in.get<std::uint8_t>() != 0;
        one.make_parity = in.get<std::uint8_t>() != 0;
        one.to = in.get<std::int32_t>();
        one.manifest_at = in.get<std::int32_t>();
        for (auto from = in.count(sizeof(std::int32_t)); from > 0; --from)
            one.from.push_back(in.get<std::int32_t>());
    }
    return wanted;
}

std::vector<Damaged> find_damage(Places& places, const Manifest& manifest,
                                 std::span<const MemberIndex> mine) {
    std::vector<Damaged> damaged;
    std::set<VersionNumber> seen{manifest.version};
    std::vector<Manifest> all{manifest};
    while (!all.empty()) {
        const Manifest one = std::move(all.back());
        all.pop_back();
        for (const MemberIndex member : mine) {
            if (member >= one.members.size()) continue;
            for (Store* store : places.all()) {
                const auto here = store->member(one.version, member);
                if (!here || *here != one.members[member]) continue;
                if (!verify_log(store->state().disk, member_folder(one.version, member), *here))
                    damaged.push_back({one.version, member});
                break;
            }
        }
        for (const BaseVersion& base : one.bases())
            if (seen.insert(base.version).second)
                for (Store* store : places.all())
                    if (auto older = store->manifest(base.version)) {
                        all.push_back(std::move(*older));
                        break;
                    }
    }
    return damaged;
}

}  // namespace ssi::ckpt
