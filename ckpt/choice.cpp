// SPDX-License-Identifier: BSD-3-Clause
#include "choice.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "manifest.hpp"
#include "parity.hpp"

namespace ssi::ckpt {
namespace {

// A version that some rank has the manifest of: a rank sees the members that its leader does.
struct Known {
    DatasetId dataset;
    std::uint32_t level = 0;
    std::uint32_t members = 0;
    int manifest_at = -1;
    std::string why;
    std::vector<std::vector<int>> holders;   // leaders, by member
    std::vector<std::uint32_t> groups;
    std::vector<std::vector<int>> parity;
    std::vector<bool> global;            // by member: it is in the global store
    bool only_global = false;            // another version by the same number is in the stores

    void take_manifest(const SeenVersion& one, int rank) {
        dataset = one.dataset;
        level = one.level;
        members = one.members;
        manifest_at = rank;
        holders.resize(members);
        groups = one.groups;
        groups.resize(level == parity_level ? members : 0);
        parity.resize(members);
        global.resize(members);
    }
    Choice choice(VersionNumber version, std::span<const int> leaders) const;
};
// By number; of two by the same number, that which ranks have in their stores comes first.
using AllKnown = std::map<std::pair<VersionNumber, bool>, Known, std::greater<>>;

// Versions of the global store: the same as ranks have, or by a number that they do not have.
void add_global(std::span<const SeenVersion> seen, AllKnown& all) {
    for (const SeenVersion& one : seen) {
        const auto known = all.try_emplace({one.version, true}).first;
        if (one.members == 0) {
            if (known->second.why.empty()) known->second.why = one.why;
            continue;
        }
        Known* version = &known->second;
        if (version->manifest_at >= 0 && version->dataset != one.dataset) {
            version = &all[{one.version, false}];
            version->only_global = true;
        }
        if (version->manifest_at < 0) version->take_manifest(one, 0);
        for (const MemberIndex member : one.present)
            if (member < version->members) version->global[member] = true;
    }
}

void give_readers(Choice& choice, const Known& known, std::span<const int> leaders) {
    const auto ranks = static_cast<int>(leaders.size());
    std::vector<std::uint32_t> given(leaders.size());
    for (std::uint32_t member = 0; member < known.members; ++member) {
        const auto& holders = known.holders[member];
        const auto sees = [&](int rank) {
            return std::ranges::find(holders, leaders[static_cast<std::size_t>(rank)]) !=
                   holders.end();
        };
        int best = -1;
        if (member < leaders.size() && sees(static_cast<int>(member)))
            best = static_cast<int>(member);
        for (int rank = 0; best != static_cast<int>(member) && rank < ranks; ++rank) {
            if (!sees(rank)) continue;
            if (best < 0 || given[static_cast<std::size_t>(rank)] <
                                given[static_cast<std::size_t>(best)])
                best = rank;
        }
        if (best < 0 && known.global[member])
            best = member < leaders.size()
                       ? static_cast<int>(member)
                       : static_cast<int>(std::ranges::min_element(given) - given.begin());
        choice.readers.push_back(best);
        if (best >= 0) ++given[static_cast<std::size_t>(best)];
    }
}

// Finished ones of a version without a manifest.
void see_members(std::span<Store* const> stores, const VersionInfo& info, SeenVersion& seen) {
    for (const MemberIndex index : info.present)
        for (Store* store : stores) {
            const auto member = store->member(info.version, index);
            if (!member || (!seen.present.empty() && member->dataset != seen.dataset)) continue;
            seen.dataset = member->dataset;
            seen.present.push_back(index);
            break;
        }
}

}  // namespace

Result<std::vector<SeenVersion>> see(std::span<Store* const> stores) {
    const auto versions = list_versions(stores);
    if (!versions) return tl::unexpected<Failure>(versions.error());
    std::vector<SeenVersion> seen;
    for (const VersionInfo& info : *versions) {
        SeenVersion& one = seen.emplace_back();
        one.version = info.version;
        one.why = info.why;
        if (!info.manifest) {
            see_members(stores, info, one);
            continue;
        }
        one.dataset = info.manifest->dataset;
        one.level = info.manifest->level;
        one.members = static_cast<std::uint32_t>(info.manifest->members.size());
        one.present = info.present;
        one.parity = info.parity;
        if (one.level == parity_level)
            for (const MemberInfo& member : info.manifest->members)
                one.groups.push_back(member.group);
    }
    return seen;
}

std::vector<std::byte> encode_seen(std::span<const SeenVersion> versions) {
    Writer out;
    out.put(static_cast<std::uint32_t>(versions.size()));
    for (const SeenVersion& one : versions) {
        out.put(one.version);
        out.put(one.dataset.high);
        out.put(one.dataset.low);
        out.put(one.level);
        out.put(one.members);
        out.put(static_cast<std::uint32_t>(one.present.size()));
        for (const MemberIndex member : one.present) out.put(member);
        out.text(one.why);
        out.put(static_cast<std::uint32_t>(one.groups.size()));
        for (const std::uint32_t group : one.groups) out.put(group);
        out.put(static_cast<std::uint32_t>(one.parity.size()));
        for (const MemberIndex member : one.parity) out.put(member);
    }
    return {out.bytes().begin(), out.bytes().end()};
}

Result<std::vector<SeenVersion>> decode_seen(std::span<const std::byte> bytes) {
    std::vector<SeenVersion> versions;
    if (bytes.empty()) return versions;
    Reader in(bytes);
    const std::uint32_t count = in.count(sizeof(std::uint64_t));
    for (std::uint32_t i = 0; i < count && in.ok(); ++i) {
        SeenVersion& one = versions.emplace_back();
        one.version = in.get<std::uint64_t>();
        one.dataset.high = in.get<std::uint64_t>();
        one.dataset.low = in.get<std::uint64_t>();
        one.level = in.get<std::uint32_t>();
        one.members = in.get<std::uint32_t>();
        const std::uint32_t present = in.count(sizeof(MemberIndex));
        for (std::uint32_t k = 0; k < present; ++k)
            one.present.push_back(in.get<MemberIndex>());
        one.why = in.text();
        for (auto left = in.count(sizeof(std::uint32_t)); left > 0; --left)
            one.groups.push_back(in.get<std::uint32_t>());
        for (auto left = in.count(sizeof(MemberIndex)); left > 0; --left)
            one.parity.push_back(in.get<MemberIndex>());
    }
    if (in.ok() && in.at_end()) return versions;
    return fail(Errc::bad_message, "a node told what versions it sees in other words than ours");
}

std::vector<MemberIndex> Choice::group_of(MemberIndex member) const {
    std::vector<MemberIndex> group;
    for (MemberIndex other = 0; other < groups.size(); ++other)
        if (groups[member] != 0 && groups[other] == groups[member]) group.push_back(other);
    return group;
}

std::string why_not_rebuilt(const Choice& choice, MemberIndex member) {
    const std::string lost = fmt::format("no rank sees member {} of {}", member,
                                         choice.holders.size());
    if (member >= choice.groups.size() || choice.groups[member] == 0) return lost;
    const auto group = choice.group_of(member);
    std::string of_group;
    for (const MemberIndex one : group)
        of_group += (of_group.empty() ? "of its group (" : ", ") + std::to_string(one);
    of_group += ")";
    for (const MemberIndex other : group) {
        if (other == member) continue;
        const auto& holders = choice.holders[other];
        const auto& parity = choice.parity[other];
        if (holders.empty()) return fmt::format("{}, nor member {} {}", lost, other, of_group);
        if (parity.empty())
            return fmt::format("{}, nor the parity kept with member {} {}", lost, other, of_group);
        if (std::ranges::none_of(holders, [&](int rank) {
                return std::ranges::find(parity, rank) != parity.end();
            }))
            return fmt::format("{}, nor any both member {} {} and the parity kept with it", lost,
                               other, of_group);
    }
    return "";
}

Choice Known::choice(VersionNumber version, std::span<const int> leaders) const {
    Choice choice;
    choice.version = version;
    choice.dataset = dataset;
    choice.level = level;
    choice.manifest_at = manifest_at;
    choice.holders = holders;
    choice.groups = groups;
    choice.parity = parity;
    if (manifest_at < 0) {
        choice.why_not = why.empty() ? "it has no manifest" : why;
        return choice;
    }
    choice.global = std::ranges::find(global, false) == global.end();
    choice.only_global = only_global;
    give_readers(choice, *this, leaders);
    for (MemberIndex member = 0; member < members && choice.why_not.empty(); ++member)
        if (choice.readers[member] < 0) choice.why_not = why_not_rebuilt(choice, member);
    return choice;
}

std::vector<Choice> choices(std::span<const std::vector<SeenVersion>> by_rank,
                            std::span<const int> leaders, std::span<const SeenVersion> global) {
    AllKnown all;
    for (std::size_t rank = 0; rank < by_rank.size(); ++rank)
        for (const SeenVersion& one : by_rank[rank]) {
            Known& known = all[{one.version, true}];
            if (known.why.empty()) known.why = one.why;
            if (one.members != 0 && known.manifest_at < 0)
                known.take_manifest(one, static_cast<int>(rank));
        }
    add_global(global, all);
    for (std::size_t rank = 0; rank < by_rank.size(); ++rank)
        for (const SeenVersion& one : by_rank[rank]) {
            Known& known = all[{one.version, true}];
            if (one.dataset != known.dataset) continue;
            for (const MemberIndex member : one.present)
                if (member < known.members)
                    known.holders[member].push_back(static_cast<int>(rank));
            for (const MemberIndex member : one.parity)
                if (member < known.members)
                    known.parity[member].push_back(static_cast<int>(rank));
        }
    std::vector<Choice> out;
    for (const auto& [name, known] : all) out.push_back(known.choice(name.first, leaders));
    return out;
}

}  // namespace ssi::ckpt
