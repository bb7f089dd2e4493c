// SPDX-License-Identifier: BSD-3-Clause
#include "collectives.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>
#include <utility>

#include "ssi/base/assert.hpp"
#include "ssi/node/wait_list.hpp"

namespace ssi::node {
namespace {

constexpr std::array operation_names{"barrier", "broadcast", "reduce", "close"};
constexpr unsigned last_operation = operation_names.size() - 1;

template <class T>
void combine(std::span<T> into, std::span<const std::byte> from, ReduceOp op) {
    for (std::size_t i = 0; i < into.size(); ++i) {
        T value;
        std::memcpy(&value, from.data() + i * sizeof(T), sizeof(T));
        switch (op) {
            case ReduceOp::sum: into[i] += value; break;
            case ReduceOp::min: into[i] = std::min(into[i], value); break;
            case ReduceOp::max: into[i] = std::max(into[i], value); break;
        }
    }
}

// Bytes that several sends share; deleted by the last release.
struct SharedBytes {
    std::unique_ptr<std::byte[]> data;
    std::atomic<std::uint32_t> users{1};
    static void release(void* context) {
        auto* bytes = static_cast<SharedBytes*>(context);
        if (bytes->users.fetch_sub(1, std::memory_order_acq_rel) == 1) delete bytes;
    }
};

// For who asks what this node's tasks wait for.
class MessageWait final : public WaitNote {
public:
    MessageWait(Node& node, const char* operation, NodeId from)
        : WaitNote(node.waits()), operation_(operation), from_(from) {}

private:
    WaitDescription describe() const override {
        WaitDescription what;
        what.verb = operation_;
        what.from = from_;
        return what;
    }
    const char* operation_;
    const NodeId from_;
};

}  // namespace

// Two collectives at once on one node would mix their messages up: catch it at the caller.
struct Collectives::Call {
    explicit Call(Collectives& owner) : owner_(owner) {
        SSI_ASSERT(!owner.busy_.exchange(true, std::memory_order_acquire),
                   "a second task of this node called a collective: call them from one task");
        ++owner.number_;
    }
    ~Call() { owner_.busy_.store(false, std::memory_order_release); }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

private:
    Collectives& owner_;
};

Collectives::Collectives(Node& node, NodeId self)
    : node_(node), self_(self), world_(place_for(0)) {}

Collectives::Place Collectives::place_for(int root_rank) const {
    const auto membership = node_.membership();
    const int n = static_cast<int>(membership->members.size());
    const int relative = (membership->index_of(self_) - root_rank + n) % n;
    auto member = [&](int r) {
        return membership->members[static_cast<std::size_t>((r + root_rank) % n)].node;
    };
    Place place;
    int bit = 1;
    for (; bit < n && !(relative & bit); bit <<= 1)
        if (relative + bit < n) place.children.push_back(member(relative + bit));
    if (relative) place.parent = member(relative - bit);
    return place;
}

Result<void> Collectives::meet(Operation operation, Nanoseconds deadline) {
    Call call(*this);
    // Who closes after a loss must not surprise those that have not heard of it yet.
    if (node_.any_lost()) return tl::unexpected(lost_failure());
    for (NodeId child : world_.children)
        if (auto got = receive({number_, Way::up, child}, operation, deadline); !got)
            return tl::unexpected(std::move(got).error());
    if (world_.parent != no_node) {
        SSI_TRY(send(world_.parent, Way::up, operation, {}));
        if (auto got = receive({number_, Way::down, world_.parent}, operation, deadline);
            !got)
            return tl::unexpected(std::move(got).error());
    } else if (node_.any_lost()) {
        return tl::unexpected(lost_failure());
    }
    return send_down(world_, operation, {});
}

Result<void> Collectives::broadcast(NodeId root, std::vector<std::byte>& bytes) {
    const int root_rank = node_.membership()->index_of(root);
    if (root_rank < 0)
        return fail(Errc::invalid_argument,
                    fmt::format("broadcast from node {}, which is not a member", root.value));
    Call call(*this);
    const Place place = place_for(root_rank);
    if (place.parent != no_node) {
        auto got = receive({number_, Way::down, place.parent}, Operation::broadcast,
                           sys::Waiter::forever);
        if (!got) return tl::unexpected(std::move(got).error());
        const auto span = got->bytes.span();
        bytes.assign(span.begin(), span.end());
    } else if (node_.any_lost()) {
        return tl::unexpected(lost_failure());
    }
    return send_down(place, Operation::broadcast, bytes);
}

template <class T>
Result<void> Collectives::all_reduce(std::span<T> values, ReduceOp op) {
    Call call(*this);
    auto check = [&](const Arrival& arrival, NodeId from) -> Result<void> {
        if (arrival.bytes.length == values.size_bytes()) return {};
        return fail(Errc::mismatch,
                    fmt::format("reduce of {} bytes here, of {} bytes on node {}",
                                values.size_bytes(), arrival.bytes.length, from.value),
                    from);
    };
    // Children in a fixed order, so that a sum of floating point numbers is always the same.
    for (NodeId child : world_.children) {
        auto got = receive({number_, Way::up, child}, Operation::reduce, sys::Waiter::forever);
        if (!got) return tl::unexpected(std::move(got).error());
        SSI_TRY(check(*got, child));
        combine(values, std::span<const std::byte>(got->bytes.span()), op);
    }
    if (world_.parent != no_node) {
        SSI_TRY(send(world_.parent, Way::up, Operation::reduce, std::as_bytes(values)));
        auto got = receive({number_, Way::down, world_.parent}, Operation::reduce,
                           sys::Waiter::forever);
        if (!got) return tl::unexpected(std::move(got).error());
        SSI_TRY(check(*got, world_.parent));
        if (!values.empty())
            std::memcpy(values.data(), got->bytes.data.get(), values.size_bytes());
    } else if (node_.any_lost()) {
        return tl::unexpected(lost_failure());
    }
    return send_down(world_, Operation::reduce, std::as_bytes(values));
}

template Result<void> Collectives::all_reduce(std::span<double>, ReduceOp);
template Result<void> Collectives::all_reduce(std::span<std::uint64_t>, ReduceOp);

Result<Collectives::Arrival> Collectives::receive(Key key, Operation operation,
                                                  Nanoseconds deadline) {
    Waiting waiting;
    waiting.key = key;
    MessageWait note(node_, operation_names[static_cast<unsigned>(operation)], key.from);
    waiting.cell.long_wait = &note;
    bool must_wait = false;
    {
        std::lock_guard lock(mutex_);
        if (auto at = early_.find(key); at != early_.end()) {
            waiting.arrival = std::move(at->second);
            waiting.arrived = true;
            early_.erase(at);
        } else if (node_.any_lost()) {
            return tl::unexpected(lost_failure());
        } else {
            waiting_ = &waiting;
            must_wait = true;
        }
    }
    // Registered, `waiting` is the handler's until the cell is ready or it is taken back.
    if (must_wait && !node_.doors().waiter.wait_until(waiting.cell, deadline)) {
        std::lock_guard lock(mutex_);
        waiting_ = nullptr;
    }
    if (!waiting.arrived) {
        if (node_.any_lost()) return tl::unexpected(lost_failure());
        return fail(Errc::timed_out,
                    fmt::format("{} number {}: no message from node {} in time",
                                operation_names[static_cast<unsigned>(operation)], key.number,
                                key.from.value),
                    key.from);
    }
    if (waiting.arrival.operation != operation && node_.any_lost())
        return tl::unexpected(lost_failure());
    if (waiting.arrival.operation != operation)
        return fail(Errc::mismatch,
                    fmt::format("collective {} is a {} here, but a {} on node {}: call them in "
                                "the same order everywhere",
                                key.number, operation_names[static_cast<unsigned>(operation)],
                                operation_names[static_cast<unsigned>(waiting.arrival.operation)],
                                key.from.value),
                    key.from);
    return std::move(waiting.arrival);
}

Result<void> Collectives::send(NodeId to, Way way, Operation operation,
                               std::span<const std::byte> bytes) {
    Header header;
    header.message.channel = static_cast<std::uint8_t>(ChannelId::collective);
    header.message.kind = static_cast<std::uint8_t>(way);
    header.message.flags = static_cast<std::uint16_t>(operation);
    header.number = number_;
    return node_.send(to, std::as_writable_bytes(std::span(&header, 1)),
                      {bytes.data(), bytes.size(), nullptr, nullptr});
}

Result<void> Collectives::send_down(const Place& place, Operation operation,
                                    std::span<const std::byte> bytes) {
    // Farthest subtree first: it is the deepest.
    if (bytes.size() <= net::max_copied_payload) {
        for (auto child = place.children.rbegin(); child != place.children.rend(); ++child)
            SSI_TRY(send(*child, Way::down, operation, bytes));
        return {};
    }
    auto* shared = new SharedBytes{std::make_unique_for_overwrite<std::byte[]>(bytes.size())};
    std::memcpy(shared->data.get(), bytes.data(), bytes.size());
    Result<void> result;
    for (auto child = place.children.rbegin(); result && child != place.children.rend(); ++child) {
        Header header;
        header.message.channel = static_cast<std::uint8_t>(ChannelId::collective);
        header.message.kind = static_cast<std::uint8_t>(Way::down);
        header.message.flags = static_cast<std::uint16_t>(operation);
        header.number = number_;
        shared->users.fetch_add(1, std::memory_order_relaxed);
        result = node_.send(*child, std::as_writable_bytes(std::span(&header, 1)),
                            {shared->data.get(), bytes.size(), &SharedBytes::release, shared});
    }
    SharedBytes::release(shared);
    return result;
}

std::byte* Collectives::on_large(NodeId, std::span<const std::byte>, std::size_t length) {
    return new (std::nothrow) std::byte[length];
}

void Collectives::on_large_failed(NodeId, std::byte* memory) {
    std::unique_ptr<std::byte[]>{memory};
}

void Collectives::on_message(NodeId from, std::span<const std::byte> header,
                             std::span<std::byte> payload, bool owned) {
    Bytes bytes;
    bytes.length = payload.size();
    if (owned) bytes.data.reset(payload.data());
    Header parsed;
    if (header.size() != sizeof parsed) {
        SSI_LOG(node_.doors().log, error, "session",
                "message of node {} dropped: a collective's header has {} bytes, not {}",
                from.value, header.size(), sizeof parsed);
        return;
    }
    std::memcpy(&parsed, header.data(), sizeof parsed);
    if (!owned && !payload.empty()) {
        bytes.data = std::make_unique_for_overwrite<std::byte[]>(payload.size());
        std::memcpy(bytes.data.get(), payload.data(), payload.size());
    }
    deliver(from, parsed, std::move(bytes));
}

void Collectives::deliver(NodeId from, const Header& header, Bytes bytes) {
    const Key key{header.number, static_cast<Way>(header.message.kind), from};
    const auto operation = std::min<unsigned>(header.message.flags, last_operation);
    Arrival arrival{static_cast<Operation>(operation), std::move(bytes)};
    std::lock_guard lock(mutex_);
    if (!waiting_ || waiting_->key != key) {
        early_.emplace(key, std::move(arrival));
        return;
    }
    // Under the lock, so that a waiter that timed out knows nobody will signal its cell.
    waiting_->arrival = std::move(arrival);
    waiting_->arrived = true;
    node_.doors().waiter.notify(std::exchange(waiting_, nullptr)->cell);
}

void Collectives::note_lost(NodeId node) {
    std::uint32_t none = no_node.value;
    first_lost_.compare_exchange_strong(none, node.value, std::memory_order_acq_rel);
}

void Collectives::on_node_lost(NodeId) {
    // any_lost() is already true: who takes the lock after us sees it and does not wait.
    std::lock_guard lock(mutex_);
    if (waiting_) node_.doors().waiter.notify(std::exchange(waiting_, nullptr)->cell);
}

Failure Collectives::lost_failure() const {
    const NodeId lost{first_lost_.load(std::memory_order_acquire)};
    return Failure{Errc::peer_lost, 0, lost,
                   fmt::format("a collective needs node {}, which is dead", lost.value)};
}

}  // namespace ssi::node
