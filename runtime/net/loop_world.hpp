// SPDX-License-Identifier: BSD-3-Clause
// What a LoopWorld is made of. Private to runtime/net.
#pragma once

#include <map>
#include <memory>

#include "loop_transport.hpp"

namespace ssi::net {

struct LoopWorld::Impl {
    std::map<NodeId, std::unique_ptr<LoopTransport>> transports;
    LoopTransport* find(NodeId node) const {
        auto at = transports.find(node);
        return at == transports.end() ? nullptr : at->second.get();
    }
};

}  // namespace ssi::net
