// SPDX-License-Identifier: BSD-3-Clause
// The poller token and the queue of those that found it taken.
//
// Rules that hold everywhere in this class: the UCX worker is only touched under the token; nobody
// waits for the token; the holder drains the queue after it has let the token go for as long as
// there is something in it and nobody else took the token; so what is queued never waits for a poll
// that does not come.
#include "ucx_worker.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "ssi/base/assert.hpp"

namespace ssi::net {
namespace {
constexpr int looks_per_poll = 8;

std::vector<std::unique_ptr<UcxContext>>& left_behind() {
    static auto* contexts = new std::vector<std::unique_ptr<UcxContext>>;   // never destroyed
    return *contexts;
}

}  // namespace

UcxWorker::UcxWorker(std::unique_ptr<UcxContext> context, UcxOptions options, Log& log)
    : context_(std::move(context)), options_(std::move(options)), log_(log) {}

UcxWorker::~UcxWorker() {
    abandon();
    // UCX 1.13 aborts now and then in ucp_worker_destroy over endpoints of the dead, or not closed
    // in time. The process is about to end: leave them.
    if (met_death_ || (closing_ != 0 && !closed()))
        left_behind().push_back(std::move(context_));
    else
        drop_keys();
    context_.reset();  // may call back for what it cancels, into what is still whole
    while (free_) delete std::exchange(free_, free_->next);
}

void UcxWorker::abandon() {
    while (!try_token()) {
    }
    closing_all_ = true;
    Outgoing* op = queue_.exchange(nullptr);
    while (op) {
        Outgoing* const queued = std::exchange(op, op->next);
        if (Get* get = std::exchange(queued->get, nullptr)) get->done(*get, Errc::cancelled);
        finish(queued);
    }
    endpoints_.for_each([this](UcxEndpoint& peer) {
        forget_gets(peer, Errc::cancelled);
        for (Outgoing* parked : std::exchange(peer.parked, {})) finish(parked);
        forget_large(peer);
    });
    drop_token();   // and what was queued meanwhile is given back
}

bool UcxWorker::try_token() {
    if (token_.load(std::memory_order_relaxed)) return false;
    if (token_.exchange(true, std::memory_order_acquire)) return false;
    holder_.store(&sys::current_task(), std::memory_order_relaxed);
    return true;
}

void UcxWorker::drop_token() {
    for (;;) {
        holder_.store(nullptr, std::memory_order_relaxed);
        // A full barrier: whoever queues after the look below finds the token free and drains.
        token_.exchange(false, std::memory_order_seq_cst);
        if (!queue_.load(std::memory_order_seq_cst)) [[likely]]
            return;
        if (!try_token()) return;  // the new holder looks as well
        drain();
    }
}

bool UcxWorker::poll() {
    if (!try_token()) return false;
    // Several looks for one token: taking and dropping it costs more than a look. Whoever queues
    // something ends it.
    bool handled = false;
    for (int i = 0; i < looks_per_poll && !handled; ++i) {
        handled = ucp_worker_progress(context_->worker) != 0;
        if (queue_.load(std::memory_order_relaxed)) break;
    }
    poll_count_.store(poll_count_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    if (!broken_.empty() || !copying_.empty() || closing_all_) [[unlikely]]
        handled = after_progress() || handled;
    drop_token();
    return handled;
}

// What must not happen inside ucp_worker_progress. True when there was something.
bool UcxWorker::after_progress() {
    if (!broken_.empty()) handle_broken();
    if (closing_all_ && closing_ == 0 && in_flight_ == 0)
        closed_.store(true, std::memory_order_release);
    return advance_large();
}

bool UcxWorker::arm() {
    if (context_->event_fd < 0 || !try_token()) return false;
    // A send that UCX has not finished may need polls that no event announces.
    const bool armed = in_flight_ == 0 && closing_ == 0 && copying_.empty() && !queue_.load() &&
                       ucp_worker_arm(context_->worker) == UCS_OK;
    armed_.store(armed, std::memory_order_relaxed);
    drop_token();
    return armed;
}

void UcxWorker::enqueue(Outgoing* op) {
    queued_.fetch_add(1, std::memory_order_relaxed);
    Outgoing* head = queue_.load(std::memory_order_relaxed);
    do {
        op->next = head;
    } while (!queue_.compare_exchange_weak(head, op, std::memory_order_seq_cst,
                                           std::memory_order_relaxed));
    // The holder may have looked before: then the token is free by now, or about to be looked at.
    if (try_token()) {
        drain();
        drop_token();
    }
}

void UcxWorker::drain() {
    Outgoing* list = queue_.exchange(nullptr, std::memory_order_acquire);
    Outgoing* in_order = nullptr;
    while (list) {
        Outgoing* op = std::exchange(list, list->next);
        op->next = std::exchange(in_order, op);
    }
    while (in_order) execute(std::exchange(in_order, in_order->next));
}

void UcxWorker::execute(Outgoing* op) {
    switch (op->kind) {
        case Outgoing::Kind::message:
            // The sender is gone: a failure here is the suspicion that UCX reports by itself.
            if (auto sent = submit(endpoint(op->to), op); !sent)
                SSI_LOG(log_, debug, "net", "{}", sent.error().text);
            return;
        case Outgoing::Kind::learn:
            learn(op->to, {op->buffer.data(), op->length});
            break;
        case Outgoing::Kind::forget:
            forget_now(endpoint(op->to));
            break;
        case Outgoing::Kind::close:
            close_now(op->force);
            break;
        case Outgoing::Kind::get:
            start_get(*std::exchange(op->get, nullptr));
            break;
        case Outgoing::Kind::inspect:
            inspect(endpoint(op->to));
            break;
    }
    finish(op);
}

// ---- operations from any thread

void UcxWorker::forget(NodeId peer) {
    auto* op = new Outgoing;
    op->kind = Outgoing::Kind::forget;
    op->to = peer;
    // Always queued: it may be called from a handler, and UCX must not lose an endpoint under one.
    enqueue(op);
}

void UcxWorker::learn_address(NodeId node, std::span<const std::byte> address) {
    SSI_ASSERT(address.size() <= op_buffer_bytes, "that is no UCX address");
    auto* op = new Outgoing;
    op->kind = Outgoing::Kind::learn;
    op->to = node;
    op->length = address.size();
    op->buffer.reserve(address.size());
    std::copy(address.begin(), address.end(), op->buffer.data());
    enqueue(op);
}

void UcxWorker::close(bool force) {
    auto* op = new Outgoing;
    op->kind = Outgoing::Kind::close;
    op->force = force;
    enqueue(op);
}

UcxTransport::Counts UcxWorker::counts() const {
    return {endpoints_made_.load(std::memory_order_relaxed),
            deferred_.load(std::memory_order_relaxed), queued_.load(std::memory_order_relaxed)};
}

Result<std::unique_ptr<UcxTransport>> make_ucx_transport(UcxOptions options, const Config& config,
                                                         Log& log) {
    auto context = UcxContext::make(config, options.keepalive, options.gets);
    if (!context) return tl::unexpected(std::move(context).error());
    return std::make_unique<UcxWorker>(std::move(*context), std::move(options), log);
}

}  // namespace ssi::net
