// SPDX-License-Identifier: BSD-3-Clause
#include "partners.hpp"

#include <map>
#include <set>
#include <utility>

namespace ssi::ckpt {

Result<std::vector<int>> partners(std::span<const Seat> seats, bool same_host) {
    // What is lost together: ranks of a host, or of a store.
    std::map<std::pair<std::uint64_t, int>, std::vector<int>> groups;
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
        return fail(Errc::unsupported, "all ranks have one store, where a copy would be lost with "
                                       "its original: give each its own (%n in the directory)");
    if (groups.size() < 2)
        return fail(Errc::unsupported, "all ranks are on one host, and copies would be lost with "
                                       "it: use more hosts, or checkpoint.allow_same_host");
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

}  // namespace ssi::ckpt
