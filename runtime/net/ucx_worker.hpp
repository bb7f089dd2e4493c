// SPDX-License-Identifier: BSD-3-Clause
// The UCX half of the ucx twin. A worker belongs to whoever holds the poller token; the queue takes
// what the others want done. Private to runtime/net.
#pragma once

#include <ucp/api/ucp.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "peer_memory.hpp"
#include "ssi/net/peer_map.hpp"
#include "ssi/net/ucx.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::net {

// In front of every message's header. Little endian, 8 bytes, so that headers stay aligned.
struct WirePrefix {
    std::uint32_t from = 0;
    std::uint16_t header_length = 0;
    std::uint16_t reserved = 0;
};
static_assert(sizeof(WirePrefix) == 8);

// What UCX carries. Large payloads do not use UCX's rendezvous (docs/decisions: 1.13 loses or
// crashes on requests to dead peers): the sender offers its memory, the receiver copies it, by the
// kernel on the same host, else in chunks that it pulls, and says when it is done.
enum AmId : unsigned {
    am_message = 1, am_address, am_offer, am_pull, am_chunk, am_done,
    am_want_key,   // by which key do I read this address?
    am_key,        // by this; a ShownPiece and UCX's packed key follow
};

// After the prefix of am_offer; the message's header follows. 56 bytes.
struct Offer {
    std::uint64_t id = 0;              // of the sender, unique
    std::uint64_t address = 0;         // in the sender's memory
    std::uint64_t length = 0;
    std::uint64_t host_id = 0;         // of the sender; 0: its memory cannot be read by others
    std::int32_t process_id = 0;
    std::int32_t memory_fd = -1;       // of the sender: shared memory with the bytes, or -1
    std::uint64_t memory_inode = 0;    // of that memory's file, as numbers are used again
    std::uint64_t memory_offset = 0;
};
static_assert(sizeof(Offer) == 56);
// After the prefix of am_pull (bytes from `offset` to `end`, please), am_chunk (the bytes at
// `offset` follow) and am_done (the offer may be withdrawn).
struct Piece {
    std::uint64_t id = 0;              // of the offer
    std::uint64_t offset = 0;
    std::uint64_t end = 0;
};

// After the prefix of am_want_key (`asked` only) and am_key (no bytes: nothing is shown there).
struct ShownPiece {
    std::uint64_t asked = 0;           // an address in it
    std::uint64_t begin = 0;
    std::uint64_t bytes = 0;
};

// Longest message sent as one piece of the shared FIFO. The FIFO's elements are 256 bytes (see
// ucx_context.cpp); what UCX needs of them is taken off.
inline constexpr std::size_t max_short_bytes = 220;
inline constexpr std::size_t op_buffer_bytes =
    sizeof(WirePrefix) + sizeof(Offer) + max_header_bytes + max_copied_payload;

struct UcxEndpoint;
class UcxWorker;

// What an operation sends. Most messages are small; room for more is kept when it was needed once.
class OutgoingBuffer {
public:
    void reserve(std::size_t bytes) {   // before data(); loses what was in it
        is_small_ = bytes <= sizeof small_;
        if (is_small_ || bytes <= large_bytes_) return;
        large_bytes_ = bytes <= page_and_header ? page_and_header : op_buffer_bytes;
        large_ = std::make_unique_for_overwrite<std::byte[]>(large_bytes_);
    }
    std::byte* data() { return is_small_ ? small_ : large_.get(); }

private:
    static constexpr std::size_t page_and_header = 4096 + 256;
    bool is_small_ = true;
    std::size_t large_bytes_ = 0;
    std::unique_ptr<std::byte[]> large_;
    std::byte small_[256];
};

// One thing to do, as long as the queue or UCX needs it. Recycled by its worker.
struct Outgoing {
    enum class Kind : std::uint8_t { message, forget, learn, close, get, inspect };
    Kind kind = Kind::message;
    bool force = false;                     // of close
    unsigned am_id = am_message;
    UcxWorker* worker = nullptr;
    NodeId to = no_node;
    Outgoing* next = nullptr;               // in the queue, or in the list of free ones
    Get* get = nullptr;
    Payload payload;                        // of an offer that was not made yet: lent, or `copy`
    std::unique_ptr<std::byte[]> copy;      // of a large payload that was not lent
    std::size_t length = 0;                 // of what lies in buffer
    OutgoingBuffer buffer;
};

// A large payload on its way out: the receiver may read it until it says am_done.
struct Lent {
    NodeId to = no_node;
    Payload payload;
    std::unique_ptr<std::byte[]> copy;
};

