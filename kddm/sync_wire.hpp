// SPDX-License-Identifier: BSD-3-Clause
// Messages of the synchronisation objects (docs/protocol.md is the table). One struct of 64 bytes;
// a payload may follow. Little endian, as every machine we run on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "ssi/base/ids.hpp"
#include "ssi/node/node.hpp"

namespace ssi::kddm::sync {

// The high half of an object's id, so that a mutex and a channel may have the same name.
enum class Kind : std::uint8_t { mutex = 1, shared_mutex, condition, barrier, channel };

enum class Op : std::uint8_t {
    // mutex
    lock_request = 1,   // client -> home: I want the token
    lock_next,          // home -> the last that asked: pass the token to `node` when you are done
    lock_token,         // holder -> next
    lock_busy,          // to `next`, which only tries: you will have to wait
    lock_broken,        // home -> all: node `node` is dead and the token is lost
    // shared mutex
    share_request,      // client -> home: `flags` mode, upgrade
    share_grant,        // home -> client: `value` numbers the hold
    share_revoke,       // home -> holder of hold `value`: down to the mode in `flags`
    share_release,      // holder -> home
    share_broken,
    // condition
    cond_wait,          // client -> home
    cond_registered,    // home -> client: you are in the queue, now unlock
    cond_notify,        // client -> home: wake `count`
    cond_wake,          // home -> client
    cond_withdraw,      // client -> home: the time is over
    // barrier
    barrier_arrive,     // client -> home: `value` participants
    barrier_release,    // home -> client: payload: the transactions that may go on
    // channel
    chan_open,          // client -> home: `count` capacity, `value` type
    chan_put,           // client -> home: messages; `value` is the node's own sequence number
    chan_take,          // client -> home: at most `count` messages
    chan_withdraw,      // client -> home: put or take `txn` gives up
    chan_watch,         // client -> home: tell me when there is something to receive
    chan_unwatch,
    chan_close,
    chan_answer,        // home -> client: of a transaction; `code`, `count`, messages
    chan_credit,        // home -> client: `count` messages may be sent without asking
    chan_reclaim,       // home -> client: give back what is left of the first `value` credits
    chan_give_back,     // client -> home: `count` credits
    last = chan_give_back,
};

namespace flag {
inline constexpr std::uint16_t try_only = 1;   // do not wait for another holder
inline constexpr std::uint16_t exclusive = 2;  // shared mutex
inline constexpr std::uint16_t upgrade = 4;    // shared mutex: the client has a shared hold
inline constexpr std::uint16_t credited = 8;   // put: room is reserved, nobody waits for an answer
}  // namespace flag

struct Message {
    node::MessageHeader header;
    std::uint64_t hi = 0;       // Kind
    std::uint64_t lo = 0;       // hash of the name
    std::uint64_t txn = 0;      // of the client's node
    std::uint64_t value = 0;
    std::uint32_t node = 0;
    std::uint32_t count = 0;
    std::uint32_t code = 0;     // Errc of an answer
    std::uint32_t length = 0;   // of the payload

    Op op() const { return static_cast<Op>(header.kind); }
    bool has(std::uint16_t bits) const { return (header.flags & bits) == bits; }
    ObjectId id() const { return {hi, lo}; }
    Kind kind() const { return static_cast<Kind>(hi); }
};
static_assert(sizeof(Message) == 64);

// The kind of object that a message is for.
constexpr Kind kind_of(Op op) {
    if (op <= Op::lock_broken) return Kind::mutex;
    if (op <= Op::share_broken) return Kind::shared_mutex;
    if (op <= Op::cond_withdraw) return Kind::condition;
    if (op <= Op::barrier_release) return Kind::barrier;
    return Kind::channel;
}

// False when the bytes cannot be a message of ours.
inline bool decode(std::span<const std::byte> bytes, std::size_t payload, Message& message) {
    if (bytes.size() != sizeof message) return false;
    std::memcpy(static_cast<void*>(&message), bytes.data(), sizeof message);
    return message.op() >= Op::lock_request && message.op() <= Op::last &&
           message.hi == static_cast<std::uint64_t>(kind_of(message.op())) &&
           message.length == payload;
}

}  // namespace ssi::kddm::sync
