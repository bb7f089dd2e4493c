// SPDX-License-Identifier: BSD-3-Clause
#include "loop_world.hpp"

#include <fmt/format.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "ssi/base/assert.hpp"

namespace ssi::net {

LoopWorld::LoopWorld(const std::vector<NodeId>& nodes, LoopOptions options)
    : impl_(std::make_unique<Impl>()) {
    for (NodeId node : nodes)
        impl_->transports.emplace(node, std::make_unique<LoopTransport>(*impl_, node, options));
}

static std::vector<NodeId> first_nodes(int count) {
    std::vector<NodeId> nodes;
    for (int i = 0; i < count; ++i) nodes.emplace_back(static_cast<std::uint32_t>(i));
    return nodes;
}

LoopWorld::LoopWorld(int count, LoopOptions options) : LoopWorld(first_nodes(count), options) {}

LoopWorld::~LoopWorld() = default;

Transport& LoopWorld::transport(NodeId node) {
    LoopTransport* transport = impl_->find(node);
    SSI_ASSERT(transport, "ask for a node that the world was made with");
    return *transport;
}

void LoopWorld::kill(NodeId node) { static_cast<LoopTransport&>(transport(node)).die(); }

LoopTransport::LoopTransport(LoopWorld::Impl& world, NodeId self, const LoopOptions& options)
    : world_(world),
      self_(self),
      event_fd_(options.event_fds ? eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC) : -1),
      reorder_(options.reorder_seed != 0),
      duplicate_(options.duplicate),
      random_(mix64(options.reorder_seed) + self.value) {}

LoopTransport::~LoopTransport() {
    // Lent memory is given back although nobody will read it: its owner counts on it.
    auto release = [](const Item& item) {
        if ((item.kind == Kind::lent || item.kind == Kind::done) && item.payload.release)
            item.payload.release(item.payload.context);
    };
    for (const Item& item : inbox_) release(item);
    for (const Item& item : held_) release(item);
    for (const Large& large : large_) release(large.item);
    if (event_fd_ >= 0) ::close(event_fd_);
}

Result<void> LoopTransport::send(NodeId to, std::span<const std::byte> header,
                                 const Payload& payload) {
    LoopTransport* target = world_.find(to);
    if (!target || header.size() > max_header_bytes) {
        if (payload.release) payload.release(payload.context);
        if (!target)
            return fail(Errc::transport, fmt::format("there is no node {} here", to.value), to);
        return fail(Errc::too_large, fmt::format("a header of {} bytes", header.size()));
    }
    if (dead() || target->dead()) {
        // The dead do not notice; the living find out at their next poll.
        if (payload.release) push({Kind::done, to, {}, {}, payload, nullptr});
        if (!dead()) push({Kind::suspect, to, {}, {}, {}, nullptr});
        return {};
    }
    Item item{Kind::message, self_, {header.begin(), header.end()}, {}, payload, this};
    if (payload.release && payload.length > max_copied_payload) {
        item.kind = Kind::lent;
    } else {
        item.bytes.assign(payload.data, payload.data + payload.length);
        if (payload.release) payload.release(payload.context);
    }
    target->push(std::move(item));
    return {};
}

void LoopTransport::push(Item item) {
    {
        std::lock_guard lock(mutex_);
        inbox_.push_back(std::move(item));
        waiting_.fetch_add(1);
    }
    wake();
}

void LoopTransport::wake() {
    if (armed_.load() && armed_.exchange(false)) {
        const std::uint64_t one = 1;
        [[maybe_unused]] const auto written = ::write(event_fd_, &one, sizeof one);
    }
}

bool LoopTransport::arm() {
    if (event_fd_ < 0 || waiting_.load() != 0) return false;
    // Like UCX's, the fd stays readable until it is armed again, whoever polled meanwhile.
    std::uint64_t count;
    [[maybe_unused]] const auto n = ::read(event_fd_, &count, sizeof count);
    armed_.store(true);
    // A push between the two lines above saw armed_ false: look again.
    if (waiting_.load() == 0) return true;
    armed_.store(false);
    return false;
}

