// SPDX-License-Identifier: BSD-3-Clause
// Endpoints: made on first use, closed by force when their peer is dead. All under the token.
#include <fmt/format.h>

#include <utility>

#include "ucx_worker.hpp"

namespace ssi::net {

UcxEndpoint& UcxWorker::endpoint(NodeId node) {
    if (UcxEndpoint* known = endpoints_.find(node)) [[likely]]
        return *known;
    UcxEndpoint& made = endpoints_.find_or_make(node);
    made.worker = this;
    return made;
}

// Leaves `ep` null when the address is not known yet and has been asked for.
Result<void> UcxWorker::connect(UcxEndpoint& peer) {
    if (peer.address.empty()) {
        if (std::exchange(peer.asked, true)) return {};
        if (!options_.want_address) {
            if (!std::exchange(peer.broken, true)) broken_.push_back(&peer);
            peer.error = UCS_ERR_UNREACHABLE;
            return fail(Errc::transport,
                        fmt::format("the address of node {} is unknown", peer.node.value),
                        peer.node);
        }
        options_.want_address(peer.node);
        return {};
    }
    ucp_ep_params_t params{};
    params.field_mask = UCP_EP_PARAM_FIELD_REMOTE_ADDRESS | UCP_EP_PARAM_FIELD_ERR_HANDLING_MODE |
                        UCP_EP_PARAM_FIELD_ERR_HANDLER;
    params.address = reinterpret_cast<const ucp_address_t*>(peer.address.data());
    params.err_mode = UCP_ERR_HANDLING_MODE_PEER;
    params.err_handler.cb = &UcxWorker::on_ep_error;
    params.err_handler.arg = &peer;
    const ucs_status_t status = ucp_ep_create(context_->worker, &params, &peer.ep);
    if (status != UCS_OK) {
        peer.ep = nullptr;
        peer.error = status;
        if (!std::exchange(peer.broken, true)) broken_.push_back(&peer);
        return fail(Errc::transport, fmt::format("no connection to node {}; {}", peer.node.value,
                                                 describe(status)),
                    peer.node);
    }
    endpoints_made_.fetch_add(1, std::memory_order_relaxed);
    // A peer can then answer without asking anybody for our address.
    if (!peer.knows_us) post(peer, pack(peer.node, am_address, context_->address));
    return {};
}

void UcxWorker::learn(NodeId node, std::span<const std::byte> address) {
    UcxEndpoint& peer = endpoint(node);
    if (!peer.address.empty() || peer.forgotten) return;
    peer.address.assign(address.begin(), address.end());
    for (Outgoing* op : std::exchange(peer.parked, {}))
        if (auto sent = submit(peer, op); !sent)
            SSI_LOG(log_, debug, "net", "{}", sent.error().text);
}

void UcxWorker::disconnect(UcxEndpoint& peer, bool force) {
    const ucp_ep_h ep = std::exchange(peer.ep, nullptr);   // a new get then makes a new one
    forget_gets(peer, peer.forgotten ? Errc::peer_lost : Errc::transport);
    if (!ep) return;
    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_FLAGS | UCP_OP_ATTR_FIELD_CALLBACK |
                         UCP_OP_ATTR_FIELD_USER_DATA;
    param.flags = force ? UCP_EP_CLOSE_FLAG_FORCE : 0;
    param.cb.send = &UcxWorker::on_ep_closed;
    param.user_data = this;
    ucs_status_ptr_t request = ucp_ep_close_nbx(ep, &param);
    if (UCS_PTR_IS_PTR(request))
        ++closing_;
    else if (request)
        SSI_LOG(log_, debug, "net", "closing the connection to node {}; {}", peer.node.value,
                describe(UCS_PTR_STATUS(request)));
}

void UcxWorker::on_ep_closed(void* request, ucs_status_t, void* self) {
    --static_cast<UcxWorker*>(self)->closing_;
    ucp_request_free(request);
}

// Inside progress: UCX must not lose an endpoint here, so remember and act after.
void UcxWorker::on_ep_error(void* endpoint, ucp_ep_h ep, ucs_status_t status) {
    auto* peer = static_cast<UcxEndpoint*>(endpoint);
    if (peer->ep != ep || std::exchange(peer->broken, true)) return;
    peer->error = status;
    peer->worker->broken_.push_back(peer);
}

void UcxWorker::handle_broken() {
    for (UcxEndpoint* peer : std::exchange(broken_, {})) {
        peer->broken = false;
        // Gone or not, this connection is: the next message makes a fresh one.
        disconnect(*peer, true);
        if (peer->forgotten || closing_all_) continue;
        met_death_ = true;
        receiver_->on_peer_suspect(
            peer->node,
            Failure{Errc::transport, 0, peer->node,
                    fmt::format("the connection broke; {}", describe(peer->error))});
    }
}

void UcxWorker::forget_now(UcxEndpoint& peer) {
    if (std::exchange(peer.forgotten, true)) return;
    met_death_ = true;
    for (Outgoing* op : std::exchange(peer.parked, {})) finish(op);
    disconnect(peer, true);
    forget_large(peer);
}

void UcxWorker::close_now(bool force) {
    closing_all_ = true;
    endpoints_.for_each([this, force](UcxEndpoint& peer) {
        for (Outgoing* op : std::exchange(peer.parked, {})) finish(op);
        disconnect(peer, force || peer.forgotten);
    });
}

}  // namespace ssi::net
