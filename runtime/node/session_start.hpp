// SPDX-License-Identifier: BSD-3-Clause
// The two rounds of start-up messages: who takes part, then where each can be reached. Private to
// runtime/node; used by ProcessNode.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mpi_bootstrap.hpp"
#include "ssi/base/result.hpp"
#include "ssi/node/membership.hpp"

namespace ssi::node {

// What the first rank makes up for all.
struct SessionName {
    std::string id;                   // 16 hexadecimal digits
    std::string key;                  // 32: the secret of the session
};

struct Roll {
    SessionName name;
    std::vector<Member> members;      // by rank
    std::vector<std::uint64_t> affinities;
    bool one_host = true;
    int sharing_our_cores = 1;        // processes of this host on the same cores, this one too
};
// Fails by name, the same on every rank, when builds differ or somebody is missing.
Result<Roll> call_the_roll(MpiBootstrap& mpi, const std::string& control_socket);

struct Addresses {
    std::map<NodeId, Blob> known;     // of this rank's subtree, its parent and ring neighbours
    NodeId parent = no_node;
    std::vector<NodeId> neighbours;   // in the tree and on the ring
};
// `own`: this node's, or why it has none; then every rank fails with that.
Result<Addresses> exchange_addresses(MpiBootstrap& mpi, Result<Blob> own);

}  // namespace ssi::node
