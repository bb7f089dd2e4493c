// SPDX-License-Identifier: BSD-3-Clause
// ChannelState: what a channel is, apart from who waits for it: limits, cursors and the messages
// that nobody has received. Plain data that can be written down, so that it can be checkpointed and
// moved to another home while no message is under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "ssi/base/result.hpp"
#include "ssi/kddm/sync.hpp"

namespace ssi::kddm::sync {

struct ChannelState {
    std::uint32_t capacity = 0;     // 0: nobody has opened it yet
    std::uint64_t type = 0;
    bool closed = false;
    std::uint64_t sent = 0;         // messages accepted so far
    std::uint64_t received = 0;     // messages handed out so far
    std::deque<Bytes> queue;        // sent - received messages, oldest first

    Bytes encode() const;
    static Result<ChannelState> decode(std::span<const std::byte> bytes);
    friend bool operator==(const ChannelState&, const ChannelState&) = default;
};

// Several messages in one payload: the length of each in front of it.
void append_message(Bytes& payload, std::span<const std::byte> message);
// Several messages share one payload only up to this.
inline constexpr std::size_t most_batch_bytes = 1u << 20;
// False when the payload is malformed.
bool split_messages(std::span<const std::byte> payload, std::vector<Bytes>& messages);

}  // namespace ssi::kddm::sync
