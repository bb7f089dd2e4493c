// SPDX-License-Identifier: BSD-3-Clause
// The real Transport twin, over UCX active messages. No <ucp/...> here.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "ssi/base/clock.hpp"
#include "ssi/base/config.hpp"
#include "ssi/base/log.hpp"
#include "ssi/net/transport.hpp"

namespace ssi::net {

struct UcxOptions {
    NodeId self;
    // Asked once for each node to which something is sent and whose address is unknown; to be
    // answered by learn_address(), now or later. Runs under the poller token: must not block, may
    // send to other nodes. What was sent meanwhile waits.
    std::function<void(NodeId)> want_address;
    // UCX's keepalive slows every poll by some 40 ns. Needed where nothing else notices that a
    // peer is gone: between hosts.
    bool keepalive = true;
    // Same value on two nodes: they may read each other's memory through the kernel. 0: nobody may.
    std::uint64_t host_id = 0;
    // Whether get() can be used. Same value on all nodes.
    bool gets = false;
};

// What the ucx twin has beyond a Transport. Thread-safe.
class UcxTransport : public Transport {
public:
    // Of this node, for others; some 200 bytes.
    virtual std::span<const std::byte> address() const = 0;
    virtual void learn_address(NodeId node, std::span<const std::byte> address) = 0;

    // True while a peer may still be reading memory that a large payload lent it.
    virtual bool lending() const = 0;

    // Closes all endpoints: with `force` at once, cancelling what is under way, else after all
    // that was sent has left. Then poll until closed(). Nothing may be sent any more.
    virtual void close(bool force) = 0;
    virtual bool closed() const = 0;
    // For peers that died: stops waiting for what did not close. Releases every payload and fails
    // every large receive; afterwards no call-back comes any more. Nobody else may use the
    // transport then.
    virtual void abandon() = 0;

    struct Counts {
        std::uint64_t endpoints;     // made so far
        std::uint64_t deferred;      // sends that UCX could not finish at once
        std::uint64_t queued;        // sends handed to the thread that held the poller token
    };
    virtual Counts counts() const = 0;
};

// Fails with Errc::transport, naming the variable or limit at fault where UCX tells.
Result<std::unique_ptr<UcxTransport>> make_ucx_transport(UcxOptions options, const Config& config,
                                                         Log& log);

}  // namespace ssi::net
