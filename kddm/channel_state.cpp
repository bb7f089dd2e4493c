// SPDX-License-Identifier: BSD-3-Clause
#include "channel_state.hpp"

#include <cstring>

namespace ssi::kddm::sync {
namespace {

struct Head {
    std::uint32_t version = 1;
    std::uint32_t capacity = 0;
    std::uint64_t type = 0;
    std::uint64_t closed = 0;
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
};
static_assert(sizeof(Head) == 40);

}  // namespace

void append_message(Bytes& payload, std::span<const std::byte> message) {
    const auto length = static_cast<std::uint32_t>(message.size());
    const std::size_t at = payload.size();
    payload.resize(at + sizeof length + message.size());
    std::memcpy(payload.data() + at, &length, sizeof length);
    if (!message.empty())
        std::memcpy(payload.data() + at + sizeof length, message.data(), message.size());
}

bool split_messages(std::span<const std::byte> payload, std::vector<Bytes>& messages) {
    while (!payload.empty()) {
        std::uint32_t length;
        if (payload.size() < sizeof length) return false;
        std::memcpy(&length, payload.data(), sizeof length);
        payload = payload.subspan(sizeof length);
        if (payload.size() < length) return false;
        messages.emplace_back(payload.begin(), payload.begin() + length);
        payload = payload.subspan(length);
    }
    return true;
}

Bytes ChannelState::encode() const {
    const Head head{.capacity = capacity, .type = type, .closed = closed, .sent = sent,
                    .received = received};
    const auto* first = reinterpret_cast<const std::byte*>(&head);
    Bytes bytes(first, first + sizeof head);
    for (const Bytes& message : queue) append_message(bytes, message);
    return bytes;
}

Result<ChannelState> ChannelState::decode(std::span<const std::byte> bytes) {
    Head head;
    std::vector<Bytes> messages;
    if (bytes.size() < sizeof head)
        return fail(Errc::serialization, "a channel's state is shorter than its head");
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.version != 1 || head.closed > 1 ||
        !split_messages(bytes.subspan(sizeof head), messages) ||
        messages.size() != head.sent - head.received)
        return fail(Errc::serialization, "a channel's state is malformed");
    return ChannelState{head.capacity, head.type, head.closed != 0, head.sent, head.received,
                        {messages.begin(), messages.end()}};
}

}  // namespace ssi::kddm::sync
