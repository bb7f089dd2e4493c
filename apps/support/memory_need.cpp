// SPDX-License-Identifier: BSD-3-Clause
#include "support/memory_need.hpp"

#include <fmt/core.h>

#include "ssi/node/node.hpp"
#include "ssi/sys/memory_limits.hpp"
#include "support/text.hpp"

namespace support {

Host this_host(ssi::Session& session) {
    const auto& members = session.internal_node().membership()->members;
    const auto mine = members[static_cast<std::size_t>(session.rank())].host_id;
    Host host{.ranks = 0, .has_first = members.front().host_id == mine};
    for (const auto& member : members) host.ranks += member.host_id == mine;
    return host;
}

std::string memory_problem(ssi::Session& session, const Host& host, double bytes,
                           std::string_view what, std::string_view advice, bool& fits) {
    const auto limits = ssi::sys::read_memory_limits();
    const auto& limit = ssi::sys::tightest(limits);
    const auto left = static_cast<double>(limit.left_bytes());
    const auto ranks = static_cast<std::uint64_t>(session.size());
    const auto rank = static_cast<std::uint64_t>(session.rank());
    const std::uint64_t speaker = session.reduce(bytes <= left ? ranks : rank, ssi::Reduce::min);
    fits = speaker == ranks;
    if (speaker != rank) return {};
    return fmt::format("{} needs about {} on a host of {} ranks, where {} are left ({}): {}", what,
                       bytes_text(bytes), host.ranks, bytes_text(left), limit.name, advice);
}

}  // namespace support
