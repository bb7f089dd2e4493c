// SPDX-License-Identifier: BSD-3-Clause
// Receiving: UCX's callbacks, all inside ucp_worker_progress and so under the token.
#include <cstring>
#include <utility>

#include "ucx_worker.hpp"

namespace ssi::net {

UcxWorker::Parsed UcxWorker::parse(void* data, std::size_t length) {
    auto* bytes = static_cast<std::byte*>(data);
    WirePrefix prefix;
    if (length < sizeof prefix) return {};
    std::memcpy(&prefix, bytes, sizeof prefix);
    if (length < sizeof prefix + prefix.header_length) return {};
    const std::size_t head = sizeof prefix + prefix.header_length;
    return {NodeId{prefix.from},
            {bytes + sizeof prefix, prefix.header_length},
            {bytes + head, length - head},
            true};
}

template <AmId id>
ucs_status_t UcxWorker::on_am(void* self, const void*, std::size_t, void* data, std::size_t length,
                              const ucp_am_recv_param_t*) {
    auto& worker = *static_cast<UcxWorker*>(self);
    // An offer's header stands after the Offer: its prefix says how long it is, no more.
    Parsed message = worker.parse(data, length);
    bool good = message.ok;
    if constexpr (id == am_message) {
        if (good) [[likely]]
            worker.receiver_->on_message(message.from, message.header, message.body, false);
    } else if constexpr (id == am_address) {
        if (good) {
            worker.endpoint(message.from).knows_us = true;
            worker.learn(message.from, message.body);
        }
    } else if constexpr (id == am_offer) {
        good = good && length >= sizeof(WirePrefix) + sizeof(Offer);
        if (good)
            worker.on_offer(message.from, {static_cast<std::byte*>(data) + sizeof(WirePrefix),
                                           length - sizeof(WirePrefix)});
    } else if constexpr (id == am_want_key || id == am_key) {
        ShownPiece piece;
        good = good && message.body.size() >= sizeof piece;
        if (good) {
            std::memcpy(&piece, message.body.data(), sizeof piece);
            if constexpr (id == am_want_key) worker.on_want_key(message.from, piece);
            if constexpr (id == am_key)
                worker.on_key(message.from, piece, message.body.subspan(sizeof piece));
        }
    } else {
        Piece piece;
        good = good && message.body.size() >= sizeof piece;
        if (good) {
            std::memcpy(&piece, message.body.data(), sizeof piece);
            if constexpr (id == am_pull) worker.on_pull(message.from, piece);
            if constexpr (id == am_chunk)
                worker.on_chunk(message.from, piece, message.body.subspan(sizeof piece));
            if constexpr (id == am_done) worker.on_done(piece);
        }
    }
    if (!good)
        SSI_LOG(worker.log_, error, "net", "message of {} bytes and kind {} dropped: too short",
                length, static_cast<unsigned>(id));
    return UCS_OK;
}

void UcxWorker::set_receiver(Receiver* receiver) {
    receiver_ = receiver;
    const std::pair<AmId, ucp_am_recv_callback_t> handlers[] = {
        {am_message, &on_am<am_message>}, {am_address, &on_am<am_address>},
        {am_offer, &on_am<am_offer>},     {am_pull, &on_am<am_pull>},
        {am_chunk, &on_am<am_chunk>},     {am_done, &on_am<am_done>},
        {am_want_key, &on_am<am_want_key>}, {am_key, &on_am<am_key>}};
    for (const auto& [id, callback] : handlers) {
        ucp_am_handler_param_t param{};
        param.field_mask = UCP_AM_HANDLER_PARAM_FIELD_ID | UCP_AM_HANDLER_PARAM_FIELD_CB |
                           UCP_AM_HANDLER_PARAM_FIELD_ARG;
        param.id = id;
        param.cb = callback;
        param.arg = this;
        if (const auto status = ucp_worker_set_am_recv_handler(context_->worker, &param);
            status != UCS_OK)
            SSI_LOG(log_, error, "net", "no handler for messages; {}", describe(status));
    }
}

}  // namespace ssi::net
