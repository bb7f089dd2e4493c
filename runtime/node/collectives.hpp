// SPDX-License-Identifier: BSD-3-Clause
// Collectives: barrier, broadcast, reduce and gather over the members of a session, on binomial
// trees. Long payloads go in parts, so that all levels of a tree work at the same time.
// Owned by its Node. Every node numbers its collectives; a message carries the number, so messages
// may overtake each other and a fast node may be collectives ahead: what comes early is kept.
// One task of a node calls at a time (asserted); messages arrive from any poll.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "ssi/node/node.hpp"

namespace ssi::node {

class Collectives final : public Channel {
public:
    Collectives(Node& node, NodeId self);

    // Before Node::any_lost() tells anybody: names the dead for the failures to come.
    void note_lost(NodeId node);

    Result<void> barrier(Nanoseconds deadline) { return meet(Operation::barrier, deadline); }
    Result<void> close(Nanoseconds deadline) { return meet(Operation::close, deadline); }
    Result<void> broadcast(NodeId root, std::vector<std::byte>& bytes);
    Result<void> broadcast(NodeId root, std::span<std::byte> bytes);
    Result<void> reduce(std::span<std::byte> values, const Reduction& reduction, NodeId root);
    template <class T>
    Result<void> all_reduce(std::span<T> values, ReduceOp op);
    Result<void> gather(NodeId root, std::span<const std::byte> mine, std::span<std::byte> all);

    std::byte* on_large(NodeId from, std::span<const std::byte> header,
                        std::size_t length) override;
    void on_message(NodeId from, std::span<const std::byte> header, std::span<std::byte> payload,
                    bool owned) override;
    void on_large_failed(NodeId from, std::byte* memory) override;
    void on_node_lost(NodeId node) override;

private:
    enum class Operation : std::uint8_t { barrier, broadcast, reduce, close, gather };
    enum class Way : std::uint8_t { up, down };

    struct Header {
        MessageHeader message;      // kind: Way, flags: Operation
        std::uint64_t number = 0;   // of the collective, the same on every node
        std::uint64_t total = 0;    // bytes of all parts
        std::uint64_t part = 0;
    };
    static_assert(sizeof(Header) == 40);

    struct Bytes {
        std::unique_ptr<std::byte[]> data;
        std::size_t length = 0;
        std::span<std::byte> span() const { return {data.get(), length}; }
    };
    struct Arrival {
        Operation operation = Operation::barrier;
        std::uint64_t total = 0;
        Bytes bytes;
    };
    struct Key {
        std::uint64_t number = 0;
        Way way = Way::up;
        NodeId from;
        std::uint64_t part = 0;
        bool operator==(const Key&) const = default;
    };
    // The calling task while it waits for one message; on its stack.
    struct Waiting {
        Key key;
        Arrival arrival;
        bool arrived = false;
        sys::WaitCell cell;
    };
    // This node's place in the tree with the given root.
    struct Place {
        NodeId parent = no_node;
        std::vector<NodeId> children;  // ascending distance
    };
    struct Call;  // marks a collective as under way

    // What travels together: bytes of the whole payload, and which part this is.
    struct Part {
        std::span<const std::byte> bytes;
        std::uint64_t total = 0;
        std::uint64_t number = 0;
    };

    Place place_for(int root_rank) const;
    Result<Place> place_for(NodeId root) const;
    Result<void> meet(Operation operation, Nanoseconds deadline);
    Result<Arrival> receive(Key key, Operation operation, Nanoseconds deadline);
    Result<Arrival> receive_part(Key key, Operation operation, std::size_t total,
                                 std::size_t length);
    Result<void> send(NodeId to, Way way, Operation operation, const Part& part);
    Result<void> send_down(const Place& place, Operation operation, const Part& part);
    Result<void> pass_down(const Place& place, Operation operation, std::span<std::byte> bytes,
                           std::size_t part_bytes);
    Header header_of(Way way, Operation operation, const Part& part) const;
    void deliver(NodeId from, const Header& header, Bytes bytes);
    Failure lost_failure() const;

    Node& node_;
    const NodeId self_;
    Place world_;                      // the tree that the first member roots
    std::uint64_t number_ = 0;         // of the collective under way; only its caller touches it
    std::atomic<bool> busy_{false};

    mutable sys::Mutex mutex_;
    struct Early {
        Key key;
        Arrival arrival;
    };
    std::vector<Early> early_;         // arrived before anybody waited for them; few
    Waiting* waiting_ = nullptr;
    std::atomic<std::uint32_t> first_lost_{no_node.value};
};

}  // namespace ssi::node
