// SPDX-License-Identifier: BSD-3-Clause
// Sending. Three sizes: short messages go into the peer's FIFO from a buffer on the stack and are
// done when UCX returns; up to max_copied_payload they are copied once into a recycled buffer;
// beyond, UCX's rendezvous reads the sender's memory.
#include <fmt/format.h>

#include <cstring>
#include <utility>

#include "ucx_worker.hpp"

namespace ssi::net {
namespace {

constexpr std::size_t most_free_ops = 64;

}  // namespace

Result<void> UcxWorker::send(NodeId to, std::span<const std::byte> header, Payload payload) {
    if (header.size() > max_header_bytes || to == options_.self) [[unlikely]] {
        release(payload);
        if (to == options_.self) return fail(Errc::invalid_argument, "a node sends to itself", to);
        return fail(Errc::too_large, fmt::format("a header of {} bytes; at most {}",
                                                 header.size(), max_header_bytes));
    }
    if (token_is_mine()) return send_now(to, header, payload);  // from a handler
    if (try_token()) [[likely]] {
        Result<void> sent = send_now(to, header, payload);
        drop_token();
        return sent;
    }
    enqueue(pack(to, header, payload));
    return {};
}

Result<void> UcxWorker::send_now(NodeId to, std::span<const std::byte> header,
                                 const Payload& payload) {
    UcxEndpoint& peer = endpoint(to);
    if (peer.ep && !peer.broken) [[likely]] {
        if (sizeof(WirePrefix) + header.size() + payload.length <= max_short_bytes &&
            send_short(peer, header, payload)) {
            release(payload);
            return {};
        }
    }
    return submit(peer, pack(to, header, payload));
}

// False when UCX cannot take it at once; then nothing was sent.
bool UcxWorker::send_short(UcxEndpoint& peer, std::span<const std::byte> header,
                           const Payload& payload) {
    alignas(8) std::byte buffer[max_short_bytes];
    const WirePrefix prefix{options_.self.value, static_cast<std::uint16_t>(header.size()), 0};
    std::size_t length = sizeof prefix;
    std::memcpy(buffer, &prefix, sizeof prefix);
    std::memcpy(buffer + length, header.data(), header.size());
    length += header.size();
    if (payload.length) std::memcpy(buffer + length, payload.data, payload.length);
    length += payload.length;
    ucp_request_param_t param;
    param.op_attr_mask = UCP_OP_ATTR_FLAG_FORCE_IMM_CMPL;  // never keeps a pointer to our stack
    return !ucp_am_send_nbx(peer.ep, am_message, nullptr, 0, buffer, length, &param);
}

Outgoing* UcxWorker::take_op() {
    // The list of free ones is the token holder's; others allocate.
    if (!token_is_mine() || !free_) return new Outgoing;
    Outgoing* op = std::exchange(free_, free_->next);
    --free_count_;
    op->kind = Outgoing::Kind::message;
    op->copy.reset();
    return op;
}

Outgoing* UcxWorker::pack(NodeId to, std::span<const std::byte> header, const Payload& payload) {
    Outgoing* op = take_op();
    op->worker = this;
    op->to = to;
    op->payload = payload;
    const WirePrefix prefix{options_.self.value, static_cast<std::uint16_t>(header.size()), 0};
    std::memcpy(op->buffer.data(), &prefix, sizeof prefix);
    std::memcpy(op->buffer.data() + sizeof prefix, header.data(), header.size());
    op->head_length = sizeof prefix + header.size();
    op->body_length = 0;
    if (payload.length <= max_copied_payload) {
        if (payload.length)
            std::memcpy(op->buffer.data() + op->head_length, payload.data, payload.length);
        op->body_length = payload.length;
        op->payload = {};
        release(payload);
    } else if (!payload.release) {
        op->copy = std::make_unique_for_overwrite<std::byte[]>(payload.length);
        std::memcpy(op->copy.get(), payload.data, payload.length);
        op->payload.data = op->copy.get();
    }
    return op;
}

// Takes the op over: finished or failed, it is recycled and what it lent is released.
Result<void> UcxWorker::submit(UcxEndpoint& peer, Outgoing* op) {
    if (peer.forgotten || closing_all_) {
        finish(op);
        return fail(peer.forgotten ? Errc::peer_lost : Errc::cancelled,
                    fmt::format("node {} is {}", peer.node.value,
                                peer.forgotten ? "dead" : "not spoken to any more"),
                    peer.node);
    }
    if (!peer.ep) {
        if (auto connected = connect(peer); !connected) {
            // Like a connection that breaks later: the message is lost and the peer is suspect.
            SSI_LOG(log_, debug, "net", "{}", connected.error().text);
            finish(op);
            return {};
        }
        if (!peer.ep) {  // the address is yet to come
            peer.parked.push_back(op);
            return {};
        }
    }
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                         UCP_OP_ATTR_FIELD_FLAGS;
    param.cb.send = &UcxWorker::on_sent;
    param.user_data = op;
    const bool large = op->payload.length != 0;
    param.flags = large ? UCP_AM_SEND_FLAG_RNDV : UCP_AM_SEND_FLAG_EAGER;
    const unsigned id = op->kind == Outgoing::Kind::address ? am_address : am_message;
    ++in_flight_;
    ucs_status_ptr_t request =
        large ? ucp_am_send_nbx(peer.ep, id, op->buffer.data(), op->head_length,
                                op->payload.data, op->payload.length, &param)
              : ucp_am_send_nbx(peer.ep, id, nullptr, 0, op->buffer.data(),
                                op->head_length + op->body_length, &param);
    if (UCS_PTR_IS_PTR(request)) {
        deferred_.fetch_add(1, std::memory_order_relaxed);
        if (large) large_sends_.push_back(op);
        // It needs polls, and the progress thread may be asleep on the fd: wake it.
        if (armed_.exchange(false, std::memory_order_relaxed))
            ucp_worker_signal(context_->worker);
        return {};
    }
    --in_flight_;
    finish(op);
    if (!request) return {};
    return fail(Errc::transport,
                fmt::format("cannot send to node {}; {}", peer.node.value,
                            describe(UCS_PTR_STATUS(request))),
                peer.node);
}

// A peer can answer us without asking anybody for our address.
void UcxWorker::send_address(UcxEndpoint& peer) {
    Outgoing* op = take_op();
    op->kind = Outgoing::Kind::address;
    op->worker = this;
    op->to = peer.node;
    op->payload = {};
    const WirePrefix prefix{options_.self.value, 0, 0};
    std::memcpy(op->buffer.data(), &prefix, sizeof prefix);
    std::memcpy(op->buffer.data() + sizeof prefix, context_->address.data(),
                context_->address.size());
    op->head_length = sizeof prefix;
    op->body_length = context_->address.size();
    if (auto sent = submit(peer, op); !sent)
        SSI_LOG(log_, debug, "net", "{}", sent.error().text);
}

void UcxWorker::on_sent(void* request, ucs_status_t status, void* context) {
    auto* op = static_cast<Outgoing*>(context);
    UcxWorker& worker = *op->worker;
    // A failure of the connection is told by on_ep_error; cancelled ones were for the dead.
    if (status != UCS_OK)
        SSI_LOG(worker.log_, debug, "net", "message to node {} not sent; {}", op->to.value,
                describe(status));
    --worker.in_flight_;
    if (op->payload.length) std::erase(worker.large_sends_, op);
    worker.finish(op);
    ucp_request_free(request);
}

void UcxWorker::finish(Outgoing* op) {
    release(std::exchange(op->payload, {}));
    op->copy.reset();
    if (free_count_ >= most_free_ops) {
        delete op;
        return;
    }
    op->next = std::exchange(free_, op);
    ++free_count_;
}

}  // namespace ssi::net
