// SPDX-License-Identifier: BSD-3-Clause
// Gets: UCX reads a peer's memory into a room of ours, whence it is copied. The key to a piece of
// memory is asked for when it is first needed, and kept as long as the connection; the other side
// registers the piece when it is first asked. A get that needs several pieces reads them in turn.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <utility>

#include "ucx_worker.hpp"

namespace ssi::net {
namespace {

constexpr std::size_t most_piece_bytes = 256 << 10;
constexpr std::size_t most_free_fetches = 256;

// Transports that read any registered memory of a peer without its processor. Over others UCX sends
// messages to itself there, which wait for the peer's polls.
constexpr std::string_view reading_transports[] = {"rc_", "dc_", "ugni", "xpmem"};

// What UCX tells of a connection. 1.13 has no other way to ask which transports it uses.
std::string lanes_of(ucp_ep_h ep) {
    char* text = nullptr;
    std::size_t length = 0;
    std::FILE* stream = ::open_memstream(&text, &length);
    if (!stream) return {};
    ucp_ep_print_info(ep, stream);
    std::fclose(stream);
    std::string lanes(text, length);
    std::free(text);
    return lanes;
}

// "lane[0]:  3:rc_mlx5/mlx5_0:1.0 md[2] -> ...": the name of the transport.
bool reads_by_itself(std::string_view lanes) {
    for (std::size_t at = lanes.find("lane["); at != lanes.npos; at = lanes.find("lane[", at)) {
        at = lanes.find(':', lanes.find(':', at) + 1);
        if (at == lanes.npos) return false;
        const std::string_view name = lanes.substr(at + 1, 16);
        for (const std::string_view transport : reading_transports)
            if (name.starts_with(transport)) return true;
    }
    return false;
}

}  // namespace

GetSupport UcxWorker::get_support(NodeId peer) {
    if (!options_.gets) return GetSupport::none;
    const UcxEndpoint* known = endpoints_.find(peer);
    const GetSupport support =
        known ? known->gets.load(std::memory_order_relaxed) : GetSupport::unknown;
    if (support != GetSupport::unknown) return support;
    auto* op = new Outgoing;
    op->kind = Outgoing::Kind::inspect;
    op->to = peer;
    enqueue(op);
    return GetSupport::unknown;
}

// A connection that is being made shows no lanes yet: then nothing is known.
void UcxWorker::inspect(UcxEndpoint& peer) {
    if (!peer.ep || peer.broken || peer.gets.load() != GetSupport::unknown) return;
    const std::string lanes = lanes_of(peer.ep);
    if (lanes.find("lane[") == std::string::npos) return;
    const bool native = reads_by_itself(lanes);
    SSI_LOG(log_, debug, "net", "memory of node {} is read {}", peer.node.value,
            native ? "by the network itself" : "with that node's help, over messages");
    peer.gets.store(native ? GetSupport::native : GetSupport::emulated);
}

void UcxWorker::get(Get& get) {
    if (token_is_mine()) return start_get(get);
    if (try_token()) {
        start_get(get);
        drop_token();
        return;
    }
    auto* op = new Outgoing;
    op->kind = Outgoing::Kind::get;
    op->to = get.from;
    op->get = &get;
    enqueue(op);
}

void UcxWorker::show(const ShownMemory* memory) {
    // Whoever holds the token may be looking at what is to go.
    while (!try_token()) sys::yield_task();
    shown_ = memory;
    drop_token();
}

// ---- under the token

void UcxWorker::start_get(Get& get) {
    UcxEndpoint& peer = endpoint(get.from);
    if (peer.forgotten) return get.done(get, Errc::peer_lost);
    if (closing_all_) return get.done(get, Errc::cancelled);
    if (get.into.empty()) return get.done(get, Errc::ok);
    Fetch* fetch = nullptr;
    if (free_fetches_.empty()) {
        fetch = fetches_.emplace_back(std::make_unique<Fetch>()).get();
    } else {
        fetch = free_fetches_.back();
        free_fetches_.pop_back();
    }
    fetch->get = &get;
    fetch->worker = this;
    fetch->peer = &peer;
    fetch->taken = 0;
    advance(fetch);
}

RemotePiece* UcxWorker::find_piece(UcxEndpoint& peer, std::uint64_t address) {
    auto after = std::upper_bound(
        peer.pieces.begin(), peer.pieces.end(), address,
        [](std::uint64_t value, const RemotePiece& piece) { return value < piece.begin; });
    if (after == peer.pieces.begin()) return nullptr;
    RemotePiece& piece = *--after;
    return address - piece.begin < piece.bytes ? &piece : nullptr;
}

void UcxWorker::advance(Fetch* fetch) {
    UcxEndpoint& peer = *fetch->peer;
    while (fetch->taken < fetch->get->into.size()) {
        const RemotePiece* piece = peer.ep ? find_piece(peer, fetch->next()) : nullptr;
        if (!piece) {
            peer.keyless.push_back(fetch);
            const ShownPiece wanted{fetch->next(), 0, 0};
            // A failure is told by on_ep_error, or by forgetting the peer.
            (void)submit(peer, pack(peer.node, am_want_key,
                                    std::as_bytes(std::span(&wanted, 1))));
            return;
        }
        fetch->piece_bytes = std::min<std::size_t>(
            {fetch->get->into.size() - fetch->taken, most_piece_bytes,
             piece->begin + piece->bytes - fetch->next()});
        if (fetch->room.size() < fetch->piece_bytes) fetch->room.resize(fetch->piece_bytes);
        ucp_request_param_t param{};
        param.op_attr_mask = UCP_OP_ATTR_FIELD_CALLBACK | UCP_OP_ATTR_FIELD_USER_DATA;
        param.cb.send = &UcxWorker::on_got;
        param.user_data = fetch;
        const ucs_status_ptr_t request = ucp_get_nbx(peer.ep, fetch->room.data(),
                                                     fetch->piece_bytes, fetch->next(), piece->key,
                                                     &param);
        if (UCS_PTR_IS_PTR(request)) {
            peer.fetching.push_back(fetch);
            ++in_flight_;
            if (armed_.exchange(false, std::memory_order_relaxed))
                ucp_worker_signal(context_->worker);
            return;
        }
        if (request) return finish(fetch, Errc::transport);
        std::memcpy(fetch->get->into.data() + fetch->taken, fetch->room.data(),
                    fetch->piece_bytes);
        fetch->taken += fetch->piece_bytes;
    }
    finish(fetch, Errc::ok);
}

void UcxWorker::on_got(void* request, ucs_status_t status, void* context) {
    auto* fetch = static_cast<Fetch*>(context);
    UcxWorker& worker = *fetch->worker;
    ucp_request_free(request);
    if (!fetch->get) return worker.finish(fetch, Errc::cancelled);
    std::erase(fetch->peer->fetching, fetch);
    --worker.in_flight_;
    if (status != UCS_OK) return worker.finish(fetch, Errc::transport);
    std::memcpy(fetch->get->into.data() + fetch->taken, fetch->room.data(), fetch->piece_bytes);
    fetch->taken += fetch->piece_bytes;
    worker.advance(fetch);
}

void UcxWorker::finish(Fetch* fetch, Errc outcome) {
    Get* const get = std::exchange(fetch->get, nullptr);
    if (fetch->room.size() > max_copied_payload && free_fetches_.size() >= 4)
        fetch->room = {};   // a few large ones are kept, registered as they may be
    if (free_fetches_.size() < most_free_fetches) {
        free_fetches_.push_back(fetch);
    } else {
        std::erase_if(fetches_, [fetch](const auto& one) { return one.get() == fetch; });
    }
    if (get) get->done(*get, outcome);
}

// The connection is about to go, and its keys with it. What UCX is still at keeps its room.
void UcxWorker::forget_gets(UcxEndpoint& peer, Errc outcome) {
    for (const RemotePiece& piece : std::exchange(peer.pieces, {})) old_keys_.push_back(piece.key);
    for (Fetch* fetch : std::exchange(peer.keyless, {})) finish(fetch, outcome);
    for (Fetch* fetch : std::exchange(peer.fetching, {})) {
        --in_flight_;
        Get* const get = std::exchange(fetch->get, nullptr);
        get->done(*get, outcome);
    }
}

// ---- keys

// Null: nothing of it can be read by others.
const RegisteredPiece* UcxWorker::registered(std::uint64_t begin, std::uint64_t bytes) {
    RegisteredPiece& known = registered_[begin];
    if (known.bytes >= bytes) return &known;
    ucp_mem_map_params_t params{};
    params.field_mask = UCP_MEM_MAP_PARAM_FIELD_ADDRESS | UCP_MEM_MAP_PARAM_FIELD_LENGTH |
                        UCP_MEM_MAP_PARAM_FIELD_PROT;
    params.address = reinterpret_cast<void*>(begin);
    params.length = bytes;
    params.prot = UCP_MEM_MAP_PROT_LOCAL_READ | UCP_MEM_MAP_PROT_REMOTE_READ;
    ucp_mem_h handle = nullptr;
    ucs_status_t status = ucp_mem_map(context_->context, &params, &handle);
    void* key = nullptr;
    std::size_t key_bytes = 0;
    if (status == UCS_OK) {
        status = ucp_rkey_pack(context_->context, handle, &key, &key_bytes);
        if (status != UCS_OK) (void)ucp_mem_unmap(context_->context, handle);
    }
    if (status != UCS_OK) {
        SSI_LOG(log_, warn, "net", "{} bytes of memory cannot be shown to other nodes, so they ask "
                "by messages; {}; see `ulimit -l`", bytes, describe(status));
        known.bytes = bytes;
        known.key.clear();
        return &known;
    }
    if (known.handle) old_handles_.push_back(known.handle);   // others may still read by it
    const auto* packed = static_cast<const std::byte*>(key);
    known = {bytes, handle, {packed, packed + key_bytes}};
    ucp_rkey_buffer_release(key);
    return &known;
}

void UcxWorker::on_want_key(NodeId from, const ShownPiece& wanted) {
    UcxEndpoint& peer = endpoint(from);
    if (peer.forgotten || closing_all_) return;
    ShownPiece piece{wanted.asked, 0, 0};
    std::vector<std::byte> body(sizeof piece);
    if (shown_ && options_.gets) {
        const auto shown = shown_->piece_at(wanted.asked);
        const auto begin = reinterpret_cast<std::uintptr_t>(shown.data());
        const RegisteredPiece* ours = shown.empty() ? nullptr : registered(begin, shown.size());
        if (ours && !ours->key.empty() && ours->key.size() <= max_copied_payload) {
            piece = {wanted.asked, begin, ours->bytes};
            body.insert(body.end(), ours->key.begin(), ours->key.end());
        }
    }
    std::memcpy(body.data(), &piece, sizeof piece);
    (void)submit(peer, pack(from, am_key, body));
}

void UcxWorker::on_key(NodeId from, const ShownPiece& piece, std::span<const std::byte> key) {
    UcxEndpoint& peer = endpoint(from);
    if (peer.forgotten || !peer.ep || peer.broken) return;   // its gets have ended
    ucp_rkey_h unpacked = nullptr;
    const bool good = piece.bytes != 0 && piece.asked - piece.begin < piece.bytes &&
                      ucp_ep_rkey_unpack(peer.ep, key.data(), &unpacked) == UCS_OK;
    if (good) {
        auto at = std::lower_bound(
            peer.pieces.begin(), peer.pieces.end(), piece.begin,
            [](const RemotePiece& one, std::uint64_t value) { return one.begin < value; });
        const bool known = at != peer.pieces.end() && at->begin == piece.begin;
        if (known)   // it has grown, or was asked for twice; gets under way use the old one
            old_keys_.push_back(std::exchange(*at, {piece.begin, piece.bytes, unpacked}).key);
        else
            peer.pieces.insert(at, {piece.begin, piece.bytes, unpacked});
    }
    std::vector<Fetch*> waiting;
    std::erase_if(peer.keyless, [&](Fetch* fetch) {
        const bool met = good ? find_piece(peer, fetch->next()) != nullptr :
                                fetch->next() == piece.asked;
        if (met) waiting.push_back(fetch);
        return met;
    });
    for (Fetch* fetch : waiting) good ? advance(fetch) : finish(fetch, Errc::not_found);
}

// Before the context ends. What gets are still under way ends with the worker.
void UcxWorker::drop_keys() {
    endpoints_.for_each([this](UcxEndpoint& peer) {
        for (const RemotePiece& piece : std::exchange(peer.pieces, {}))
            old_keys_.push_back(piece.key);
    });
    for (const ucp_rkey_h key : std::exchange(old_keys_, {})) ucp_rkey_destroy(key);
    for (const auto& [begin, piece] : std::exchange(registered_, {}))
        if (piece.handle) old_handles_.push_back(piece.handle);
    for (const ucp_mem_h handle : std::exchange(old_handles_, {}))
        (void)ucp_mem_unmap(context_->context, handle);
}

}  // namespace ssi::net
