// SPDX-License-Identifier: BSD-3-Clause
// Receiving: UCX's callbacks, all inside ucp_worker_progress and so under the token.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "ucx_worker.hpp"

namespace ssi::net {

ucs_status_t UcxWorker::on_am(void* self, const void* header, std::size_t header_length,
                              void* data, std::size_t length, const ucp_am_recv_param_t* param) {
    auto& worker = *static_cast<UcxWorker*>(self);
    // Small messages come in one piece, large ones with their head as UCX's header.
    const bool large = param->recv_attr & UCP_AM_RECV_ATTR_FLAG_RNDV;
    const auto* head = static_cast<const std::byte*>(large ? header : data);
    const std::size_t head_room = large ? header_length : length;
    WirePrefix prefix;
    if (head_room < sizeof prefix) return worker.malformed("shorter than its prefix"), UCS_OK;
    std::memcpy(&prefix, head, sizeof prefix);
    const std::size_t head_length = sizeof prefix + prefix.header_length;
    if (head_room < head_length || prefix.header_length > max_header_bytes)
        return worker.malformed("shorter than its header"), UCS_OK;
    const std::span<const std::byte> user_header(head + sizeof prefix, prefix.header_length);
    if (large) return worker.receive_large(NodeId{prefix.from}, user_header, data, length);
    worker.receiver_->on_message(
        NodeId{prefix.from}, user_header,
        {static_cast<std::byte*>(data) + head_length, length - head_length}, false);
    return UCS_OK;
}

bool UcxWorker::malformed(const char* why) {
    SSI_LOG(log_, error, "net", "message dropped: {}", why);
    return false;
}

ucs_status_t UcxWorker::on_address(void* self, const void*, std::size_t, void* data,
                                   std::size_t length, const ucp_am_recv_param_t*) {
    auto& worker = *static_cast<UcxWorker*>(self);
    WirePrefix prefix;
    if (length <= sizeof prefix) return worker.malformed("an empty address"), UCS_OK;
    std::memcpy(&prefix, data, sizeof prefix);
    worker.endpoint(NodeId{prefix.from}).knows_us = true;
    worker.learn(NodeId{prefix.from}, {static_cast<const std::byte*>(data) + sizeof prefix,
                                       length - sizeof prefix});
    return UCS_OK;
}

// Returning UCS_OK without having asked for the data tells the sender that it is not wanted.
ucs_status_t UcxWorker::receive_large(NodeId from, std::span<const std::byte> header,
                                      void* descriptor, std::size_t length) {
    UcxEndpoint& peer = endpoint(from);
    if (peer.forgotten) return UCS_OK;
    std::byte* memory = receiver_->on_large(from, header, length);
    if (!memory) return UCS_OK;
    auto* large = new LargeReceive;
    large->worker = this;
    large->peer = &peer;
    large->memory = memory;
    large->length = length;
    large->header_length = header.size();
    std::copy(header.begin(), header.end(), large->header.begin());
    peer.incoming.push_back(large);

    ucp_request_param_t param{};
    param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
    param.cb.recv_am = &UcxWorker::on_large_done;
    param.user_data = large;
    ucs_status_ptr_t request =
        ucp_am_recv_data_nbx(context_->worker, descriptor, memory, length, &param);
    if (!UCS_PTR_IS_PTR(request))
        finish_large(large, request ? UCS_PTR_STATUS(request) : UCS_OK);
    return UCS_OK;
}

void UcxWorker::on_large_done(void* request, ucs_status_t status, std::size_t, void* context) {
    auto* large = static_cast<LargeReceive*>(context);
    large->worker->finish_large(large, status);
    ucp_request_free(request);
}

void UcxWorker::finish_large(LargeReceive* large, ucs_status_t status) {
    const std::unique_ptr<LargeReceive> owner(large);
    std::erase(large->peer->incoming, large);
    if (large->abandoned) return;
    const NodeId from = large->peer->node;
    if (status != UCS_OK) {
        SSI_LOG(log_, debug, "net", "{} bytes from node {} did not arrive; {}", large->length,
                from.value, describe(status));
        receiver_->on_large_failed(from, large->memory);
        return;
    }
    receiver_->on_message(from, {large->header.data(), large->header_length},
                          {large->memory, large->length}, true);
}

}  // namespace ssi::net
