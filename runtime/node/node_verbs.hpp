// SPDX-License-Identifier: BSD-3-Clause
// The verbs that every node has: ping, node, stat, metrics, waits. Private to runtime/node.
#pragma once

#include <string>

#include "ssi/node/node.hpp"

namespace ssi::node {

struct NodeFacts {
    std::string session;     // id
    std::string program;
    int cores = 1;           // that this process may use
    Nanoseconds started = 0; // an instant of the node's clock
};

void add_node_verbs(Node& node, NodeFacts facts);
// What SIGUSR2 prints: the same as text, in lines that each name the node.
std::string dump_text(Node& node, const NodeFacts& facts);
// The file name of this process's program.
std::string program_name();

}  // namespace ssi::node
