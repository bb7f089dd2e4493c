// SPDX-License-Identifier: BSD-3-Clause
// LoopTransport: one node's end of a LoopWorld. Its mailbox is filled by other nodes' threads and
// emptied by whoever polls, under the poller token.
#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

#include "get_pieces.hpp"
#include "ssi/base/random.hpp"
#include "ssi/net/loop.hpp"
#include "ssi/sys/task.hpp"

namespace ssi::net {

class LoopTransport final : public Transport {
public:
    LoopTransport(LoopWorld::Impl& world, NodeId self, const LoopOptions& options);
    ~LoopTransport() override;

    NodeId self() const override { return self_; }
    void set_receiver(Receiver* receiver) override { receiver_ = receiver; }
    Result<void> send(NodeId to, std::span<const std::byte> header,
                      const Payload& payload) override;
    GetSupport get_support(NodeId) override { return GetSupport::emulated; }
    void get(Get& get) override;
    void show(const ShownMemory* memory) override;
    bool poll() override;
    void forget(NodeId peer) override;
    int event_fd() const override { return event_fd_; }
    bool arm() override;
    std::uint64_t poll_count() const override {
        return poll_count_.load(std::memory_order_relaxed);
    }

    void die();
    bool dead() const { return dead_.load(std::memory_order_acquire); }

private:
    enum class Kind : std::uint8_t {
        message,   // with all its bytes
        lent,      // the payload still lies with the sender
        done,      // a lent payload was read: release it
        suspect,   // `from` does not answer
        forget,    // by this node's own layers: `from` is dead
    };
    struct Item {
        Kind kind = Kind::message;
        NodeId from = no_node;
        std::vector<std::byte> header;
        std::vector<std::byte> bytes;
        Payload payload;
        LoopTransport* sender = nullptr;  // of a lent payload
    };
    struct Large {
        Item item;
        std::byte* memory;
    };

    struct Getting {
        Get* get;
        GetPieces pieces;
        bool stuck;                       // its node is dead
    };

    void push(Item item);
    void wake();
    bool advance_gets();
    Errc advance(Getting& getting);
    void give_back(Item& item);            // a lent payload goes home
    bool take_batch();
    void handle(Item& item);
    void finish_large();
    void fail_large(NodeId from);

    LoopWorld::Impl& world_;
    const NodeId self_;
    Receiver* receiver_ = nullptr;
    int event_fd_ = -1;
    const bool reorder_;
    const bool duplicate_;

    std::atomic<bool> token_{false};
    std::atomic<std::uint64_t> poll_count_{0};
    std::atomic<bool> armed_{false};
    std::atomic<bool> dead_{false};
    std::atomic<std::size_t> waiting_{0};  // items in the lists below
    std::atomic<const ShownMemory*> shown_{nullptr};
    std::atomic<int> readers_{0};          // of what shown_ shows

    sys::Mutex mutex_;
    std::vector<Item> inbox_;              // under mutex_
    std::vector<Getting> asked_;           // likewise

    // Under the token:
    std::vector<Item> batch_;
    std::vector<Item> held_;               // kept back so that others overtake them
    std::vector<Large> large_;             // memory asked for; bytes copied at the next poll
    std::vector<Getting> gets_;
    std::vector<NodeId> forgotten_;
    Random random_;
};

}  // namespace ssi::net