bool LoopTransport::poll() {
    if (waiting_.load(std::memory_order_relaxed) == 0) {
        poll_count_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    if (token_.exchange(true, std::memory_order_acquire)) return false;
    finish_large();
    bool handled = take_batch();
    for (Item& item : batch_) handle(item);
    batch_.clear();
    handled = advance_gets() || handled;
    poll_count_.fetch_add(1, std::memory_order_relaxed);
    token_.store(false, std::memory_order_release);
    return handled;
}

bool LoopTransport::take_batch() {
    batch_.swap(held_);
    {
        std::lock_guard lock(mutex_);
        std::move(inbox_.begin(), inbox_.end(), std::back_inserter(batch_));
        inbox_.clear();
    }
    if (batch_.empty()) return false;
    if (reorder_) {
        for (std::size_t i = batch_.size() - 1; i > 0; --i)
            std::swap(batch_[i], batch_[random_.below(i + 1)]);
        while (batch_.size() > 1 && random_.chance(1, 4)) {
            held_.push_back(std::move(batch_.back()));
            batch_.pop_back();
        }
        if (duplicate_ && batch_.front().kind == Kind::message && random_.chance(1, 4)) {
            held_.push_back(batch_.front());
            waiting_.fetch_add(1);
        }
    }
    waiting_.fetch_sub(batch_.size());
    return true;
}

void LoopTransport::handle(Item& item) {
    const bool forgotten =
        std::find(forgotten_.begin(), forgotten_.end(), item.from) != forgotten_.end();
    switch (item.kind) {
        case Kind::done:
            item.payload.release(item.payload.context);
            return;
        case Kind::suspect:
            if (!forgotten && !dead())
                receiver_->on_peer_suspect(
                    item.from, Failure{Errc::transport, 0, item.from, "it does not answer"});
            return;
        case Kind::forget:
            forgotten_.push_back(item.from);
            fail_large(item.from);
            return;
        case Kind::message:
        case Kind::lent: break;
    }
    if (dead() || forgotten) return give_back(item);
    const std::size_t length =
        item.kind == Kind::lent ? item.payload.length : item.bytes.size();
    if (length <= max_copied_payload)
        return receiver_->on_message(item.from, item.header, item.bytes, false);
    std::byte* memory = receiver_->on_large(item.from, item.header, length);
    if (!memory) return give_back(item);
    large_.push_back({std::move(item), memory});
    waiting_.fetch_add(1);
}

void LoopTransport::finish_large() {
    std::vector<Large> ready;
    ready.swap(large_);
    for (Large& large : ready) {
        Item& item = large.item;
        if (item.sender->dead() || dead()) {
            large_.push_back(std::move(large));  // its bytes will never come; forget() fails it
            continue;
        }
        const bool lent = item.kind == Kind::lent;
        const std::byte* from = lent ? item.payload.data : item.bytes.data();
        const std::size_t length = lent ? item.payload.length : item.bytes.size();
        std::memcpy(large.memory, from, length);
        give_back(item);
        waiting_.fetch_sub(1);
        receiver_->on_message(item.from, item.header, {large.memory, length}, true);
    }
}

void LoopTransport::fail_large(NodeId from) {
    std::vector<Large> all;
    all.swap(large_);
    for (Large& large : all) {
        if (large.item.from != from) {
            large_.push_back(std::move(large));
            continue;
        }
        give_back(large.item);
        waiting_.fetch_sub(1);
        receiver_->on_large_failed(from, large.memory);
    }
}

void LoopTransport::give_back(Item& item) {
    if (item.kind == Kind::lent && item.payload.release)
        item.sender->push({Kind::done, self_, {}, {}, item.payload, nullptr});
    item.kind = Kind::message;
}

void LoopTransport::forget(NodeId peer) { push({Kind::forget, peer, {}, {}, {}, nullptr}); }

void LoopTransport::die() { dead_.store(true, std::memory_order_release); }

}  // namespace ssi::net
