// SPDX-License-Identifier: BSD-3-Clause
#include "partners.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <utility>

namespace ssi::ckpt {
namespace {

// What is lost together: ranks of a host, or of a store.
using LostTogether = std::map<std::pair<std::uint64_t, int>, std::vector<int>>;

Result<LostTogether> lost_together(std::span<const Seat> seats, bool same_host) {
    LostTogether groups;
    std::set<int> stores;
    std::set<std::uint64_t> hosts;
    for (const Seat& seat : seats) {
        stores.insert(seat.store);
        hosts.insert(seat.host);
    }
    const bool by_store = same_host && hosts.size() < 2;
    for (std::size_t rank = 0; rank < seats.size(); ++rank)
        groups[{seats[rank].host, by_store ? seats[rank].store : 0}].push_back(
            static_cast<int>(rank));
    if (stores.size() < 2)
        return fail(Errc::unsupported, "all ranks have one store, where a copy or parity would be "
                                       "lost with its original: give each its own (%n in the "
                                       "directory)");
    if (groups.size() < 2)
        return fail(Errc::unsupported, "all ranks are on one host, and copies or parity would be "
                                       "lost with it: use more hosts, or "
                                       "checkpoint.allow_same_host");
    return groups;
}

}  // namespace

Result<std::vector<int>> partners(std::span<const Seat> seats, bool same_host) {
    auto all = lost_together(seats, same_host);
    if (!all) return tl::unexpected<Failure>(std::move(all).error());
    auto& groups = *all;
    std::vector<int> partner(seats.size());
    for (auto group = groups.begin(); group != groups.end(); ++group) {
        auto next = std::next(group);
        if (next == groups.end()) next = groups.begin();
        const auto& keepers = next->second;
        for (std::size_t i = 0; i < group->second.size(); ++i)
            partner[static_cast<std::size_t>(group->second[i])] = keepers[i % keepers.size()];
    }
    return partner;
}

// Dealt out in turn, host by host: who comes from one host goes to as many groups.
Result<std::vector<std::vector<int>>> failure_groups(std::span<const Seat> seats, std::size_t most,
                                                     bool same_host) {
    const auto hosts = lost_together(seats, same_host);
    if (!hosts) return tl::unexpected<Failure>(hosts.error());
    std::size_t largest = 0;
    for (const auto& [host, ranks] : *hosts) largest = std::max(largest, ranks.size());
    if (2 * largest > seats.size())
        return fail(Errc::unsupported,
                    fmt::format("{} of {} ranks would be lost together, with their host or store: "
                                "some would be in no group with others. Spread them evenly, or "
                                "take level partner", largest, seats.size()));
    const std::size_t count = std::max(largest, std::min((seats.size() + most - 1) / most,
                                                         seats.size() / 2));
    std::vector<std::vector<int>> groups(count);
    std::size_t next = 0;
    for (const auto& [host, ranks] : *hosts)
        for (const int rank : ranks) groups[next++ % count].push_back(rank);
    for (auto& group : groups) std::ranges::sort(group);
    std::ranges::sort(groups);
    return groups;
}

}  // namespace ssi::ckpt
