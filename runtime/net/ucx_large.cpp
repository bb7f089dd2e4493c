// SPDX-License-Identifier: BSD-3-Clause
// Large payloads. The sender lends its memory and offers it; the receiver copies it: from a process
// on the same host out of shared memory that it maps too, or with process_vm_readv, a piece a poll
// so that messages are not kept waiting, else by pulling chunks through active messages, a window
// ahead. Nothing of it is under way inside UCX, so when a peer dies there is nothing to cancel:
// both sides drop what they hold.
#include <fmt/format.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ucx_worker.hpp"

namespace ssi::net {
namespace {
// First touches of fresh memory take 12 us a page: this much blocks other messages for 0.8 ms.
constexpr std::uint64_t copy_bytes = 256 << 10;
constexpr std::uint64_t window_bytes = 256 << 10;
constexpr std::uint64_t streamed_bytes = 1 << 20;   // what waits for copying: more than an L2
constexpr std::uint64_t chunk_bytes = max_copied_payload - sizeof(Piece);
}  // namespace

void UcxWorker::make_offer(Outgoing* op) {
    Offer offer;
    offer.id = ++last_offer_;
    offer.address = reinterpret_cast<std::uint64_t>(op->payload.data);
    offer.length = op->payload.length;
    offer.host_id = options_.host_id;
    offer.process_id = ::getpid();
    offer.memory_fd = op->payload.shared.fd;
    offer.memory_inode = op->payload.shared.inode;
    offer.memory_offset = op->payload.shared.offset;
    std::memcpy(op->buffer.data() + sizeof(WirePrefix), &offer, sizeof offer);
    lent_.emplace(offer.id, Lent{op->to, std::exchange(op->payload, {}), std::move(op->copy)});
    count_lent();
}

void UcxWorker::tell(NodeId to, unsigned am_id, const Piece& piece) {
    if (auto told = submit(endpoint(to), pack(to, am_id, std::as_bytes(std::span(&piece, 1))));
        !told)
        SSI_LOG(log_, debug, "net", "{}", told.error().text);
}

void UcxWorker::on_offer(NodeId from, std::span<const std::byte> body) {
    UcxEndpoint& peer = endpoint(from);
    if (peer.forgotten) return;
    auto large = std::make_unique<LargeReceive>();
    large->peer = &peer;
    std::memcpy(&large->offer, body.data(), sizeof(Offer));
    large->header.assign(body.begin() + sizeof(Offer), body.end());
    large->memory = receiver_->on_large(from, large->header, large->offer.length);
    if (!large->memory) return tell(from, am_done, {large->offer.id, 0, 0});
    peer.incoming.push_back(std::move(large));
    LargeReceive& kept = *peer.incoming.back();
    if (options_.host_id && kept.offer.host_id == options_.host_id && !peer.unreadable)
        copying_.push_back(&kept);
    else
        pull_some(kept);
}

// ---- the same host

// One piece of one payload, in turn. True when there was something to do.
bool UcxWorker::advance_large() {
    if (copying_.empty()) return false;
    LargeReceive* large = copying_.front();
    copying_.erase(copying_.begin());
    if (copy_some(*large)) copying_.push_back(large);
    return true;
}

// From memory that we map too, which takes the kernel no look at each page. False: not to be had.
bool UcxWorker::copy_mapped(LargeReceive& large, std::uint64_t length) {
    const Offer& offer = large.offer;
    if (offer.memory_fd < 0) return false;
    const std::byte* from = peer_memory_.find({offer.process_id, offer.memory_fd,
                                               offer.memory_inode},
                                              offer.memory_offset + large.received, length);
    if (!from) return false;
    // One payload is likely read next; of many, the caches would keep the last ones only.
    const bool many = copying_.size() * offer.length >= streamed_bytes;
    std::byte* to = large.memory + large.received;
    many ? copy_streaming(to, from, length) : void(std::memcpy(to, from, length));
    large.received += length;
    return true;
}

// True while more is to be copied. May end the life of `large`.
bool UcxWorker::copy_some(LargeReceive& large) {
    const std::uint64_t length = std::min(copy_bytes, large.offer.length - large.received);
    if (copy_mapped(large, length)) {
        if (large.received < large.offer.length) return true;
        finish_large(large, true);
        return false;
    }
    iovec to{large.memory + large.received, length};
    iovec from{reinterpret_cast<void*>(large.offer.address + large.received), length};
    const ssize_t n = process_vm_readv(large.offer.process_id, &to, 1, &from, 1, 0);
    if (n > 0) {
        large.received += static_cast<std::uint64_t>(n);
        if (large.received < large.offer.length) return true;
        finish_large(large, true);
        return false;
    }
    const int error = errno;
    if (error == ESRCH) return false;  // it is dead; forget() will give the memory back
    if (error == EFAULT) {
        SSI_LOG(log_, error, "net", "node {} offered {} bytes that it does not have",
                large.peer->node.value, large.offer.length);
        finish_large(large, false);
        return false;
    }
    if (!std::exchange(large.peer->unreadable, true))
        SSI_LOG(log_, debug, "net",
                "memory of node {} cannot be read (errno {}, see ptrace_scope): pulling instead",
                large.peer->node.value, error);
    large.pulled = large.received;
    pull_some(large);
    return false;
}

// ---- another host

void UcxWorker::pull_some(LargeReceive& large) {
    const std::uint64_t end = std::min(large.offer.length, large.received + window_bytes);
    if (end <= large.pulled) return;
    const Piece piece{large.offer.id, std::exchange(large.pulled, end), end};
    tell(large.peer->node, am_pull, piece);
}

void UcxWorker::on_pull(NodeId from, const Piece& piece) {
    auto at = lent_.find(piece.id);
    if (at == lent_.end() || at->second.to != from) return;
    const Payload& payload = at->second.payload;
    const std::uint64_t end = std::min<std::uint64_t>(piece.end, payload.length);
    UcxEndpoint& peer = endpoint(from);
    for (std::uint64_t offset = piece.offset; offset < end; offset += chunk_bytes) {
        const Piece chunk{piece.id, offset, std::min(end, offset + chunk_bytes)};
        Outgoing* op = pack(from, am_chunk, std::as_bytes(std::span(&chunk, 1)),
                            chunk.end - offset);
        std::memcpy(op->buffer.data() + op->length, payload.data + offset, chunk.end - offset);
        op->length += chunk.end - offset;
        if (auto sent = submit(peer, op); !sent) return;
    }
}

void UcxWorker::on_chunk(NodeId from, const Piece& piece, std::span<const std::byte> bytes) {
    UcxEndpoint& peer = endpoint(from);
    auto at = std::find_if(peer.incoming.begin(), peer.incoming.end(),
                           [&](const auto& large) { return large->offer.id == piece.id; });
    if (at == peer.incoming.end()) return;
    LargeReceive& large = **at;
    if (piece.offset > large.offer.length || bytes.size() > large.offer.length - piece.offset) {
        SSI_LOG(log_, error, "net", "node {} sent more bytes than it offered", from.value);
        return finish_large(large, false);
    }
    std::memcpy(large.memory + piece.offset, bytes.data(), bytes.size());
    large.received += bytes.size();
    if (large.received == large.offer.length) return finish_large(large, true);
    if (large.pulled - large.received <= window_bytes / 2) pull_some(large);
}

// ---- the end of it

void UcxWorker::finish_large(LargeReceive& large, bool arrived) {
    UcxEndpoint& peer = *large.peer;
    auto at = std::find_if(peer.incoming.begin(), peer.incoming.end(),
                           [&](const auto& one) { return one.get() == &large; });
    const std::unique_ptr<LargeReceive> owner = std::move(*at);
    peer.incoming.erase(at);
    tell(peer.node, am_done, {large.offer.id, 0, 0});
    if (arrived)
        receiver_->on_message(peer.node, large.header, {large.memory, large.offer.length}, true);
    else
        receiver_->on_large_failed(peer.node, large.memory);
}

void UcxWorker::on_done(const Piece& piece) {
    auto at = lent_.find(piece.id);
    if (at == lent_.end()) return;
    const Payload payload = at->second.payload;
    lent_.erase(at);
    count_lent();
    release(payload);
}

// The peer is dead, or we stop: what was lent to it comes back, what it was sending never comes.
void UcxWorker::forget_large(UcxEndpoint& peer) {
    for (auto at = lent_.begin(); at != lent_.end();) {
        if (at->second.to != peer.node) {
            ++at;
            continue;
        }
        const Payload payload = at->second.payload;
        at = lent_.erase(at);
        release(payload);
    }
    count_lent();
    std::erase_if(copying_, [&](const LargeReceive* large) { return large->peer == &peer; });
    for (auto& large : std::exchange(peer.incoming, {}))
        receiver_->on_large_failed(peer.node, large->memory);
}

}  // namespace ssi::net
