// SPDX-License-Identifier: BSD-3-Clause
#include "session_start.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include "bytes.hpp"
#include "identity.hpp"
#include "ssi/base/random.hpp"

namespace ssi::node {
namespace {

NodeId node_of(int rank) { return NodeId{static_cast<std::uint32_t>(rank)}; }

Blob describe_self(const std::string& control_socket) {
    ByteWriter out;
    out.put_text(build_id());
    out.put(host_id());
    out.put(affinity_id());
    out.put(static_cast<std::int32_t>(::getpid()));
    out.put_text(host_name());
    out.put_text(control_socket);
    return std::move(out).take();
}

std::string random_hex() { return fmt::format("{:016x}", Random::seed_from_system()); }

// The root's look at everybody: one build, and what all must know of each.
Result<Blob> review(const std::map<int, Blob>& everybody) {
    ByteWriter out;
    std::string first_build;
    out.put_text(random_hex());
    out.put_text(random_hex() + random_hex());
    for (const auto& [rank, blob] : everybody) {
        ByteReader in(blob);
        const std::string build = in.get_text();
        if (rank == 0) first_build = build;
        if (!in.ok() || build != first_build)
            return fail(Errc::build_mismatch,
                        fmt::format("rank {} runs build {}, but rank 0 runs build {}: start every "
                                    "rank from the same program and libssi",
                                    rank, build.empty() ? "unknown" : build, first_build),
                        node_of(rank));
        out.put(in.get<std::uint64_t>());
        out.put(in.get<std::uint64_t>());
        out.put(in.get<std::int32_t>());
        out.put_text(in.get_text());
        out.put_text(in.get_text());
    }
    return std::move(out).take();
}

Roll read_roll(const Blob& bytes, int own_rank) {
    Roll roll;
    ByteReader in(bytes);
    roll.name.id = in.get_text();
    roll.name.key = in.get_text();
    for (int rank = 0; in.ok() && !in.at_end(); ++rank) {
        Member member;
        member.node = node_of(rank);
        member.incarnation = Incarnation{1};
        member.host_id = in.get<std::uint64_t>();
        roll.affinities.push_back(in.get<std::uint64_t>());
        member.process_id = in.get<std::int32_t>();
        member.host_name = in.get_text();
        member.control_socket = in.get_text();
        roll.members.push_back(std::move(member));
    }
    const auto own = static_cast<std::size_t>(own_rank);
    roll.sharing_our_cores = 0;
    for (std::size_t i = 0; i < roll.members.size(); ++i) {
        const bool here = roll.members[i].host_id == roll.members[own].host_id;
        if (!here) roll.one_host = false;
        if (here && roll.affinities[i] == roll.affinities[own]) ++roll.sharing_our_cores;
    }
    return roll;
}

}  // namespace

Result<Roll> call_the_roll(MpiBootstrap& mpi, const std::string& control_socket) {
    auto subtree = mpi.gather(describe_self(control_socket));
    Result<Blob> all = Blob{};
    if (!subtree)
        all = tl::unexpected(std::move(subtree).error());
    else if (mpi.rank() == 0)
        all = review(*subtree);
    auto from_parent = mpi.scatter(std::move(all), {});
    if (!from_parent) return tl::unexpected(std::move(from_parent).error());
    Roll roll = read_roll(from_parent->all, mpi.rank());
    if (static_cast<int>(roll.members.size()) != mpi.size())
        return fail(Errc::internal, fmt::format("{} members in a session of {} ranks",
                                                roll.members.size(), mpi.size()));
    return roll;
}

Result<Addresses> exchange_addresses(MpiBootstrap& mpi, Result<Blob> own) {
    Addresses result;
    const Blob own_address = own ? *own : Blob{};
    auto subtree = mpi.gather(std::move(own));
    Result<Blob> all = Blob{};
    if (!subtree) all = tl::unexpected(std::move(subtree).error());
    auto from_parent = mpi.scatter(std::move(all), own_address);
    if (!from_parent) return tl::unexpected(std::move(from_parent).error());
    auto ring = mpi.ring(own_address);
    if (!ring) return tl::unexpected(std::move(ring).error());

    std::set<NodeId> neighbours;
    for (auto& [rank, address] : *subtree)
        if (rank != mpi.rank()) result.known.emplace(node_of(rank), std::move(address));
    for (int child : mpi.children()) neighbours.insert(node_of(child));
    if (mpi.parent() >= 0) {
        result.parent = node_of(mpi.parent());
        result.known.emplace(result.parent, std::move(from_parent->for_children));
        neighbours.insert(result.parent);
    }
    for (auto& [rank, address] : *ring) {
        result.known.emplace(node_of(rank), std::move(address));
        neighbours.insert(node_of(rank));
    }
    result.neighbours.assign(neighbours.begin(), neighbours.end());
    return result;
}

}  // namespace ssi::node
