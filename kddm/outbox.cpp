// SPDX-License-Identifier: BSD-3-Clause
#include "outbox.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "ssi/net/transport.hpp"

namespace ssi::kddm {
namespace {

// Payload above this gains nothing from company: the copy into the batch costs what it saves.
constexpr std::size_t most_packed_payload = 2048;

std::size_t padded(std::size_t length) { return (length + 7) & ~std::size_t{7}; }

}  // namespace

Outbox::Lane& Outbox::lane(NodeId to) {
    auto at = std::lower_bound(lanes_.begin(), lanes_.end(), to,
                               [](const Lane& lane, NodeId node) { return lane.to < node; });
    if (at == lanes_.end() || at->to != to) at = lanes_.insert(at, Lane{.to = to});
    if (!at->bytes)
        at->bytes = std::make_unique_for_overwrite<std::byte[]>(net::max_copied_payload);
    return *at;
}

void Outbox::add(NodeId to, Message& message, const Body& body) {
    if (!add_bytes(to, message, body.bytes())) return carrier_.send_one(to, message, body);
    if (Block* block = body.block()) carrier_.release(block);
}

bool Outbox::add_bytes(NodeId to, const Message& message, std::span<const std::byte> bytes) {
    const std::size_t head = wire_bytes(message.kind());
    const std::size_t payload = bytes.size();
    if (payload > most_packed_payload) return false;
    Lane& lane = this->lane(to);
    const std::size_t length = head + padded(payload);
    if (lane.length + length > net::max_copied_payload) send(lane);
    std::byte* at = lane.bytes.get() + lane.length;
    std::memcpy(at, &message, head);
    if (payload) std::memcpy(at + head, bytes.data(), payload);
    lane.length += length;
    ++lane.count;
    return true;
}

void Outbox::send(Lane& lane) {
    Message batch = make_message(Kind::batch, SetId(0), 0, no_txn, no_node);
    batch.acks = std::exchange(lane.count, 0);
    batch.length = static_cast<std::uint32_t>(std::exchange(lane.length, 0));
    carrier_.send_packed(lane.to, batch, {lane.bytes.get(), batch.length});
}

void Outbox::flush() {
    for (Lane& lane : lanes_)
        if (lane.count) send(lane);
}

bool Unpacker::next() {
    if (rest_.empty()) return false;
    node::MessageHeader header;
    ok_ = rest_.size() >= sizeof header;
    if (!ok_) return false;
    std::memcpy(&header, rest_.data(), sizeof header);
    const std::size_t head = wire_bytes(static_cast<Kind>(header.kind));
    ok_ = rest_.size() >= head && decode(rest_.first(head), message_) &&
          message_.kind() != Kind::batch && message_.length <= rest_.size() - head &&
          padded(message_.length) <= rest_.size() - head;
    if (!ok_) return false;
    payload_ = rest_.subspan(head, message_.length);
    rest_ = rest_.subspan(head + padded(message_.length));
    return true;
}

}  // namespace ssi::kddm