// A large payload on its way in.
struct LargeReceive {
    UcxEndpoint* peer = nullptr;
    Offer offer;
    std::byte* memory = nullptr;
    std::uint64_t received = 0;
    std::uint64_t pulled = 0;               // asked for so far
    std::vector<std::byte> header;
};

// A get on its way. UCX writes to its own room, not to the caller's: what UCX does not finish, as
// the peer is dead, then harms nobody.
struct Fetch {
    Get* get = nullptr;                     // null: given up
    UcxWorker* worker = nullptr;
    UcxEndpoint* peer = nullptr;
    std::size_t taken = 0;
    std::size_t piece_bytes = 0;            // that UCX reads now
    std::vector<std::byte> room;
    std::uint64_t next() const { return get->address + taken; }
};

// A piece of a peer's memory, and UCX's key to it.
struct RemotePiece {
    std::uint64_t begin = 0;
    std::uint64_t bytes = 0;
    ucp_rkey_h key = nullptr;
};

// A piece of our memory that UCX knows.
struct RegisteredPiece {
    std::uint64_t bytes = 0;
    ucp_mem_h handle = nullptr;
    std::vector<std::byte> key;             // for others
};

// A peer as UCX sees it. Everything but `node` and `gets` is under the token.
struct UcxEndpoint {
    explicit UcxEndpoint(NodeId id) : node(id) {}
    const NodeId node;
    std::atomic<GetSupport> gets{GetSupport::unknown};
    bool forgotten = false;
    bool asked = false;                     // for its address
    bool knows_us = false;                  // it sent us its address, so it has met us
    bool unreadable = false;                // the kernel does not let us read its memory
    // UCX reported an error; handled after the progress call.
    bool broken = false;
    ucs_status_t error = UCS_OK;
    ucp_ep_h ep = nullptr;
    UcxWorker* worker = nullptr;
    std::vector<std::byte> address;
    std::vector<Outgoing*> parked;          // until the address comes
    std::vector<std::unique_ptr<LargeReceive>> incoming;
    std::vector<RemotePiece> pieces;        // by address
    std::vector<Fetch*> keyless;            // until a key comes
    std::vector<Fetch*> fetching;           // UCX is at work
};

// Context and worker, with what must be set in UCX for us. Destroyed last.
struct UcxContext {
    ucp_context_h context = nullptr;
    ucp_worker_h worker = nullptr;
    int event_fd = -1;
    std::vector<std::byte> address;
    ~UcxContext();
    static Result<std::unique_ptr<UcxContext>> make(const Config& config, bool keepalive,
                                                    bool gets);
};

inline void release(const Payload& payload) {
    if (payload.release) payload.release(payload.context);
}

// "UCX says: ..."
std::string describe(ucs_status_t status);

class UcxWorker final : public UcxTransport {
public:
    UcxWorker(std::unique_ptr<UcxContext> context, UcxOptions options, Log& log);
    ~UcxWorker() override;

    NodeId self() const override { return options_.self; }
    void set_receiver(Receiver* receiver) override;
    Result<void> send(NodeId to, std::span<const std::byte> header,
                      const Payload& payload) override;
    GetSupport get_support(NodeId peer) override;
    void get(Get& get) override;
    void show(const ShownMemory* memory) override;
    bool poll() override;
    void forget(NodeId peer) override;
    int event_fd() const override { return context_->event_fd; }
    bool arm() override;
    std::uint64_t poll_count() const override {
        return poll_count_.load(std::memory_order_relaxed);
    }

    std::span<const std::byte> address() const override { return context_->address; }
    void learn_address(NodeId node, std::span<const std::byte> address) override;
    bool lending() const override { return lent_count_.load(std::memory_order_acquire) != 0; }
    void close(bool force) override;
    bool closed() const override { return closed_.load(std::memory_order_acquire); }
    void abandon() override;
    Counts counts() const override;

private:
    // ---- token and queue (ucx_worker.cpp)
    bool try_token();
    void drop_token();
    bool token_is_mine() const {
        return holder_.load(std::memory_order_relaxed) == &sys::current_task();
    }
    void enqueue(Outgoing* op);
    void drain();
    void execute(Outgoing* op);
    bool after_progress();

    // ---- sending (ucx_send.cpp), under the token
    Result<void> send_now(NodeId to, std::span<const std::byte> header, const Payload& payload);
    bool send_short(UcxEndpoint& peer, std::span<const std::byte> header, const Payload& payload);
    Outgoing* pack(NodeId to, std::span<const std::byte> header, const Payload& payload);
    // With room for so many bytes `more` behind the body.
    Outgoing* pack(NodeId to, unsigned am_id, std::span<const std::byte> body,
                   std::size_t more = 0);
    Result<void> submit(UcxEndpoint& peer, Outgoing* op);
    void post(UcxEndpoint& peer, Outgoing* op);
    void finish(Outgoing* op);
    Outgoing* take_op(std::size_t bytes);   // with so much room
    static void on_sent(void* request, ucs_status_t status, void* op);

