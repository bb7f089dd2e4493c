// SPDX-License-Identifier: BSD-3-Clause
// Transport: one of the six doors: messages between nodes. Twins: ucx (real), loop (nodes in one
// process, real threads), sim (deterministic). Messages may overtake each other and, under the
// simulator, arrive twice or late: nothing above may assume order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "ssi/base/ids.hpp"
#include "ssi/base/result.hpp"

namespace ssi::net {

// Bytes that follow a header. With `release` null the transport copies them before send() returns;
// otherwise they must stay valid and unchanged until release(context) is called, exactly once,
// from send() or from a poll.
struct Payload {
    const std::byte* data = nullptr;
    std::size_t length = 0;
    void (*release)(void* context) = nullptr;
    void* context = nullptr;
    // Where lent bytes lie in shared memory that other processes of the host may map: a descriptor
    // of this process, -1: they do not; the inode of its file; the place in it.
    struct Shared {
        int fd = -1;
        std::uint64_t inode = 0;
        std::uint64_t offset = 0;
    } shared;
};

inline constexpr std::size_t max_header_bytes = 1024;
// Payloads up to this are copied through the transport's own buffers and arrive `owned == false`.
inline constexpr std::size_t max_copied_payload = 8192;

// What a Transport calls. Handlers run under the poller token (one at a time per node), never
// block, and may call send(). They may take an object shard's lock.
class Receiver {
public:
    virtual ~Receiver() = default;
    // A payload above max_copied_payload is about to arrive: returns memory for `length` bytes
    // (or null: the message is then dropped and the peer's operation fails).
    virtual std::byte* on_large(NodeId from, std::span<const std::byte> header,
                                std::size_t length) = 0;
    // header and a not-owned payload are valid only during the call. An owned payload is memory
    // that on_large returned, filled.
    virtual void on_message(NodeId from, std::span<const std::byte> header,
                            std::span<std::byte> payload, bool owned) = 0;
    // on_large memory whose message will never come (peer died).
    virtual void on_large_failed(NodeId from, std::byte* memory) = 0;
    // The transport sees the peer as unreachable: a suspicion, not a proof.
    virtual void on_peer_suspect(NodeId peer, const Failure& why) = 0;
};

// A read of another node's memory, under way. The caller's, who leaves it and `into` alone until
// `done` is called: once, from get() or a poll, at the latest when the peer is forgotten. `done`
// may start another get, of the same structure too.
// What comes is no snapshot: the bytes are read in any order and at different times. Only aligned
// words of 8 bytes are whole, and a get begins after every get whose `done` was called before.
struct Get {
    NodeId from = no_node;
    std::uint64_t address = 0;       // in that node's memory
    std::span<std::byte> into;       // empty: done at once
    // Errc::ok; not_found: that node shows no such memory; transport, peer_lost, cancelled.
    void (*done)(Get& get, Errc outcome) = nullptr;
};

// How gets from a peer work.
enum class GetSupport : std::uint8_t {
    unknown,     // not yet: ask again later
    none,        // get() must not be called
    emulated,    // the peer's processor answers, while it polls
    native,      // the network reads by itself
};

// The memory of this node that others may get.
class ShownMemory {
public:
    // The piece around `address`, which is read by one key of the network: always the same for
    // an address, but for an end that grows. Empty: not shown. Stays readable until show(nullptr).
    // Called from a poll.
    virtual std::span<const std::byte> piece_at(std::uint64_t address) const = 0;

protected:
    ~ShownMemory() = default;
};

class Transport {
public:
    virtual ~Transport() = default;
    virtual NodeId self() const = 0;
    // Once, before the first poll.
    virtual void set_receiver(Receiver* receiver) = 0;

    // Thread-safe, never blocks, may be called from handlers. The header is copied. `to` != self.
    // An error means nothing was sent (release was called if given). Delivery is not acknowledged.
    virtual Result<void> send(NodeId to, std::span<const std::byte> header,
                              const Payload& payload) = 0;

    // One-sided: nobody there has to know. Thread-safe, never blocks, may be called from handlers.
    // Only where get_support(get.from) is emulated or native.
    virtual GetSupport get_support(NodeId) { return GetSupport::none; }
    virtual void get(Get& get) { get.done(get, Errc::unsupported); }
    // Null: nothing any more; then it returns when nobody reads by this node's transport.
    virtual void show(const ShownMemory*) {}

    // Makes progress if the poller token is free; true when something was handled. Thread-safe.
    // Under `sim` it does nothing: the world delivers.
    virtual bool poll() = 0;

    // Stops talking to a dead node: cancels in-flight operations, fails its large receives.
    virtual void forget(NodeId peer) = 0;

    // For sleeping: an fd that becomes readable on arrival once arm() returned true; arm() is
    // false when there is something to poll first. -1: no fd, poll on a timer.
    virtual int event_fd() const = 0;
    virtual bool arm() = 0;
    // Counts polls that handled something or that a waiter made; the progress thread watches it.
    virtual std::uint64_t poll_count() const = 0;
};

}  // namespace ssi::net
