// SPDX-License-Identifier: BSD-3-Clause
// Outbox: the messages of one call, or of one handler, packed together: one `batch` message per
// destination instead of many small ones. What carries more than a little payload goes by itself,
// as it is lent or copied anyway. Belongs to one task; must be flushed before that task waits.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "body.hpp"
#include "wire.hpp"

namespace ssi::kddm {

class Outbox {
public:
    // How messages leave: one by itself (taking over a reference of the block), or a packed batch.
    class Carrier {
    public:
        virtual ~Carrier() = default;
        virtual void send_one(NodeId to, Message& message, const Body& body) = 0;
        virtual void send_packed(NodeId to, Message& message,
                                 std::span<const std::byte> packed) = 0;
        virtual void release(Block* block) = 0;
    };

    explicit Outbox(Carrier& carrier) : carrier_(carrier) {}
    ~Outbox() { flush(); }
    Outbox(const Outbox&) = delete;
    Outbox& operator=(const Outbox&) = delete;

    // Takes over one reference of the block.
    void add(NodeId to, Message& message, const Body& body);
    // False when there are so many bytes that the message had better go by itself.
    bool add_bytes(NodeId to, const Message& message, std::span<const std::byte> bytes);
    void flush();

private:
    struct Lane {
        NodeId to;
        std::uint32_t count = 0;
        std::size_t length = 0;
        std::unique_ptr<std::byte[]> bytes;
    };
    Lane& lane(NodeId to);
    void send(Lane& lane);

    Carrier& carrier_;
    std::vector<Lane> lanes_;   // ascending by node
};

// Reads a batch: message after message, each in its truncated form, its payload behind it, padded
// to 8 bytes. Stops with `ok` false where the bytes are no messages.
class Unpacker {
public:
    explicit Unpacker(std::span<std::byte> bytes) : rest_(bytes) {}
    bool next();
    bool ok() const { return ok_; }
    Message& message() { return message_; }
    std::span<std::byte> payload() const { return payload_; }

private:
    std::span<std::byte> rest_;
    std::span<std::byte> payload_;
    Message message_;
    bool ok_ = true;
};

}  // namespace ssi::kddm
