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
};

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

std::vector<Choice> choices(std::span<const std::vector<SeenVersion>> by_rank,
                            std::span<const int> leaders) {
    std::map<VersionNumber, Known, std::greater<>> all;
    for (std::size_t rank = 0; rank < by_rank.size(); ++rank)
        for (const SeenVersion& one : by_rank[rank]) {
            Known& known = all[one.version];
            if (known.why.empty()) known.why = one.why;
            if (one.members == 0 || known.manifest_at >= 0) continue;
            known.dataset = one.dataset;
            known.level = one.level;
            known.members = one.members;
            known.manifest_at = static_cast<int>(rank);
            known.holders.resize(one.members);
            known.groups = one.groups;
            known.groups.resize(one.level == parity_level ? one.members : 0);
            known.parity.resize(one.members);
        }
    for (std::size_t rank = 0; rank < by_rank.size(); ++rank)
        for (const SeenVersion& one : by_rank[rank]) {
            Known& known = all[one.version];
            if (one.dataset != known.dataset) continue;
            for (const MemberIndex member : one.present)
                if (member < known.members)
                    known.holders[member].push_back(static_cast<int>(rank));
            for (const MemberIndex member : one.parity)
                if (member < known.members)
                    known.parity[member].push_back(static_cast<int>(rank));
        }
    std::vector<Choice> out;
    for (const auto& [version, known] : all) {
        Choice& choice = out.emplace_back();
        choice.version = version;
        choice.dataset = known.dataset;
        choice.level = known.level;
        choice.manifest_at = known.manifest_at;
        choice.holders = known.holders;
        choice.groups = known.groups;
        choice.parity = known.parity;
        if (known.manifest_at < 0) {
            choice.why_not = known.why.empty() ? "it has no manifest" : known.why;
            continue;
        }
        give_readers(choice, known, leaders);
        for (MemberIndex member = 0; member < known.members && choice.why_not.empty(); ++member)
            if (choice.readers[member] < 0) choice.why_not = why_not_rebuilt(choice, member);
    }
    return out;
}

}  // namespace ssi::ckpt