    // ---- receiving (ucx_receive.cpp), from progress
    struct Parsed {
        NodeId from;
        std::span<const std::byte> header;
        std::span<std::byte> body;
        bool ok = false;
    };
    Parsed parse(void* data, std::size_t length);
    template <AmId id>
    static ucs_status_t on_am(void* self, const void*, std::size_t, void* data, std::size_t length,
                              const ucp_am_recv_param_t*);

    // ---- large payloads (ucx_large.cpp), under the token
    void make_offer(Outgoing* op);
    void on_offer(NodeId from, std::span<const std::byte> body);
    void on_pull(NodeId from, const Piece& piece);
    void on_chunk(NodeId from, const Piece& piece, std::span<const std::byte> bytes);
    void on_done(const Piece& piece);
    bool advance_large();
    bool copy_some(LargeReceive& large);
    bool copy_mapped(LargeReceive& large, std::uint64_t length);
    void pull_some(LargeReceive& large);
    void finish_large(LargeReceive& large, bool arrived);
    void tell(NodeId to, unsigned am_id, const Piece& piece);
    void forget_large(UcxEndpoint& peer);
    void count_lent() { lent_count_.store(lent_.size(), std::memory_order_release); }

    // ---- gets (ucx_get.cpp), under the token
    void start_get(Get& get);
    void advance(Fetch* fetch);
    void finish(Fetch* fetch, Errc outcome);
    void on_want_key(NodeId from, const ShownPiece& piece);
    void on_key(NodeId from, const ShownPiece& piece, std::span<const std::byte> key);
    const RegisteredPiece* registered(std::uint64_t begin, std::uint64_t bytes);
    void forget_gets(UcxEndpoint& peer, Errc outcome);
    void inspect(UcxEndpoint& peer);
    void drop_keys();
    static RemotePiece* find_piece(UcxEndpoint& peer, std::uint64_t address);
    static void on_got(void* request, ucs_status_t status, void* fetch);

    // ---- endpoints (ucx_endpoint.cpp), under the token
    UcxEndpoint& endpoint(NodeId node);
    Result<void> connect(UcxEndpoint& peer);
    void disconnect(UcxEndpoint& peer, bool force);
    void learn(NodeId node, std::span<const std::byte> address);
    void forget_now(UcxEndpoint& peer);
    void handle_broken();
    void close_now(bool force);
    static void on_ep_error(void* endpoint, ucp_ep_h ep, ucs_status_t status);
    static void on_ep_closed(void* request, ucs_status_t status, void* self);

    std::unique_ptr<UcxContext> context_;
    const UcxOptions options_;
    Log& log_;
    Receiver* receiver_ = nullptr;
    PeerMap<UcxEndpoint> endpoints_;

    alignas(64) std::atomic<bool> token_{false};
    std::atomic<const sys::Task*> holder_{nullptr};
    std::atomic<std::uint64_t> poll_count_{0};
    std::atomic<Outgoing*> queue_{nullptr};   // last in first; order does not matter to anybody
    std::atomic<bool> armed_{false};
    std::atomic<bool> closed_{false};
    std::atomic<std::size_t> lent_count_{0};  // of lent_
    std::atomic<std::uint64_t> endpoints_made_{0}, deferred_{0}, queued_{0};

    // Under the token:
    alignas(64) std::vector<UcxEndpoint*> broken_;
    std::map<std::uint64_t, Lent> lent_;      // by the id of the offer
    std::uint64_t last_offer_ = 0;
    std::vector<LargeReceive*> copying_;      // from this host, piece by piece, a piece a poll
    PeerMemory peer_memory_;
    Outgoing* free_ = nullptr;
    std::size_t free_count_ = 0;
    std::size_t in_flight_ = 0;               // sends that UCX has not finished
    std::size_t closing_ = 0;                 // endpoints being closed
    bool closing_all_ = false;
    const ShownMemory* shown_ = nullptr;
    std::map<std::uint64_t, RegisteredPiece> registered_;   // by address
    std::vector<ucp_rkey_h> old_keys_;        // of connections that are no more
    std::vector<ucp_mem_h> old_handles_;      // of pieces that have grown
    std::vector<std::unique_ptr<Fetch>> fetches_;
    std::vector<Fetch*> free_fetches_;
    bool met_death_ = false;                  // a peer was forgotten, or its connection broke
};

}  // namespace ssi::net
