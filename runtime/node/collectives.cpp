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

constexpr std::array operation_names{"barrier", "broadcast", "reduce", "close", "gather"};
constexpr unsigned last_operation = operation_names.size() - 1;

constexpr std::size_t part_bytes = 256u << 10;

// Parts of a payload hold whole elements.
std::size_t part_for(std::size_t element_bytes) {
    return std::max(part_bytes / element_bytes, std::size_t{1}) * element_bytes;
}

std::size_t parts_of(std::size_t total, std::size_t part) {
    return std::max<std::size_t>(1, (total + part - 1) / part);
}

template <class T>
void combine(std::byte* into, const std::byte* from, std::size_t count, void* op) {
    for (std::size_t i = 0; i < count; ++i) {
        T a, b;
        std::memcpy(&a, into + i * sizeof(T), sizeof(T));
        std::memcpy(&b, from + i * sizeof(T), sizeof(T));
        switch (*static_cast<const ReduceOp*>(op)) {
            case ReduceOp::sum: a += b; break;
            case ReduceOp::min: a = std::min(a, b); break;
            case ReduceOp::max: a = std::max(a, b); break;
        }
        std::memcpy(into + i * sizeof(T), &a, sizeof(T));
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

Result<Collectives::Place> Collectives::place_for(NodeId root) const {
    const int rank = node_.membership()->index_of(root);
    if (rank < 0)
        return fail(Errc::invalid_argument,
                    fmt::format("a collective with root node {}, which is not a member",
                                root.value));
    return place_for(rank);
}

Result<Collectives::Arrival> Collectives::receive_part(Key key, Operation operation,
                                                       std::size_t total, std::size_t length) {
    auto got = receive(key, operation, sys::Waiter::forever);
    if (!got || (got->total == total && got->bytes.length == length)) return got;
    return fail(Errc::mismatch,
                fmt::format("{} of {} bytes here, of {} bytes on node {}",
                            operation_names[static_cast<unsigned>(operation)], total, got->total,
                            key.from.value),
                key.from);
}

// From the parent, if there is one, to the children: part by part.
Result<void> Collectives::pass_down(const Place& place, Operation operation,
                                    std::span<std::byte> bytes, std::size_t part) {
    const std::size_t total = bytes.size();
    for (std::size_t i = 0; i < parts_of(total, part); ++i) {
        const auto piece = bytes.subspan(i * part, std::min(part, total - i * part));
        if (place.parent != no_node) {
            auto got = receive_part({number_, Way::down, place.parent, i}, operation, total,
                                    piece.size());
            if (!got) return tl::unexpected(std::move(got).error());
            if (!piece.empty()) std::memcpy(piece.data(), got->bytes.data.get(), piece.size());
        }
        SSI_TRY(send_down(place, operation, {piece, total, i}));
    }
    return {};
}

Result<void> Collectives::broadcast(NodeId root, std::span<std::byte> bytes) {
    auto place = place_for(root);
    if (!place) return tl::unexpected(std::move(place).error());
    Call call(*this);
    if (place->parent == no_node && node_.any_lost()) return tl::unexpected(lost_failure());
    return pass_down(*place, Operation::broadcast, bytes, part_bytes);
}

// Only the root knows how long it is: the first part tells.
Result<void> Collectives::broadcast(NodeId root, std::vector<std::byte>& bytes) {
    auto place = place_for(root);
    if (!place) return tl::unexpected(std::move(place).error());
    Call call(*this);
    if (place->parent == no_node) {
        if (node_.any_lost()) return tl::unexpected(lost_failure());
        return pass_down(*place, Operation::broadcast, bytes, part_bytes);
    }
    std::size_t parts = 1, total = 0;
    for (std::size_t i = 0; i < parts; ++i) {
        auto got = receive({number_, Way::down, place->parent, i}, Operation::broadcast,
                           sys::Waiter::forever);
        if (!got) return tl::unexpected(std::move(got).error());
        if (i == 0) {
            total = got->total;
            parts = parts_of(total, part_bytes);
            bytes.resize(total);
        }
        const auto piece = got->bytes.span();
        if (!piece.empty()) std::memcpy(bytes.data() + i * part_bytes, piece.data(), piece.size());
        SSI_TRY(send_down(*place, Operation::broadcast, {piece, total, i}));
    }
    return {};
}

// Up the tree part by part; then, unless one node alone wants it, down again the same way. Children
// in a fixed order, so that a sum of floating point numbers is always the same.
Result<void> Collectives::reduce(std::span<std::byte> values, const Reduction& reduction,
                                 NodeId root) {
    const bool to_all = root == no_node;
    auto found = to_all ? Result<Place>(world_) : place_for(root);
    if (!found) return tl::unexpected(std::move(found).error());
    const Place& place = *found;
    Call call(*this);
    const bool top = place.parent == no_node;
    const std::size_t total = values.size(), part = part_for(reduction.element_bytes);
    for (std::size_t i = 0; i < parts_of(total, part); ++i) {
        const auto piece = values.subspan(i * part, std::min(part, total - i * part));
        for (const NodeId child : place.children) {
            auto got = receive_part({number_, Way::up, child, i}, Operation::reduce, total,
                                    piece.size());
            if (!got) return tl::unexpected(std::move(got).error());
            reduction.combine(piece.data(), got->bytes.data.get(),
                              piece.size() / reduction.element_bytes, reduction.context);
        }
        if (top && node_.any_lost()) return tl::unexpected(lost_failure());
        if (!top)
            SSI_TRY(send(place.parent, Way::up, Operation::reduce, {piece, total, i}));
        else if (to_all)
            SSI_TRY(send_down(place, Operation::reduce, {piece, total, i}));
    }
    return to_all && !top ? pass_down(place, Operation::reduce, values, part) : Result<void>{};
}

template <class T>
Result<void> Collectives::all_reduce(std::span<T> values, ReduceOp op) {
    return reduce(std::as_writable_bytes(values), {sizeof(T), &combine<T>, &op}, no_node);
}

// A node's subtree is a run of ranks, counted from the root: each sends up what its run has.
Result<void> Collectives::gather(NodeId root, std::span<const std::byte> mine,
                                 std::span<std::byte> all) {
    const bool to_all = root == no_node;
    const auto membership = node_.membership();
    const std::size_t n = membership->members.size(), each = mine.size();
    auto found = to_all ? Result<Place>(world_) : place_for(root);
    if (!found) return tl::unexpected(std::move(found).error());
    const std::size_t first =
        to_all ? 0 : static_cast<std::size_t>(membership->index_of(root));
    const auto rank = static_cast<std::size_t>(membership->index_of(self_));
    const std::size_t relative = (rank + n - first) % n;
    Call call(*this);
    if (found->parent == no_node && node_.any_lost()) return tl::unexpected(lost_failure());
    std::vector<std::byte> run(mine.begin(), mine.end());
    for (std::size_t i = 0, reach = 1; i < found->children.size(); ++i, reach <<= 1) {
        const std::size_t blocks = std::min(reach, n - relative - reach);
        auto got = receive_part({number_, Way::up, found->children[i]}, Operation::gather,
                                blocks * each, blocks * each);
        if (!got) return tl::unexpected(std::move(got).error());
        const auto bytes = got->bytes.span();
        run.insert(run.end(), bytes.begin(), bytes.end());
    }
    if (found->parent != no_node) {
        SSI_TRY(send(found->parent, Way::up, Operation::gather, {run, run.size(), 0}));
    } else {
        const std::size_t wrapped = (n - first) * each;   // ranks from the root to the last
        std::copy(run.begin(), run.begin() + static_cast<std::ptrdiff_t>(wrapped),
                  all.begin() + static_cast<std::ptrdiff_t>(first * each));
        std::copy(run.begin() + static_cast<std::ptrdiff_t>(wrapped), run.end(), all.begin());
    }
    return to_all ? pass_down(*found, Operation::gather, all, part_bytes) : Result<void>{};
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
        const auto at = std::find_if(early_.begin(), early_.end(),
                                     [&](const Early& early) { return early.key == key; });
        if (at != early_.end()) {
            waiting.arrival = std::move(at->arrival);
            waiting.arrived = true;
            if (at + 1 != early_.end()) *at = std::move(early_.back());
            early_.pop_back();
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

Collectives::Header Collectives::header_of(Way way, Operation operation, const Part& part) const {
    Header header;
    header.message.channel = static_cast<std::uint8_t>(ChannelId::collective);
    header.message.kind = static_cast<std::uint8_t>(way);
    header.message.flags = static_cast<std::uint16_t>(operation);
    header.number = number_;
    header.total = part.total;
    header.part = part.number;
    return header;
}

Result<void> Collectives::send(NodeId to, Way way, Operation operation, const Part& part) {
    Header header = header_of(way, operation, part);
    return node_.send(to, std::as_writable_bytes(std::span(&header, 1)),
                      {part.bytes.data(), part.bytes.size(), nullptr, nullptr});
}

Result<void> Collectives::send_down(const Place& place, Operation operation, const Part& part) {
    const auto bytes = part.bytes;
    // Farthest subtree first: it is the deepest.
    if (bytes.size() <= net::max_copied_payload) {
        for (auto child = place.children.rbegin(); child != place.children.rend(); ++child)
            SSI_TRY(send(*child, Way::down, operation, part));
        return {};
    }
    auto* shared = new SharedBytes{std::make_unique_for_overwrite<std::byte[]>(bytes.size())};
    std::memcpy(shared->data.get(), bytes.data(), bytes.size());
    Result<void> result;
    for (auto child = place.children.rbegin(); result && child != place.children.rend(); ++child) {
        Header header = header_of(Way::down, operation, part);
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
    const Key key{header.number, static_cast<Way>(header.message.kind), from, header.part};
    const auto operation = std::min<unsigned>(header.message.flags, last_operation);
    Arrival arrival{static_cast<Operation>(operation), header.total, std::move(bytes)};
    std::lock_guard lock(mutex_);
    if (!waiting_ || !(waiting_->key == key)) {
        early_.push_back({key, std::move(arrival)});
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
