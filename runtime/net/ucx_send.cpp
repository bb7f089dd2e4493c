// SPDX-License-Identifier: BSD-3-Clause
// Sending. Three sizes: short messages go into the peer's FIFO from a buffer on the stack and are
// done when UCX returns; up to max_copied_payload they are copied once into a recycled buffer;
// what is larger is offered (ucx_large.cpp).
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "ucx_worker.hpp"

namespace ssi::net {
namespace {

constexpr std::size_t most_free_ops = 64;

// memcpy for lengths that are only known at run time, but short: without a call. Whole words, then
// the last word again where it overlaps.
inline std::byte* append_short(std::byte* to, const std::byte* from, std::size_t length) {
    std::size_t i = 0;
    for (; i + 16 <= length; i += 16) std::memcpy(to + i, from + i, 16);
    if (i == length) return to + length;
    if (length >= 16) {
        std::memcpy(to + length - 16, from + length - 16, 16);
    } else if (length >= 8) {
        std::memcpy(to, from, 8);
        std::memcpy(to + length - 8, from + length - 8, 8);
    } else {
        for (; i < length; ++i) to[i] = from[i];
    }
    return to + length;
}

}  // namespace

Result<void> UcxWorker::send(NodeId to, std::span<const std::byte> header, const Payload& payload) {
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
    alignas(16) std::byte buffer[max_short_bytes];
    const WirePrefix prefix{options_.self.value, static_cast<std::uint16_t>(header.size()), 0};
    std::memcpy(buffer, &prefix, sizeof prefix);
    std::byte* end = append_short(buffer + sizeof prefix, header.data(), header.size());
    end = append_short(end, payload.data, payload.length);
    const auto length = static_cast<std::size_t>(end - buffer);
    ucp_request_param_t param;
    param.op_attr_mask = UCP_OP_ATTR_FLAG_FORCE_IMM_CMPL;  // never keeps a pointer to our stack
    return !ucp_am_send_nbx(peer.ep, am_message, nullptr, 0, buffer, length, &param);
}

Outgoing* UcxWorker::take_op(std::size_t bytes) {
    // The list of free ones is the token holder's; others allocate.
    Outgoing* op = nullptr;
    if (token_is_mine() && free_) {
        op = std::exchange(free_, free_->next);
        --free_count_;
    } else {
        op = new Outgoing;
    }
    op->kind = Outgoing::Kind::message;
    op->worker = this;
    op->length = 0;
    op->buffer.reserve(bytes);
    return op;
}

Outgoing* UcxWorker::pack(NodeId to, std::span<const std::byte> header, const Payload& payload) {
    const bool large = payload.length > max_copied_payload;
    Outgoing* op = take_op(sizeof(WirePrefix) + header.size() +
                           (large ? sizeof(Offer) : payload.length));
    op->to = to;
    std::byte* at = op->buffer.data();
    const auto append = [&at](const void* data, std::size_t length) {
        if (length) std::memcpy(at, data, length);
        at += length;
    };
    const WirePrefix prefix{options_.self.value, static_cast<std::uint16_t>(header.size()), 0};
    append(&prefix, sizeof prefix);
    op->am_id = large ? am_offer : am_message;
    if (large) at += sizeof(Offer);  // see make_offer()
    append(header.data(), header.size());
    if (!large) {
        append(payload.data, payload.length);
        release(payload);
    } else {
        op->payload = payload;
        if (!payload.release) {
            op->copy = std::make_unique_for_overwrite<std::byte[]>(payload.length);
            std::memcpy(op->copy.get(), payload.data, payload.length);
            op->payload.data = op->copy.get();
        }
    }
    op->length = static_cast<std::size_t>(at - op->buffer.data());
    return op;
}

Outgoing* UcxWorker::pack(NodeId to, unsigned am_id, std::span<const std::byte> body,
                          std::size_t more) {
    Outgoing* op = take_op(sizeof(WirePrefix) + body.size() + more);
    op->to = to;
    op->am_id = am_id;
    const WirePrefix prefix{options_.self.value, 0, 0};
    std::memcpy(op->buffer.data(), &prefix, sizeof prefix);
    std::copy(body.begin(), body.end(), op->buffer.data() + sizeof prefix);
    op->length = sizeof prefix + body.size();
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
    if (op->am_id == am_offer) make_offer(op);
    post(peer, op);
    return {};
}

void UcxWorker::post(UcxEndpoint& peer, Outgoing* op) {
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA |
                         UCP_OP_ATTR_FIELD_FLAGS;
    param.cb.send = &UcxWorker::on_sent;
    param.user_data = op;
    param.flags = UCP_AM_SEND_FLAG_EAGER;
    ++in_flight_;
    ucs_status_ptr_t request = ucp_am_send_nbx(peer.ep, op->am_id, nullptr, 0, op->buffer.data(),
                                               op->length, &param);
    if (UCS_PTR_IS_PTR(request)) {
        deferred_.fetch_add(1, std::memory_order_relaxed);
        // It needs polls, and the progress thread may be asleep on the fd: wake it.
        if (armed_.exchange(false, std::memory_order_relaxed))
            ucp_worker_signal(context_->worker);
        return;
    }
    --in_flight_;
    if (request)  // the connection broke: on_ep_error tells
        SSI_LOG(log_, debug, "net", "message to node {} not sent; {}", op->to.value,
                describe(UCS_PTR_STATUS(request)));
    finish(op);
}

void UcxWorker::on_sent(void* request, ucs_status_t status, void* context) {
    auto* op = static_cast<Outgoing*>(context);
    UcxWorker& worker = *op->worker;
    // A failure of the connection is told by on_ep_error; cancelled ones were for the dead.
    if (status != UCS_OK)
        SSI_LOG(worker.log_, debug, "net", "message to node {} not sent; {}", op->to.value,
                describe(status));
    --worker.in_flight_;
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
